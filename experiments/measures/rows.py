"""The JSON of measures, typed: what summaries, comparisons and reports hold on disk and in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypeAlias, TypedDict

from ...envs.metrics.statistics import Estimate

__all__ = [
    "ArmsReport",
    "ContradictionRow",
    "EstimateRow",
    "FrontierRow",
    "LikenessRow",
    "PairedRow",
    "PopulationRow",
    "ReferenceRows",
    "SeedsRow",
    "SummaryRow",
    "estimate_row",
]


class EstimateRow(TypedDict):
    """A value with its 95 % interval over n units."""

    value: float
    low: float
    high: float
    n: int


class SeedsRow(TypedDict):
    """An estimate over seeds: no interval from one seed, no value from none."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class ContradictionRow(TypedDict):
    """Rollouts whose recorded reward and exact match contradict each other; see `contradicts`.

    Attributes:
        rollouts: number of them.
        of: rollouts that have both a reward and an exact match.
        share: rollouts / of.
        rewarded: those that are rewarded without an exact match; the others match without a reward.
    """

    rollouts: int
    of: int
    share: float
    rewarded: int


class SummaryRow(TypedDict):
    """All measures of one arm.

    Attributes:
        measures: key -> estimate over questions.
        left_out: key -> number of questions without a value.
        absent: key -> why no question has a value.
        reward_against_em: present if recorded rewards and exact match contradict each other.
    """

    policy_id: str | None
    num_questions: int
    num_episodes: int
    samples: int
    measures: dict[str, EstimateRow]
    left_out: dict[str, int]
    absent: dict[str, str]
    reward_against_em: NotRequired[ContradictionRow]


class PairedRow(TypedDict):
    """Two arms on the questions that both answered.

    Attributes:
        num_shared: questions of both arms.
        num_not_shared: questions of one arm only.
        samples: rollouts per question that were compared.
        differences: key -> estimate of second - first.
    """

    num_shared: int
    num_not_shared: int
    samples: int
    differences: dict[str, EstimateRow]


class FrontierRow(TypedDict):
    """The exact frontier: [pass@1, pass@k] of its points, and how far each may lie from the optimum."""

    k: int
    max_gap: float
    points: list[list[float]]


class PopulationRow(TypedDict):
    """World: what the choices of the arms are worth over all questions that the World can draw, read perfectly.

    Attributes:
        k: of pass@k.
        arms: name -> pass@1, pass@k and waste.
        differences: "b - a" -> change of pass@1 and of pass@k; price and by_waste, which sum to that of pass@1.
    """

    k: int
    arms: dict[str, dict[str, EstimateRow]]
    differences: dict[str, dict[str, EstimateRow]]


ReferenceRows: TypeAlias = Mapping[str, Mapping[str, float]]
"""Name of a reference policy -> key of a measure -> exact value."""


class CoverageRow(TypedDict):
    """How many questions of an evaluation can be answered from its corpus.

    Attributes:
        questions: number of questions.
        open: those whose answer is a text to find, not yes or no.
        found: open questions with an accepted answer in some passage.
        bound: the most that a policy can reach that copies answers from passages.
        absent: ids of the open questions whose answer is in no passage.
    """

    questions: int
    open: int
    found: int
    bound: float
    absent: list[str]


class LikenessRow(TypedDict):
    """How alike rollouts are, within an arm or between two; see `likeness`.

    Attributes:
        questions: number of questions that were compared.
        floor: similarity of rollouts of different questions.
        alike: similarity of rollouts of one question; absent within an arm that has one rollout of each.
        above_floor: the difference.
        high: share of questions on which `alike` is above .8.
    """

    questions: int
    floor: EstimateRow
    alike: NotRequired[EstimateRow]
    above_floor: NotRequired[EstimateRow]
    high: NotRequired[EstimateRow]


class ArmsReport(TypedDict):
    """The report on some arms, as `berrypick report --json` prints it.

    Attributes:
        arms: name -> summary.
        differences: "b - a" -> comparison.
        references: exact values for the same questions (World).
        frontier: the exact frontier of the same questions (World).
        no_frontier: why there is no exact frontier.
        population: values over all questions of the World; only where arms are compared.
        no_population: why there are none.
        lines_left_out: number of bad lines that were skipped.
        rollouts_missing: number of rollouts of these evaluations that the files lack.
        training_reward: name of an arm -> mean reward on the training questions.
        trained: name of an arm -> how its policy was trained, where its run folder is found.
        coverage: name of a run folder -> how many of its questions its corpus can answer.
        likeness: name of an arm, or "a | b" -> how alike their rollouts are.
    """

    arms: dict[str, SummaryRow]
    differences: dict[str, PairedRow]
    references: NotRequired[ReferenceRows]
    frontier: NotRequired[FrontierRow]
    no_frontier: NotRequired[str]
    population: NotRequired[PopulationRow]
    no_population: NotRequired[str]
    lines_left_out: NotRequired[int]
    rollouts_missing: NotRequired[int]
    training_reward: NotRequired[dict[str, float]]
    trained: NotRequired[dict[str, str]]
    coverage: NotRequired[dict[str, CoverageRow]]
    likeness: NotRequired[dict[str, LikenessRow]]


def estimate_row(estimate: Estimate) -> EstimateRow:
    """Converts an estimate to its JSON."""
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
