"""What is asked, and under which rules an episode answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..retrieval_index.errors import BerrypickError

__all__ = ["MIN_OBSERVATION_CHARS", "MIN_OBSERVATION_TOKENS", "EpisodeSpec", "Question", "answers_by_path"]

MIN_OBSERVATION_CHARS = 100
"""Room for the tags around a cut observation."""

MIN_OBSERVATION_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its accepted answers and its evidence.

    Attributes:
        answers: accepted aliases of one answer.
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


def answers_by_path(metadata: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """[path] -> accepted aliases of its answer, from a question's metadata; () where the paths share one answer."""
    return tuple(tuple(aliases) for aliases in metadata.get("answers_by_path", ()))


@dataclass(frozen=True, slots=True)
class EpisodeSpec:
    """The rules of an episode; JSON-able, so that it travels in every run folder.

    Attributes:
        turn_format: how turns are written, e.g. "tags".
        template: "instruct" explains the task to a pretrained model; "bare" sends the question alone.
        top_k: passages a query brings back.
        max_turns: turns before the episode is truncated.
        search_budget: queries an episode may make; None is unlimited.
        num_answers: candidates wanted in the answer block.
        reward: a reward spec, see `envs/rewards.py`.
        max_observation_chars: an observation longer than this is cut.
        max_observation_tokens: where set, policies that hold a tokenizer cut observations to so many of its tokens,
            instead of to characters. Records say which limit held, in `observation_limit`.
        escape_special_tokens: breaks spellings of control tokens (`<|im_end|>`, `<tool_call>`, `[INST]`) in question
            and passages by a space, for whoever encodes them with special tokens on; see `formats/control_text.py`.

    Raises:
        BerrypickError: a number out of range or of another type.
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

    def __post_init__(self) -> None:
        for name, least in (
            ("top_k", 1),
            ("max_turns", 1),
            ("search_budget", 0),
            ("num_answers", 1),
            ("max_observation_chars", MIN_OBSERVATION_CHARS),
            ("max_observation_tokens", MIN_OBSERVATION_TOKENS),
        ):
            value = getattr(self, name)
            if name in ("search_budget", "max_observation_tokens") and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise BerrypickError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if not isinstance(self.escape_special_tokens, bool):
            raise BerrypickError(f"escape_special_tokens must be true or false, got {self.escape_special_tokens!r}")
        if self.template not in ("instruct", "bare"):
            raise BerrypickError(f"template must be instruct or bare, got {self.template!r}")
