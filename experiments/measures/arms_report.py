"""Rollouts by arm to a report: a summary of each arm, paired differences, and the exact values of World."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .exact_rows import ExactRows, exact_rows
from .paired import compare
from .population_price import population_row
from .rollout import Played, Rollout, rollouts_of
from .rows import ArmsReport
from .same_questions import check_same_questions
from .summary import summarize

__all__ = ["Arms", "measure_arms"]

Arms = Mapping[str, Sequence[Played]]
"""Name of an arm -> its rollouts."""


def measure_arms(arms: Arms) -> ArmsReport:
    """Measures every arm and compares each with the first.

    Args:
        arms: rollouts by arm, at least one arm. On World questions that all arms share, the report also holds the
            exact frontier and the exact values of reference policies.

    Raises:
        BerrypickError: one id stands for different questions.
    """
    check_same_questions(arms)
    read = {name: rollouts_of(played) for name, played in arms.items()}
    exact = _exact(read)
    frontier = None if isinstance(exact, str) else exact.frontier
    base, first = next(iter(read.items()))
    report: ArmsReport = {
        "arms": {name: summarize(rollouts, frontier=frontier) for name, rollouts in read.items()},
        "differences": {
            f"{name} - {base}": compare(first, rollouts) for name, rollouts in read.items() if name != base
        },
    }
    if isinstance(exact, str):
        report["no_frontier"] = exact
    else:
        report["references"], report["frontier"] = exact.references, exact.as_json()
        if len(read) > 1:
            priced = population_row(read, exact.frontier.k)
            if isinstance(priced, str):
                report["no_population"] = priced
            else:
                report["population"] = priced
    return report


def _exact(arms: Mapping[str, Sequence[Rollout]]) -> ExactRows | str:
    """The exact values for the questions of all arms, or why there are none."""
    if len({frozenset(rollout.question.id for rollout in rollouts) for rollouts in arms.values()}) > 1:
        return (
            "no exact frontier here: it belongs to one set of questions, and these arms answered different ones; "
            "report them apart"
        )
    return exact_rows([rollout for rollouts in arms.values() for rollout in rollouts], _largest_k(arms))


def _largest_k(arms: Mapping[str, Sequence[Rollout]]) -> int:
    """The largest k for which every question of every arm has enough rollouts."""
    size = min(min(Counter(rollout.question.id for rollout in rollouts).values()) for rollouts in arms.values())
    return max(k for k in (1, 2, 4, 8) if k <= size)
