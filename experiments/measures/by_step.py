"""A series of checkpoints: measures at each step, where narrowing begins, and the alarms of the series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NotRequired, TypedDict

from ...envs.metrics.alarms import collapse_alarms
from ...retrieval_index.errors import BerrypickError
from .paired import compare
from .rollout import Played, Rollout, rollouts_of
from .rows import ContradictionRow, EstimateRow, PairedRow
from .summary import summarize

__all__ = ["NARROWING", "TRAINING_KEYS", "OnsetRow", "SeriesRow", "StepRow", "series_by_step"]

NARROWING = (
    "breadth", "distinct_passages", "retrieval_clusters", "query_clusters", "unique_query_ratio",
    "query_token_entropy", "semantic_query_entropy", "path_entropy",
)  # fmt: skip
"""Measures that fall when a policy narrows: kinds of breadth, then kinds of entropy."""

_AS_LOGGED = {
    "pass@1": "pass@1",
    "search/query_token_entropy_nats": "query_token_entropy",
    "path_entropy": "path_entropy",
    "search/breadth": "breadth",
    "search/retrieval_clusters": "retrieval_clusters",
    "search/unique_query_ratio": "unique_query_ratio",
    "rl/zero_variance_share": "zero_variance",
    "env/ratio_of_valid_action": "valid_actions",
    "env/degenerate_text": "degenerate_text",
    "env/number_of_valid_search": "searches",
    "search/failed": "search_errors",
}
"""Names of training rows -> the measures that say the same of stored rollouts."""

TRAINING_KEYS = {"reward": "training_reward", **_AS_LOGGED}
"""Names of training rows -> keys of measures, for curves of a training run."""


class StepRow(TypedDict):
    """One checkpoint; see `SummaryRow`."""

    step: int
    num_questions: int
    samples: int
    measures: dict[str, EstimateRow]
    absent: dict[str, str]
    reward_against_em: NotRequired[ContradictionRow]


class OnsetRow(TypedDict):
    """Where a measure begins to stay below its start.

    Attributes:
        step: the first step from which on every mean is below the interval of the first step.
        steps_below: number of steps from there to the end.
    """

    step: int
    steps_below: int


class SeriesRow(TypedDict):
    """The checkpoints of one run.

    Attributes:
        steps: in order.
        onset: key of a measure of `NARROWING` -> where it begins to fall; None if it does not.
        change: the last step minus the first, paired; None if they share no question.
        alarms: see `Alarm`.
        shared: whether all steps were measured on the same questions.
        left_out: rollouts without a step.
    """

    steps: list[StepRow]
    onset: dict[str, OnsetRow | None]
    change: PairedRow | None
    alarms: list[dict[str, Any]]
    shared: bool
    left_out: int


def series_by_step(arms: Mapping[str, Sequence[Played]]) -> dict[str, SeriesRow]:
    """Groups rollouts by `checkpoint_step`.

    Arms that each hold one step, all different, are the checkpoints of one run and become one series. Otherwise every
    arm is a series of its own.

    All steps of a series are measured on the questions that all of them answered, if there are any, and on equally many
    rollouts of each question, because distinct counts grow with their number.

    Raises:
        BerrypickError: an arm has no rollout with a step, or a series has a single step.
    """
    by_arm = {name: _by_step(rollouts_of(played)) for name, played in arms.items()}
    for name, steps in by_arm.items():
        if set(steps) == {None}:
            raise BerrypickError(
                f"{name} has no checkpoint_step, so there is no series; give rollouts of berrypick eval on checkpoints"
            )
    known = [step for steps in by_arm.values() for step in steps if step is not None]
    if len(by_arm) > 1 and len(set(known)) == len(known) == len(by_arm):
        merged = {step: rollouts for steps in by_arm.values() for step, rollouts in steps.items() if step is not None}
        lost = sum(len(steps.get(None, ())) for steps in by_arm.values())
        return {", ".join(by_arm): _series(", ".join(by_arm), merged, lost)}
    return {
        name: _series(name, {step: r for step, r in steps.items() if step is not None}, len(steps.get(None, ())))
        for name, steps in by_arm.items()
    }


def _by_step(rollouts: Sequence[Rollout]) -> dict[int | None, list[Rollout]]:
    steps: dict[int | None, list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        steps[rollout.checkpoint_step].append(rollout)
    return dict(steps)


def _series(name: str, steps: Mapping[int, Sequence[Rollout]], left_out: int) -> SeriesRow:
    if len(steps) < 2:
        raise BerrypickError(f"{name} has rollouts of step {next(iter(steps))} only; a series needs two steps")
    shared, compared = _comparable(steps)
    rows: list[StepRow] = []
    for step in sorted(compared):
        found = summarize(compared[step])
        row: StepRow = {
            "step": step,
            "num_questions": found["num_questions"],
            "samples": found["samples"],
            "measures": found["measures"],
            "absent": found["absent"],
        }
        if "reward_against_em" in found:
            row["reward_against_em"] = found["reward_against_em"]
        rows.append(row)
    alarms = collapse_alarms([_logged(row) for row in rows], window=1, patience=2)
    return {
        "steps": rows,
        "onset": {key: _onset(rows, key) for key in NARROWING if all(key in row["measures"] for row in rows)},
        "change": compare(compared[rows[0]["step"]], compared[rows[-1]["step"]]) if shared else None,
        "alarms": [{**asdict(alarm), "text": alarm.text} for alarm in alarms],
        "shared": shared,
        "left_out": left_out,
    }


def _comparable(steps: Mapping[int, Sequence[Rollout]]) -> tuple[bool, dict[int, list[Rollout]]]:
    """The rollouts of each step, on shared questions and with equally many rollouts of each question."""
    grouped: dict[int, dict[str, list[Rollout]]] = {step: defaultdict(list) for step in steps}
    for step, rollouts in steps.items():
        for rollout in sorted(rollouts, key=lambda r: r.sample_index):
            grouped[step][rollout.question.id].append(rollout)
    common = set.intersection(*(set(questions) for questions in grouped.values()))
    chosen = {
        step: [group for name, group in groups.items() if not common or name in common]
        for step, groups in grouped.items()
    }
    size = min(len(group) for groups in chosen.values() for group in groups)
    return bool(common), {step: [r for group in groups for r in group[:size]] for step, groups in chosen.items()}


def _onset(rows: Sequence[StepRow], key: str) -> OnsetRow | None:
    floor = rows[0]["measures"][key]["low"]
    below = 0
    for row in reversed(rows[1:]):
        if row["measures"][key]["value"] >= floor:
            break
        below += 1
    return {"step": rows[-below]["step"], "steps_below": below} if below else None


def _logged(row: StepRow) -> dict[str, float]:
    found = row["measures"]
    return {"step": row["step"], **{name: found[key]["value"] for name, key in _AS_LOGGED.items() if key in found}}
