"""The results of a grid as one JSON-able report: conditions, arms, language models, verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .arms import Arm
from .claims import judge
from .comparison import compare_arm, frontier_distance, policy_frontier, waste
from .condition import Condition
from .contrasts import Contrast, gather_evidence
from .earlier import read_earlier, table_evidence, table_settings, with_table_of
from .experiment import Cell, Report, Results, Scale
from .language_report import LANGUAGE_MEASURES, language_rows
from .series import Grid, Series, equal_entropy_difference, estimate_row, matched_difference, read_grid, trajectory
from .table_cells import FRONTIER_K

__all__ = ["grid_report", "language_csv", "measures_of", "per_seed_csv"]

MEASURES = ("pass@1", "pass@2", "pass@4", "pass@8", "pass@16", "breadth", "kind_entropy", "kind_information")

ANSWER_MEASURES = ("searches", "choice@1", "choice@8", "choice@24_searches", "answers@8")
"""Further measures of Worlds with conflicting answers."""

_MATCHED = (("checkpoints", "matched"), ("temperatures", "matched_by_temperature"), ("mixes", "matched_by_mixing"))
_ALONG = ("pass@1", f"pass@{FRONTIER_K}", "breadth", "kind_entropy")


def grid_report(
    name: str,
    version: int,
    results: Results,
    cells: Sequence[Cell],
    scale: Scale,
    *,
    arms: Mapping[str, Arm],
    contrasts: Sequence[Contrast],
    further: Callable[[Grid], Report] = lambda grid: {},
) -> Report:
    """The whole report but its text; what was not run is reported as such and never filled in.

    If no tabular cell was run, the tabular part is that of `results.earlier`, where there is such a report.

    Args:
        name: of the experiment.
        version: of the experiment.
        results: what was computed.
        cells: all cells of the scale.
        scale: of the run.
        arms: of the experiment.
        contrasts: of the experiment.
        further: rows that only this experiment has.
    """
    grid = read_grid(results, cells, arms)
    settings = table_settings(cells, version)
    waiting = set(results.not_run)
    tabular_begun = any(cell.key not in waiting for cell in cells if cell.config["policy"] == "tabular")
    earlier = None
    if results.earlier is not None and not tabular_begun:
        earlier = read_earlier(results.earlier, name, settings, contrasts)
    evidence = gather_evidence(grid, contrasts) | (table_evidence(earlier, contrasts) if earlier else {})
    language = [cell.key for cell in cells if cell.config["policy"] != "tabular"]
    report: Report = {
        "experiment": name,
        "scale": scale,
        "group_k": FRONTIER_K,
        "test_questions": grid.sizes[1],
        "cells": {
            "done": len(results.done),
            "failed": dict(sorted(results.failed.items())),
            "not_run": len(results.not_run),
            "language_model_done": sum(key in results.done for key in language),
            "language_model_cells": len(language),
            "table_settings": settings,
            "taken_over": 0,
        },
        **further(grid),
        "conditions": {condition.name: _condition(grid, condition) for condition in grid.conditions},
        "language_model": language_rows(grid),
        "verdicts": [verdict.as_row() for verdict in judge([one.claim for one in contrasts], evidence)],
    }
    out: Report = _plain(with_table_of(earlier, report, contrasts) if earlier else report)
    return out


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: None for NaN, and floats of five digits."""
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _condition(grid: Grid, condition: Condition) -> Report:
    front = policy_frontier(grid, "tabular", condition)
    here = [series for (where, _, _), series in grid.tabular.items() if where == condition and series.seeds]
    names = measures_of(condition)
    steps = sorted(set.intersection(*(set(series.steps) for series in here))) if here else []
    return {
        "start": {name: estimate_row(here[0].values(name, step=0)) for name in names} if here else {},
        "frontier": {
            "k": front.k,
            "max_gap": front.max_gap,
            "points": [[point.pass_at_1, point.pass_at_k] for point in front.points],
        },
        "arms": {
            arm: {
                f"{strength:g}": _arm(grid, condition, arm, strength, steps)
                for strength in grid.strengths(condition, arm)
            }
            for arm in grid.arms_of(condition)
        },
    }


def measures_of(condition: Condition) -> tuple[str, ...]:
    """What is reported of a condition."""
    return (*MEASURES, *ANSWER_MEASURES) if condition.has_answers else MEASURES


