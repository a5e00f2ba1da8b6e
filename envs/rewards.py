"""Rewards of an ended episode, written as a sum of terms: "em + 0.2*evidence_recall - 0.01*queries".

A file of yours that registers terms goes first: "my_rewards.py:em - 0.1*long_answer".
"""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..retrieval_index.errors import BerrypickError, first_line
from ..retrieval_index.plugins import Registry
from .answers import exact_match, f1, sub_exact_match

__all__ = [
    "REWARD_SUMMARIES",
    "REWARD_TERMS",
    "EpisodeFacts",
    "RewardSpec",
    "evidence_recall",
    "hop_hits",
    "parse_reward",
    "register_reward",
]

Evidence = tuple[tuple[frozenset[str], ...], ...]


@dataclass(frozen=True, slots=True)
class EpisodeFacts:
    """Everything a reward may depend on: what the policy wrote and what it was shown.

    Attributes:
        prediction: the first candidate of the answer; None without an answer.
        answers: accepted aliases.
        evidence: [path][hop] -> ids that satisfy the hop.
        shown_ids: all passages shown.
        num_queries: queries searched.
        num_invalid: turns that were not a valid action.
        num_turns: turns taken.
        candidates: the first `num_answers` candidates of the answer block, in order.
        answers_by_path: accepted aliases of each of several conflicting answers; () where there is one answer.
        scoring: how answers are normalised, see `EpisodeSpec`.
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
    scoring: str = "english"


def hop_hits(evidence: Evidence, shown: frozenset[str]) -> list[list[bool]]:
    """[path][hop] -> whether a passage that satisfies the hop was shown."""
    return [[bool(hop & shown) for hop in path] for path in evidence]


def evidence_recall(evidence: Evidence, shown: frozenset[str]) -> float:
    """Share of hops satisfied on the best path; 0 where no evidence is known."""
    return max((sum(hits) / len(hits) for hits in hop_hits(evidence, shown) if hits), default=0.0)


def _all_hops(facts: EpisodeFacts) -> float:
    return float(any(hits and all(hits) for hits in hop_hits(facts.evidence, facts.shown_ids)))


def _answer_recall(facts: EpisodeFacts) -> float:
    """Share of the question's answers that the candidates contain."""
    wanted = facts.answers_by_path or (facts.answers,)
    found = [any(exact_match(said, answers, facts.scoring) for said in facts.candidates) for answers in wanted]
    return sum(found) / len(wanted)


def _graded(grade: Callable[[str, tuple[str, ...], str], float], facts: EpisodeFacts) -> float:
    return 0.0 if facts.prediction is None else grade(facts.prediction, facts.answers, facts.scoring)


Term = Callable[[EpisodeFacts], float]
"""A reward term: the facts of an ended episode to a number."""

REWARD_TERMS: Registry[Term] = Registry("reward term", "berrypick.rewards", "my_rewards.py:em - 0.1*long_answer")
"""Name -> the term's value for an ended episode."""

REWARD_SUMMARIES: dict[str, str] = {}
"""Name -> one line about the term."""


def register_reward(name: str, summary: str) -> Callable[[Term], Term]:
    """Decorator that makes a function of an episode's facts a reward term.

    Args:
        name: what specs call the term: letters, digits and underscores, not first a digit.
        summary: one line about it, with its range.

    Raises:
        BerrypickError: the name is not possible, or another module has registered it.
    """

    def register(term: Term) -> Term:
        if re.fullmatch(r"[A-Za-z_]\w*", name) is None:
            raise BerrypickError(f"{name!r} cannot name a reward term; use letters, digits and underscores")
        REWARD_TERMS.register(name, term, term.__module__)
        REWARD_SUMMARIES[name] = summary
        return term

    return register


for _name, _summary, _of_facts in (
    (
        "em",
        "exact match of the first candidate with any accepted answer, normalised; 0 or 1",
        lambda facts: _graded(exact_match, facts),
    ),
    (
        "f1",
        "best token F1 of the first candidate over the accepted answers; 0 to 1",
        lambda facts: _graded(f1, facts),
    ),
    (
        "sub_em",
        "whether the first candidate contains an accepted answer; 0 or 1",
        lambda facts: _graded(sub_exact_match, facts),
    ),
    (
        "evidence_recall",
        "share of hops for which a passage was shown, on the best known path; 0 to 1",
        lambda facts: evidence_recall(facts.evidence, facts.shown_ids),
    ),
    ("all_hops", "whether every hop of some path was shown; 0 or 1", _all_hops),
    ("answer_recall", "share of several answers that the candidates contain; 0 to 1", _answer_recall),
    (
        "format",
        "whether there was an answer and no invalid turn; 0 or 1",
        lambda facts: float(facts.prediction is not None and facts.num_invalid == 0),
    ),
    (
        "queries",
        "number of queries searched; give it a negative weight",
        lambda facts: float(facts.num_queries),
    ),
):
    register_reward(_name, _summary)(_of_facts)


@dataclass(frozen=True, slots=True)
class RewardSpec:
    """A weighted sum of reward terms."""

    weights: tuple[tuple[str, float], ...]

    def __call__(self, facts: EpisodeFacts) -> float:
        """The reward of an ended episode.

        Raises:
            BerrypickError: a term fails, or its value or the sum is not a finite number. Whoever plays episodes stops
                at the first, since rollouts without a reward could not be read again.
        """
        total = sum(weight * _value(name, facts) for name, weight in self.weights)
        if not math.isfinite(total):
            raise BerrypickError(f"the weighted sum of the reward is {total}; give its terms smaller weights")
        return total


def _value(name: str, facts: EpisodeFacts) -> float:
    """The value of a term, which may be a user's function."""
    try:
        value = float(REWARD_TERMS[name](facts))
    except BerrypickError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise BerrypickError(
            f"reward term {name} failed with {type(error).__name__}: {first_line(error)} "
            f"({Path(frame.filename).name}:{frame.lineno}); fix that function"
        ) from error
    if not math.isfinite(value):
        raise BerrypickError(f"reward term {name} is {value}; it must be a finite number")
    return value


_TERM = re.compile(r"\s*([+-]?)\s*(?:((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*)?([A-Za-z_]\w*)\s*")


def parse_reward(spec: str) -> RewardSpec:
    """Parses "TERM", "WEIGHT*TERM" and sums of them.

    Files come first, "FILE.py:SUM"; they run once in a process and register their terms.

    Raises:
        UnknownNameError: a term that is not registered; the message offers the nearest ones.
        BerrypickError: the text is not such a sum, or a file cannot be loaded.
    """
    if not isinstance(spec, str):
        raise BerrypickError(f'reward must be a text such as "em + 0.2*evidence_recall", got {spec!r}')
    return _parse_reward(REWARD_TERMS.load_files(spec))


@lru_cache(maxsize=64)
def _parse_reward(spec: str) -> RewardSpec:
    at = 0
    weights: list[tuple[str, float]] = []
    while at < len(spec) or not weights:
        match = _TERM.match(spec, at)
        if match is None or (weights and not match.group(1)):
            raise BerrypickError(f'reward {spec!r} is not a sum of terms; write for example "em + 0.2*evidence_recall"')
        sign, weight, name = match.groups()
        REWARD_TERMS.find(name)
        value = float(weight or 1)
        if not math.isfinite(value):
            raise BerrypickError(f"reward {spec!r}: the weight {weight} is not finite; give a smaller one")
        weights.append((name, -value if sign == "-" else value))
        at = match.end()
    return RewardSpec(tuple(weights))
