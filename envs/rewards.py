"""Rewards of an ended episode, composed by a small spec: "em + 0.2*evidence_recall - 0.01*queries"."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..retrieval_index.errors import BerrypickError, UnknownNameError
from .answers import exact_match, f1, sub_exact_match

__all__ = [
    "REWARD_SUMMARIES",
    "REWARD_TERMS",
    "EpisodeFacts",
    "RewardSpec",
    "evidence_recall",
    "hop_hits",
    "parse_reward",
]

Evidence = tuple[tuple[frozenset[str], ...], ...]


@dataclass(frozen=True, slots=True)
class EpisodeFacts:
    """All that a reward may depend on: what the policy wrote and what it was shown.

    Attributes:
        prediction: the first candidate of the answer; None without an answer.
        answers: accepted aliases.
        evidence: [path][hop] -> ids that satisfy the hop.
        shown_ids: all passages shown.
        num_queries: queries searched.
        num_invalid: turns that were no valid action.
        num_turns: turns taken.
        candidates: the first `num_answers` candidates of the answer block, in order.
        answers_by_path: aliases of each of several conflicting answers; () where there is one answer.
    """

    prediction: str | None
    answers: tuple[str, ...]
    evidence: Evidence
    shown_ids: frozenset[str]
    num_queries: int
    num_invalid: int
    num_turns: int
    candidates: tuple[str, ...] = ()
    answers_by_path: tuple[tuple[str, ...], ...] = ()


def hop_hits(evidence: Evidence, shown: frozenset[str]) -> list[list[bool]]:
    """[path][hop] -> whether a passage that satisfies the hop was shown."""
    return [[bool(hop & shown) for hop in path] for path in evidence]


def evidence_recall(evidence: Evidence, shown: frozenset[str]) -> float:
    """Best share of hops satisfied over the paths; 0 where no evidence is known."""
    return max((sum(hits) / len(hits) for hits in hop_hits(evidence, shown) if hits), default=0.0)


def _all_hops(facts: EpisodeFacts) -> float:
    return float(any(hits and all(hits) for hits in hop_hits(facts.evidence, facts.shown_ids)))


def _answer_recall(facts: EpisodeFacts) -> float:
    """Share of the question's answers that one of the candidates gives."""
    wanted = facts.answers_by_path or (facts.answers,)
    return sum(any(exact_match(said, answers) for said in facts.candidates) for answers in wanted) / len(wanted)


REWARD_TERMS: Mapping[str, Callable[[EpisodeFacts], float]] = {
    "em": lambda facts: 0.0 if facts.prediction is None else exact_match(facts.prediction, facts.answers),
    "f1": lambda facts: 0.0 if facts.prediction is None else f1(facts.prediction, facts.answers),
    "sub_em": lambda facts: 0.0 if facts.prediction is None else sub_exact_match(facts.prediction, facts.answers),
    "evidence_recall": lambda facts: evidence_recall(facts.evidence, facts.shown_ids),
    "all_hops": _all_hops,
    "answer_recall": _answer_recall,
    "format": lambda facts: float(facts.prediction is not None and facts.num_invalid == 0),
    "queries": lambda facts: float(facts.num_queries),
}
REWARD_SUMMARIES: Mapping[str, str] = {
    "em": "exact match of the first candidate with any accepted answer, normalised; 0 or 1",
    "f1": "best token F1 of the first candidate over the accepted answers; 0 to 1",
    "sub_em": "whether the first candidate contains an accepted answer; 0 or 1",
    "evidence_recall": "best share of hops, over the known paths, for which a passage was shown; 0 to 1",
    "all_hops": "whether a path is complete; 0 or 1",
    "answer_recall": "share of several answers that the candidates give; 0 to 1",
    "format": "whether there was an answer and no invalid turn; 0 or 1",
    "queries": "queries searched, a count: give it a negative weight",
}


@dataclass(frozen=True, slots=True)
class RewardSpec:
    """A weighted sum of reward terms."""

    weights: tuple[tuple[str, float], ...]

    def __call__(self, facts: EpisodeFacts) -> float:
        """The reward of an ended episode."""
        return sum(weight * REWARD_TERMS[name](facts) for name, weight in self.weights)


_TERM = re.compile(r"\s*([+-]?)\s*(?:((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*)?([A-Za-z_]\w*)\s*")


def parse_reward(spec: str) -> RewardSpec:
    """Reads "TERM", "WEIGHT*TERM" and sums of them.

    Raises:
        UnknownNameError: a term nobody defined.
        BerrypickError: no such sum.
    """
    if not isinstance(spec, str):
        raise BerrypickError(f'reward must be a text such as "em + 0.2*evidence_recall", got {spec!r}')
    return _parse_reward(spec)


@lru_cache(maxsize=64)
def _parse_reward(spec: str) -> RewardSpec:
    at = 0
    weights: list[tuple[str, float]] = []
    while at < len(spec) or not weights:
        match = _TERM.match(spec, at)
        if match is None or (weights and not match.group(1)):
            raise BerrypickError(f'reward {spec!r} is no sum of terms; for example "em + 0.2*evidence_recall"')
        sign, weight, name = match.groups()
        if name not in REWARD_TERMS:
            raise UnknownNameError("reward term", name, REWARD_TERMS)
        value = float(weight or 1)
        if not math.isfinite(value):
            raise BerrypickError(f"reward {spec!r}: the weight {weight} is not finite; give a smaller one")
        weights.append((name, -value if sign == "-" else value))
        at = match.end()
    return RewardSpec(tuple(weights))
