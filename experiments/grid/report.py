"""The results of a grid as one JSON-able report: registration, conditions, arms, language models, verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arms import Arm
from .claims import judge
from .comparison import Comparison, compare_arm, frontier_distance, waste
from .condition import Condition
from .contrasts import Contrast
from .evidence import gather_evidence
from .experiment import Cell, Report, Results, Scale
from .language_report import LANGUAGE_MEASURES, language_rows
from .measuring import LanguageCells
from .pilot import registration_rows, undecidable_claims
from .room import language_rooms
from .series import Grid, Series, estimate_row, matched_difference, read_grid, trajectory
from .table_cells import FRONTIER_K, condition_frontier

__all__ = ["Reported", "grid_report", "is_pilot", "language_csv", "measures_of", "per_world_csv"]

MEASURES = ("pass@1", "pass@2", "pass@4", "pass@8", "pass@16", "breadth", "kind_entropy", "kind_information")

ANSWER_MEASURES = ("searches", "choice@1", "choice@8", "choice@24_searches", "answers@8")
"""Further measures of Worlds with conflicting answers."""

_MATCHED = (("checkpoints", "matched"), ("temperatures", "matched_by_temperature"), ("mixes", "matched_by_mixing"))
_ALONG = ("pass@1", f"pass@{FRONTIER_K}", "breadth", "kind_entropy")
POINTS = 60
"""Points of a frontier that figures get; values are computed from all of them."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Names of the measures that a report holds, where an experiment brings its own.

    Attributes:
        tabular: of the tabular policy.
        language: of the language model.
        compared: those of the tabular policy that are also reported along training and minus the control.
    """

    tabular: Sequence[str] = ()
    language: Sequence[str] = ()
    compared: Sequence[str] = ()


def is_pilot(cell: Cell) -> bool:
    """Whether a cell belongs to the worlds that only the checks before registration read."""
    return cell.key.startswith("pilot/")


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
    reported: Reported = Reported(),
    language_cells: LanguageCells | None = None,
) -> Report:
    """The whole report but its text; what was not run is reported as such and never filled in.

    Args:
        name: of the experiment.
        version: of the experiment.
        results: what was computed.
        cells: all cells of the scale.
        scale: of the run.
        arms: of the experiment.
        contrasts: of the experiment.
        further: rows that only this experiment has.
        reported: names of the measures; by default those of the population.
        language_cells: of language models, where the experiment has them.
    """
    pilot = read_grid(results, [cell for cell in cells if is_pilot(cell)], arms)
    grid = read_grid(results, [cell for cell in cells if not is_pilot(cell)], arms)
    registration = registration_rows(pilot, contrasts) if pilot.tabular else []
    rooms = language_rooms(grid, contrasts, language_cells)
    evidence = gather_evidence(grid, contrasts, undecidable_claims([*registration, *rooms]))
    language = [cell.key for cell in cells if cell.config["policy"] != "tabular"]
    report: Report = {
        "experiment": name,
        "version": version,
        "scale": scale,
        "group_k": FRONTIER_K,
        "cells": {
            "done": len(results.done),
            "failed": dict(sorted(results.failed.items())),
            "not_run": len(results.not_run),
            "language_model_done": sum(key in results.done for key in language),
            "language_model_not_run": sum(key in results.not_run for key in language),
            "language_model_cells": len(language),
        },
        "registration": registration,
        "language_rooms": rooms,
        **further(grid),
        "conditions": {condition.name: _condition(grid, condition, reported) for condition in grid.conditions},
        "language_model": language_rows(grid, reported.language),
        "verdicts": [verdict.as_row() for verdict in judge([one.claim for one in contrasts], evidence)],
    }
    out: Report = _plain(report)
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


def _condition(grid: Grid, condition: Condition, reported: Reported) -> Report:
    here = [series for (where, _, _), series in grid.tabular.items() if where == condition and series.worlds]
    names = reported.tabular or measures_of(condition)
    steps = sorted(set.intersection(*(set(series.steps) for series in here))) if here else []
    return {
        "start": {name: estimate_row(here[0].values(name, step=0)) for name in names} if here else {},
        "start_waste": estimate_row(waste("tabular", condition, here[0], step=0)) if here else None,
        "frontier": _frontier_row(condition) if condition.has_frontier else None,
        "arms": {
            arm: {
                f"{strength:g}": _arm(grid, condition, arm, strength, steps, reported)
                for strength in grid.strengths(condition, arm)
            }
            for arm in grid.arms_of(condition)
        },
    }


def _frontier_row(condition: Condition) -> Report:
    front = condition_frontier(condition)
    points = front.points
    taken = sorted({round(i) for i in np.linspace(0, len(points) - 1, min(POINTS, len(points)))})
    return {
        "k": front.k,
        "error": front.error,
        "points": [[points[i].pass_at_1, points[i].pass_at_k] for i in taken],
    }


def measures_of(condition: Condition) -> tuple[str, ...]:
    """What is reported of a condition."""
    return (*MEASURES, *ANSWER_MEASURES) if condition.has_answers else MEASURES


def _arm(
    grid: Grid,
    condition: Condition,
    arm: str,
    strength: float,
    steps: Sequence[int],
    reported: Reported,
) -> Report:
    measures = reported.tabular or measures_of(condition)
    series = grid.tabular[condition, arm, strength]
    out: dict[str, Any] = {
        "worlds": series.worlds,
        "missing": {str(world): why for world, why in sorted(series.missing.items())},
        "measures": {name: estimate_row(series.values(name)) for name in measures},
        "frontier_distance": estimate_row(frontier_distance("tabular", condition, series)),
        "waste": estimate_row(waste("tabular", condition, series)),
    }
    if (strength,) == grid.arms[arm].middle:  # tables and figures read its way, not that of the other strengths
        out["trajectory"] = trajectory(series, reported.compared or reported.tabular or _ALONG, steps)
        out |= {part: _means(series, part) for part in ("temperatures", "mixes")}
    found = compare_arm(grid, "tabular", condition, arm, strength)
    return out if found is None else {**out, **_against_control(found, reported.compared or measures)}


def _against_control(found: Comparison, measures: Sequence[str]) -> Report:
    out: dict[str, Any] = {
        "control": found.control,
        "difference": {name: estimate_row(found.of(name)) for name in measures},
        "price": estimate_row(found.price),
        "control_waste": estimate_row(found.control_waste),
    }
    for along, name in _MATCHED:
        computed = along == "checkpoints"
        values = found.matched if computed else matched_difference(found.arm_series, found.control_series, along=along)
        out[name] = estimate_row(values)
    out["overtakes_at_k"] = _crossing(out["difference"])
    return out


def _crossing(difference: Mapping[str, Any]) -> int | None:
    """Smallest k from which on the interval of arm minus control in pass@k lies above 0; None if it never does."""
    ks = sorted(int(name[5:]) for name in difference if name.startswith("pass@") and name[5:].isdigit())
    above = [bool(difference[f"pass@{k}"]) and difference[f"pass@{k}"]["low"] > 0 for k in ks]
    for at, k in enumerate(ks):
        if all(above[at:]):
            return k
    return None


def _means(series: Series, part: str) -> dict[str, dict[str, float]]:
    """Means over worlds of the values at each temperature or mixing weight; empty for arms without these curves."""
    if not series.worlds or part not in series.results[series.worlds[0]]:
        return {}
    keys = series.results[series.worlds[0]][part]
    return {
        key: {
            name: float(np.mean([series.results[w][part][key].get(name, np.nan) for w in series.worlds]))
            for name in _ALONG
        }
        for key in keys
    }


def per_world_csv(grid: Grid, *, answers: bool = False) -> str:
    """One line per cell: condition, arm, strength, world, final measures; of Worlds with one or several answers."""
    names = (*MEASURES, *ANSWER_MEASURES) if answers else MEASURES
    lines = [",".join(("condition", "arm", "strength", "world", *names))]
    for (condition, arm, strength), series in grid.tabular.items():
        if condition.has_answers != answers:
            continue
        columns = [series.values(name) for name in names]
        for world in series.worlds:
            values = ",".join(f"{column[world]:.6f}" for column in columns)
            lines.append(f"{condition.name},{arm},{strength:g},{world},{values}")
    return "\n".join(lines) + "\n"


def language_csv(grid: Grid) -> str:
    """One line per language-model cell and checkpoint."""
    lines = [",".join(("condition", "arm", "world", "step", *LANGUAGE_MEASURES))]
    for (condition, arm), series in grid.language.items():
        for world in series.worlds:
            for step, values in series.results[world]["checkpoints"].items():
                row = ",".join(f"{values.get(name, math.nan):.5f}" for name in LANGUAGE_MEASURES)
                lines.append(f"{condition.name},{arm},{world},{step},{row}")
    return "\n".join(lines) + "\n"
