"""Rollouts to measures: values per question, then means with 95 % bootstrap intervals over questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.accuracy import pass_at_k
from ...envs.metrics.breadth import diff_at_k
from ...envs.metrics.planning import (
    PlanReplay,
    conditional_kind_entropy,
    kind_information,
    kind_information_draws,
    plan_pass_at_k,
    replay,
)
from ...envs.metrics.statistics import Estimate, bootstrap_indices
from ...envs.world.facts import WorldFacts
from ...envs.world.frontier import Frontier
from .arm_columns import format_columns, specificities
from .contradictions import contradiction_row
from .group import Group, mean
from .intervals import arm_estimates
from .measures import MEASURES, load_measures
from .needs import TEXT, absent_reason
from .rollout import Played, Rollout, rollouts_of
from .rows import SummaryRow, estimate_row

__all__ = ["QuestionTable", "question_table_of", "summarize"]


@dataclass(slots=True)
class QuestionTable:
    """The values of one arm for each question.

    Attributes:
        question_ids: sorted.
        columns: key of a measure -> float64 [questions], NaN where a question has no value.
        absent: key of a measure -> why no question has a value.
        first_kinds: World only, [question][rollout] -> the record kind tried first at each hop that was reached.
    """

    question_ids: tuple[str, ...]
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    first_kinds: list[list[tuple[int, ...]]] = field(default_factory=list)


def question_table_of(played: Sequence[Played], ks: Sequence[int] = (1, 2, 4, 8)) -> QuestionTable:
    """Groups rollouts by question and computes every measure for which they hold the data."""
    load_measures()
    by_question: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in rollouts_of(played):
        by_question[rollout.question.id].append(rollout)
    ids = tuple(sorted(by_question))
    groups = [by_question[key] for key in ids]
    table = QuestionTable(ids)
    for name, values in _values_of_groups(groups).items():
        _add(table, name, values, "")
        if name in table.absent:
            table.absent[name] = absent_reason(name, MEASURES[name].needs, groups)
    size = min(map(len, groups))
    graded = [all(rollout.em is not None for rollout in group) for group in groups]
    for k in ks:
        hits = [
            pass_at_k(len(g), sum(r.em == 1.0 for r in g), k) if is_graded and k <= size else None
            for g, is_graded in zip(groups, graded)
        ]
        _add(table, f"pass@{k}", hits, f"samples per question: {size}" if k > size else MEASURES["em"].needs)
    answered = any(rollout.answer_norm is not None for group in groups for rollout in group)
    distinct = [diff_at_k([r.answer_norm for r in g], size) if answered else None for g in groups]
    _add(table, f"answers_distinct@{size}", distinct, "no answers")
    _add(table, "query_specificity", specificities(groups), "fewer than two questions with two rollouts that searched")
    formats = format_columns(groups)
    _add(table, "format_dominant", formats.dominant, TEXT)
    _add(table, "format_entropy", formats.entropy, TEXT)
    if all(WorldFacts.of(group[0].question) is not None for group in groups):
        if not all(len(r.queries) == len(r.rankings) for group in groups for r in group):
            table.absent["pass@1_plan"] = MEASURES["distinct_passages"].needs
            return table
        _add_planning(table, groups, [k for k in ks if k <= size])
    return table


def _values_of_groups(groups: Sequence[Sequence[Rollout]]) -> dict[str, list[float | None]]:
    """Key of a measure -> its value for each question. What a group caches is freed before the next one is measured."""
    measured = {name: measure.of_group for name, measure in MEASURES.items() if measure.of_group is not None}
    values: dict[str, list[float | None]] = {name: [] for name in measured}
    for rollouts in groups:
        group = Group(rollouts)
        for name, of_group in measured.items():
            values[name].append(of_group(group))
    return values


def _add(table: QuestionTable, name: str, values: Sequence[float | None], reason: str) -> None:
    column = np.array([np.nan if value is None else value for value in values], np.float64)
    if np.isnan(column).all():
        table.absent[name] = reason
    else:
        table.columns[name] = column


def _add_planning(table: QuestionTable, groups: Sequence[Sequence[Rollout]], ks: Sequence[int]) -> None:
    """Adds the measures of World, from replays of each rollout's searches by a perfect reader."""
    replays = [[_replay(record) for record in group] for group in groups]
    plan = [sum(r.plan for r in rs) / len(rs) for rs in replays]
    made = [sum(r.made for r in rs) / len(rs) for rs in replays]
    actual = [None if None in (grades := [r.em for r in group]) else mean(grades) for group in groups]
    none = "no query was made"
    # pass@1 = planned - give-up loss - execution loss, for each question
    _add(table, "pass@1_plan", plan, none)
    table.first_kinds = [[r.first_kinds for r in rs] for rs in replays]
    _add(table, "give_up_loss", [p - m for p, m in zip(plan, made)], none)
    lost = [None if a is None else m - a for m, a in zip(made, actual)]
    _add(table, "execution_loss", lost, MEASURES["em"].needs)
    _add(table, "gave_up", [mean([float(r.gave_up) for r in rs]) for rs in replays], none)
    for k in ks:
        _add(table, f"pass@{k}_plan", [plan_pass_at_k([r.plan for r in rs], k) for rs in replays], none)
    _add(table, "executed_right", [mean([float(x) for r in rs for x in r.executed]) for rs in replays], none)
    _add(
        table,
        "new_kind_after_miss",
        [mean([float(x) for r in rs for x in r.new_after_miss]) for rs in replays],
        "no miss was followed by a query",
    )
    _add(
        table,
        "kind_entropy",
        [conditional_kind_entropy([r.first_kinds for r in rs], miller_madow=True) for rs in replays],
        "fewer than two rollouts searched",
    )