def _arm(grid: Grid, condition: Condition, arm: str, strength: float, steps: Sequence[int]) -> Report:
    series = grid.tabular[condition, arm, strength]
    measures = measures_of(condition)
    out: dict[str, Any] = {
        "seeds": series.seeds,
        "missing": {str(seed): why for seed, why in sorted(series.missing.items())},
        "measures": {name: estimate_row(series.values(name)) for name in measures},
        "frontier_distance": estimate_row(frontier_distance(grid, "tabular", condition, series)),
        "avoidable_tax": estimate_row(waste(grid, "tabular", condition, series)),
    }
    if (strength,) == grid.arms[arm].middle:  # tables and figures read its way, not that of the other strengths
        out["trajectory"] = trajectory(series, _ALONG, steps)
        out |= {part: _means(series, part) for part in ("temperatures", "mixes")}
    found = compare_arm(grid, "tabular", condition, arm, strength)
    if found is None:
        return out
    out["control"] = found.control
    out["difference"] = {name: estimate_row(found.of(name)) for name in measures}
    for along, name in _MATCHED:
        computed = along == "checkpoints"
        out[name] = estimate_row(
            found.matched if computed else matched_difference(series, found.control_series, along=along)
        )
    ladder = _entropy_ladder(grid, condition)
    if ladder:
        out["equal_entropy"] = {
            name: estimate_row(equal_entropy_difference(series, ladder, name))
            for name in ("pass@1", f"pass@{FRONTIER_K}")
        }
    out["overtakes_at_k"] = _crossing(out["difference"])
    return out


def _entropy_ladder(grid: Grid, condition: Condition) -> list[Series]:
    """GRPO without, then with rising entropy bonuses; empty where the experiment lacks one of them."""
    rungs = [("grpo", 0.0), *(("entropy", strength) for strength in sorted(grid.strengths(condition, "entropy")))]
    found = [grid.tabular.get((condition, arm, strength)) for arm, strength in rungs]
    return [series for series in found if series is not None] if all(found) and len(found) > 1 else []


def _crossing(difference: Mapping[str, Any]) -> int | None:
    """Smallest k from which on the interval of arm minus control in pass@k lies above 0; None if it never does."""
    ks = sorted(int(name[5:]) for name in difference if name.startswith("pass@"))
    above = [bool(difference[f"pass@{k}"]) and difference[f"pass@{k}"]["low"] > 0 for k in ks]
    for at, k in enumerate(ks):
        if all(above[at:]):
            return k
    return None


def _means(series: Series, part: str) -> dict[str, dict[str, float]]:
    """Means over seeds of the values at each temperature or mixing weight."""
    if not series.seeds:
        return {}
    keys = series.results[series.seeds[0]][part]
    return {
        key: {
            name: float(np.mean([series.results[s][part][key].get(name, np.nan) for s in series.seeds]))
            for name in _ALONG
        }
        for key in keys
    }


def per_seed_csv(grid: Grid, *, answers: bool = False) -> str:
    """One line per cell: condition, arm, strength, seed, final measures; of Worlds with one answer, or with several."""
    names = (*MEASURES, *ANSWER_MEASURES) if answers else MEASURES
    lines = [",".join(("condition", "arm", "strength", "seed", *names))]
    for (condition, arm, strength), series in grid.tabular.items():
        if condition.has_answers != answers:
            continue
        columns = [series.values(name) for name in names]
        for seed in series.seeds:
            values = ",".join(f"{column[seed]:.5f}" for column in columns)
            lines.append(f"{condition.name},{arm},{strength:g},{seed},{values}")
    return "\n".join(lines) + "\n"


def language_csv(grid: Grid) -> str:
    """One line per language-model cell and checkpoint."""
    lines = [",".join(("condition", "arm", "seed", "step", *LANGUAGE_MEASURES))]
    for (condition, arm), series in grid.language.items():
        for seed in series.seeds:
            for step, values in series.results[seed]["checkpoints"].items():
                row = ",".join(f"{values.get(name, math.nan):.5f}" for name in LANGUAGE_MEASURES)
                lines.append(f"{condition.name},{arm},{seed},{step},{row}")
    return "\n".join(lines) + "\n"
