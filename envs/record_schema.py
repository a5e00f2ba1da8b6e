"""The schema of a record: what each field is called, its type and its meaning. docs/rollouts.md is made from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..retrieval_index.errors import BerrypickError
from .questions import EpisodeSpec

__all__ = ["SCHEMA_VERSION", "EpisodeRecord", "HitRecord", "QuestionRecord", "TokenRecord", "TurnRecord", "UsageRecord"]

SCHEMA_VERSION = 1


def _field(meaning: str, **default: Any) -> Any:
    """A field with its meaning; without a default it is required.

    Lists of turns are made by a factory: pydantic copies a default list, which takes longer.
    """
    return Field(description=meaning, **default)


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow")


class TokenRecord(_Row):
    """Sampled tokens of a turn, lists of equal length; entropies and log-probabilities are nats at temperature 1."""

    ids: list[int] = _field("ids of the tokens")
    log_probs: list[float] = _field("log-probability of each sampled token")
    entropies: list[float] = _field("entropy of the distribution that each token was drawn from")
    char_starts: list[int] = _field("offset in the turn's text where each token begins")


class UsageRecord(_Row):
    """Tokens of one request, as an endpoint counts them."""

    prompt_tokens: int = _field("tokens that were read")
    completion_tokens: int = _field("tokens that were written")


class HitRecord(_Row):
    """A passage that was shown."""

    id: str = _field("identifies the passage; equal passages need equal ids")
    score: float | None = _field("score of the search engine", default=None)


class TurnRecord(_Row):
    """One turn and the observation that answered it."""

    text: str = _field("what the policy wrote")
    action: Literal["search", "answer", "invalid"] = _field("what the turn did")
    queries: list[str] = _field("queries of a search", default_factory=list)
    query_spans: list[tuple[int, int]] = _field("begin and end of each query in the text", default_factory=list)
    hits: list[list[HitRecord]] = _field("passages shown for each query, best first", default_factory=list)
    observation: str = _field("what the environment answered", default="")
    error: str | None = _field("why the turn had no effect, for example a search beyond the budget", default=None)
    stopped_by: str = _field('what ended the text: "tag", "eos" or "length"', default="tag")
    tokens: TokenRecord | None = _field("sampled tokens; needed for entropies of queries", default=None)
    usage: UsageRecord | None = _field("tokens of the request, as an endpoint counts them", default=None)


class QuestionRecord(_Row):
    """The question; `evidence` is [path][hop] -> sorted passage ids."""

    id: str = _field("identifies the question; rollouts with equal ids are compared")
    text: str = _field("the question")
    answers: list[str] = _field("accepted forms of the right answer; an empty list if it is not known")
    evidence: list[list[list[str]]] = _field(
        "[path][hop] -> ids of the passages that satisfy the hop; needed for evidence recall and breadth", default=[]
    )
    split: str = _field("split of the data set", default="")
    metadata: dict[str, Any] = _field("anything else", default={})


class EpisodeRecord(_Row):
    """One episode. Unknown fields are preserved."""

    schema_version: int = _field("version of this schema", default=SCHEMA_VERSION)
    run_id: str = _field("name of the run", default="")
    policy_id: str = _field("name of the policy", default="")
    checkpoint_step: int | None = _field("training step of the policy", default=None)
    template_hash: str = _field("digest of the prompt template", default="")
    index_id: str = _field("digest of the search index", default="")
    lexical: bool | None = _field("whether the index matches words", default=None)
    spec: dict[str, Any] | None = _field("rules of the episode", default=None)
    env_id: str = _field("name of the environment or data set", default="")
    question: QuestionRecord = _field("the question")
    group_id: str = _field("identifies the group: rollouts of one question by one policy")
    sample_index: int = _field("number of the rollout in its group, each its own")
    num_rollouts: int | None = _field(
        "number of rollouts of the whole evaluation; a file with fewer was cut, or holds a selection", default=None
    )
    seed: int = _field("seed of the group", default=0)
    temperature: float = _field("sampling temperature", default=1.0)
    turns: list[TurnRecord] = _field("the turns, in order")
    answer_raw: str | None = _field("the answer as it was written; absent without an answer", default=None)
    answer_norm: str | None = _field("the answer, normalised", default=None)
    em: float | None = _field("exact match with any accepted answer, 0 or 1; absent if not graded", default=None)
    sub_em: float | None = _field("1 if the answer contains an accepted one", default=None)
    f1: float | None = _field("token F1 with the best accepted answer", default=None)
    evidence_recall: float | None = _field("share of hops satisfied on the best path", default=None)
    hop_hits: list[list[bool]] = _field("[path][hop] -> whether a passage that satisfies it was shown", default=[])
    reward: float | None = _field("reward in training", default=None)
    reward_vectors: list[list[float]] | None = _field("[candidate answer][part] -> reward", default=None)
    reward_names: list[str] | None = _field("names of the parts of the reward", default=None)
    policy_tokens: int | None = _field("number of tokens that the policy wrote", default=None, ge=0, lt=2**63)
    env_tokens: int | None = _field("number of tokens of all observations", default=None, ge=0, lt=2**63)
    observation_limit: str | None = _field("limit of an observation that applied", default=None)
    terminated: bool = _field("whether the episode ended with an answer", default=True)
    truncated: bool = _field("whether the episode was cut off", default=False)
    unknown: list[str] | None = _field(
        'parts that the source does not tell: "queries", "passages" or "turns"; measures of them are then absent, '
        "not zero",
        default=None,
    )

    @field_validator("spec")
    @classmethod
    def known_rules(cls, spec: dict[str, Any] | None) -> dict[str, Any] | None:
        """Refuses rules that no environment has."""
        if spec is not None:
            try:
                EpisodeSpec.of_record(spec)
            except BerrypickError as error:
                raise ValueError(str(error)) from error
        return spec

    def knows(self, part: str) -> bool:
        """Whether the source tells this part of the episode: "queries", "passages" or "turns"."""
        return part not in (self.unknown or ())

    @property
    def queries(self) -> list[str]:
        """Queries that were searched, in order."""
        return [
            query for turn in self.turns if turn.action == "search" and turn.error is None for query in turn.queries
        ]

    @property
    def shown_ids(self) -> frozenset[str]:
        """Ids of all passages shown."""
        return frozenset(hit.id for turn in self.turns for ranking in turn.hits for hit in ranking)

    @property
    def hits_recorded(self) -> bool:
        """Whether every search that was answered lists its passages; others' rollouts often lack them."""
        return self.knows("passages") and all(
            turn.hits for turn in self.turns if turn.action == "search" and turn.error is None and turn.queries
        )

    @property
    def evidence_sets(self) -> tuple[tuple[frozenset[str], ...], ...]:
        """[path][hop] -> ids that satisfy the hop."""
        return tuple(tuple(frozenset(hop) for hop in path) for path in self.question.evidence)
