"""A question, and the rules of the episode that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..retrieval_index.errors import BerrypickError
from .answers import check_scoring

__all__ = [
    "MIN_OBSERVATION_CHARS",
    "MIN_OBSERVATION_TOKENS",
    "EpisodeSpec",
    "Question",
    "answers_by_path",
    "passages_of",
    "rules_of",
]

MIN_OBSERVATION_CHARS = 100
"""Smallest limit of an observation in characters: room for the tags around a cut observation."""

MIN_OBSERVATION_TOKENS = 32
"""The same in tokens."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its accepted answers and its evidence.

    Attributes:
        answers: accepted forms of the answer.
        evidence: [path][hop] -> ids of the passages that satisfy the hop; () where unknown.
        metadata: JSON-able. `WorldFacts.of(question)` reads that of World questions.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    evidence: tuple[tuple[frozenset[str], ...], ...] = ()
    split: str = "test"
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answers_by_path(self) -> tuple[tuple[str, ...], ...]:
        """Accepted aliases of each of several conflicting answers; () where there is one answer."""
        return answers_by_path(self.metadata)


def passages_of(evidence: Iterable[Iterable[Iterable[str]]]) -> frozenset[str]:
    """Ids of all passages in some evidence, [path][hop] -> ids."""
    return frozenset(passage for path in evidence for hop in path for passage in hop)


def answers_by_path(metadata: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """[path] -> accepted aliases of its answer, from a question's metadata; () where the paths share one answer."""
    return tuple(tuple(aliases) for aliases in metadata.get("answers_by_path", ()))


@dataclass(frozen=True, slots=True)
class EpisodeSpec:
    """The rules of an episode. It is JSON-able, so that every run folder and every record can hold it.

    Attributes:
        turn_format: how turns are written, e.g. "tags".
        template: "instruct" explains the task to a pretrained model; "bare" sends only the question.
        top_k: passages that a query returns.
        max_turns: the episode is truncated after this many turns.
        search_budget: number of queries an episode may make; None is unlimited.
        num_answers: number of candidates in the answer block that count.
        reward: a sum of reward terms, see `parse_reward`.
        max_observation_chars: an observation longer than this is cut, at whole words and its longest passages first;
            the format search_r1 cuts its end, as published.
        max_observation_tokens: if set, policies with a tokenizer cut observations to this many tokens instead of to
            characters. The field `observation_limit` of a record says which limit applied.
        max_passage_words: if set, only so many words of each passage are shown.
        escape_special_tokens: puts a space into spellings of control tokens (`<|im_end|>`, `<tool_call>`, `[INST]`) in
            questions and passages. Trainers that encode observations with special tokens enabled need it.
        scoring: how answers are normalised before they are compared: "english", the rule of the data sets, or
            "multilingual", for Chinese and Japanese above all, see `berrypick.envs.answers`.

    Raises:
        BerrypickError: a value is out of range or has the wrong type.
    """

    turn_format: str = "tags"
    template: str = "instruct"
    top_k: int = 3
    max_turns: int = 4
    search_budget: int | None = None
    num_answers: int = 1
    reward: str = "em"
    max_observation_chars: int = 4000
    max_observation_tokens: int | None = None
    escape_special_tokens: bool = False
    max_passage_words: int | None = None
    scoring: str = "english"

    def __post_init__(self) -> None:
        for name, least in (
            ("top_k", 1),
            ("max_turns", 1),
            ("search_budget", 0),
            ("num_answers", 1),
            ("max_observation_chars", MIN_OBSERVATION_CHARS),
            ("max_observation_tokens", MIN_OBSERVATION_TOKENS),
            ("max_passage_words", 1),
        ):
            value = getattr(self, name)
            if name in ("search_budget", "max_observation_tokens", "max_passage_words") and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise BerrypickError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if not isinstance(self.escape_special_tokens, bool):
            raise BerrypickError(f"escape_special_tokens must be true or false, got {self.escape_special_tokens!r}")
        check_scoring(self.scoring)
        if self.template not in ("instruct", "bare"):
            raise BerrypickError(f"template must be instruct or bare, got {self.template!r}")

    @classmethod
    def of_record(cls, rules: Mapping[str, Any]) -> EpisodeSpec:
        """The rules that a record holds; raises `BerrypickError` for unknown names and wrong values."""
        unknown = sorted(rules.keys() - cls.__dataclass_fields__.keys())
        if unknown:
            raise BerrypickError(f"spec has no field {unknown[0]!r}; correct it, or leave spec out")
        return cls(**rules)


def rules_of(spec: EpisodeSpec) -> dict[str, Any]:
    """The rules as JSON, as records hold them. The scoring is left out where it is that of earlier records."""
    rules = asdict(spec)
    if rules["scoring"] == "english":
        del rules["scoring"]
    return rules