def _replay(rollout: Rollout) -> PlanReplay:
    tops = [ranking[0] if ranking else None for ranking in rollout.rankings]
    world = WorldFacts.required(rollout.question, "the planning replay")
    return replay(world, rollout.queries, tops, answered=rollout.terminated)


def summarize(
    played: Sequence[Played],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    frontier: Frontier | None = None,
    seed: int = 0,
) -> SummaryRow:
    """Computes all measures of one arm with 95 % intervals over questions.

    Args:
        played: rollouts of one policy.
        ks: values of k for pass@k.
        frontier: the exact frontier of the same questions; adds the distance to it.
        seed: seed of the bootstrap.
    """
    records = rollouts_of(played)
    table = question_table_of(records, ks)
    measures = arm_estimates(table.columns, seed=seed)
    if frontier is not None:
        if _graded(table, frontier.k):
            measures["frontier_distance"] = estimate_row(_distance(table, frontier, seed))
        else:
            table.absent["frontier_distance"] = f"pass@{frontier.k} is not known for every question"
    information = _information(table, seed)
    if information is not None:
        measures["kind_information"] = estimate_row(information)
    summary: SummaryRow = {
        "policy_id": records[0].policy_id,
        "num_questions": len(table.question_ids),
        "num_episodes": len(records),
        "samples": len(records) // len(table.question_ids),
        "measures": measures,
        "left_out": {
            name: int(missing) for name, column in table.columns.items() if (missing := np.isnan(column).sum())
        },
        "absent": table.absent,
    }
    if (against := contradiction_row(records)) is not None:
        summary["reward_against_em"] = against
    return summary


def _graded(table: QuestionTable, k: int) -> bool:
    """Whether every question has pass@k; the frontier is that of all questions together."""
    column = table.columns.get(f"pass@{k}")
    return column is not None and not np.isnan(column).any()


def _distance(table: QuestionTable, frontier: Frontier, seed: int) -> Estimate:
    """F(pass@1) - pass@k, where F is the frontier; the bootstrap resamples questions and keeps F.

    Both are actual results, not planned ones: a policy that never searched did not reach the frontier.
    """
    one, many = table.columns["pass@1"], table.columns[f"pass@{frontier.k}"]
    indices = bootstrap_indices(len(one), seed=seed)
    value = frontier.value(float(one.mean())) - float(many.mean())
    ones, manys = one[indices].mean(1), many[indices].mean(1)
    low, high = np.quantile([frontier.value(float(a)) - float(b) for a, b in zip(ones, manys)], [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(one))


def _information(table: QuestionTable, seed: int) -> Estimate | None:
    """I(kind; question | hop) with Miller-Madow correction.

    A resample repeats questions, so its information is biased. The interval has the width of the bootstrap's and is
    centred on the value.
    """
    found = kind_information(table.first_kinds, miller_madow=True)
    if found is None:
        return None
    indices = bootstrap_indices(len(table.question_ids), seed=seed)[:200]
    draws = kind_information_draws(table.first_kinds, indices, miller_madow=True)
    low, high = np.quantile(draws - draws.mean(), [0.025, 0.975]) + found.information
    return Estimate(found.information, float(low), float(high), len(table.question_ids))
