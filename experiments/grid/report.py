"""Results of the grid to one JSON-able report: conditions, arms, verdicts, and the text made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..diversity_tax.claims import CLAIMS
from ..diversity_tax.taxes import tax_rows
from ..report.grid_screen import report_text
from .arms import ARMS
from .claims import judge
from .contrasts import control_of, gather_evidence
from .earlier import read_earlier, table_evidence, table_settings, with_table_of
from .experiment import Cell, Results, Scale
from .language_report import LANGUAGE_MEASURES, language_rows
from .series import (
    Grid,
    Series,
    avoidable_tax,
    equal_entropy_difference,
    estimate_row,
    matched_difference,
    paired,
    read_grid,
    read_language,
    trajectory,
)
from .table_cells import ANSWERS_SUFFIX, FRONTIER_K, condition_frontier

__all__ = ["diversity_report", "language_csv", "measures_of", "per_seed_csv"]

MEASURES = ("pass@1", "pass@2", "pass@4", "pass@8", "pass@16", "breadth", "kind_entropy", "kind_information")

ANSWER_MEASURES = ("searches", "choice@1", "choice@8", "choice@24_searches", "answers@8")
"""Of Worlds with conflicting answers, beside the others."""
MATCHED = (("checkpoints", "matched"), ("temperatures", "matched_by_temperature"), ("mixes", "matched_by_mixing"))


def diversity_report(results: Results, cells: Sequence[Cell], scale: Scale, version: int) -> dict[str, Any]:
    """The whole report; what was not run is said and never filled in.

    A table of kinds of which no cell was run is that of `results.earlier`, if there is such a report.
    """
    grid, language_series = read_grid(results, cells), read_language(results, cells)
    language = [cell.key for cell in cells if cell.config["policy"] != "tabular"]
    settings = table_settings(cells, version)
    waiting = set(results.not_run)
    table_begun = any(cell.key not in waiting for cell in cells if cell.config["policy"] == "tabular")
    earlier = None if results.earlier is None or table_begun else read_earlier(results.earlier, settings)
    evidence = gather_evidence(grid, language_series) | ({} if earlier is None else table_evidence(earlier))
    report: dict[str, Any] = {
        "experiment": "diversity_tax",
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
        "taxes": tax_rows(grid, language_series),
        "conditions": {condition: _condition(grid, condition) for condition in grid.conditions},
        "language_model": language_rows(language_series),
        "verdicts": [verdict.as_row() for verdict in judge(CLAIMS, evidence)],
    }
    out: dict[str, Any] = _plain(report if earlier is None else with_table_of(earlier, report))
    return {**out, "text": report_text(out)}


def _plain(value: Any) -> Any:
    """JSON has no NaN: None, and floats of 5 digits."""
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _condition(grid: Grid, condition: str) -> dict[str, Any]:
    preset = condition.split("/")[0]
    front = condition_frontier(preset, grid.sizes)
    here = [series for (name, _, _), series in grid.series.items() if name == condition and series.seeds]
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
            for arm in dict.fromkeys(a for c, a, _ in grid.series if c == condition)
        },
    }


def measures_of(condition: str) -> tuple[str, ...]:
    """What is reported of a condition."""
    return (*MEASURES, *ANSWER_MEASURES) if condition.split("/")[0].endswith(ANSWERS_SUFFIX) else MEASURES


def _arm(grid: Grid, condition: str, arm: str, strength: float, steps: Sequence[int]) -> dict[str, Any]:
    series = grid.series[condition, arm, strength]
    control = control_of(grid, condition, arm)
    front = condition_frontier(condition.split("/")[0], grid.sizes)
    ones, manys = series.values("pass@1"), series.values(f"pass@{FRONTIER_K}")
    measures = measures_of(condition)
    out: dict[str, Any] = {
        "seeds": series.seeds,
        "missing": {str(seed): why for seed, why in sorted(series.missing.items())},
        "measures": {name: estimate_row(series.values(name)) for name in measures},
        "frontier_distance": estimate_row([front.value(ones[s]) - manys[s] for s in series.seeds]),
        "avoidable_tax": estimate_row([avoidable_tax(front, ones[s], manys[s]) for s in series.seeds]),
    }
    if (strength,) == ARMS[arm].middle:  # of what tables and pictures read along the way
        out["trajectory"] = trajectory(series, ("pass@1", f"pass@{FRONTIER_K}", "breadth", "kind_entropy"), steps)
        out |= {part: _means(series, part) for part in ("temperatures", "mixes")}
    if control is not None:
        differences = {name: paired(series.values(name), control.values(name)) for name in measures}
        out["control"] = ARMS[arm].control
        out["difference"] = {name: estimate_row(d) for name, d in differences.items()}
        for along, name in MATCHED:
            out[name] = estimate_row(matched_difference(series, control, along=along))
        ladder = _entropy_ladder(grid, condition)
        if ladder:
            out["equal_entropy"] = {
                name: estimate_row(equal_entropy_difference(series, ladder, name))
                for name in ("pass@1", f"pass@{FRONTIER_K}")
            }
        out["overtakes_at_k"] = _crossing(out["difference"])
    return out


def _entropy_ladder(grid: Grid, condition: str) -> list[Series]:
    """GRPO without, then with rising entropy bonuses."""
    rungs = [("grpo", 0.0), *(("entropy", strength) for strength in sorted(grid.strengths(condition, "entropy")))]
    found = [grid.series.get((condition, arm, strength)) for arm, strength in rungs]
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
    names = ("pass@1", f"pass@{FRONTIER_K}", "breadth", "kind_entropy")
    keys = series.results[series.seeds[0]][part]
    return {
        key: {
            name: float(np.mean([series.results[s][part][key].get(name, np.nan) for s in series.seeds]))
            for name in names
        }
        for key in keys
    }


def per_seed_csv(results: Results, cells: Sequence[Cell], *, answers: bool = False) -> str:
    """One line a cell: condition, arm, strength, seed, measures at the end; of Worlds with one answer, or several."""
    grid = read_grid(results, cells)
    names = (*MEASURES, *ANSWER_MEASURES) if answers else MEASURES
    lines = [",".join(("condition", "arm", "strength", "seed", *names))]
    for (condition, arm, strength), series in grid.series.items():
        if measures_of(condition) != names:
            continue
        columns = [series.values(name) for name in names]
        for seed in series.seeds:
            values = ",".join(f"{column[seed]:.5f}" for column in columns)
            lines.append(f"{condition},{arm},{strength:g},{seed},{values}")
    return "\n".join(lines) + "\n"


def language_csv(results: Results, cells: Sequence[Cell]) -> str:
    """One line a language-model cell and checkpoint."""
    lines = [",".join(("condition", "arm", "seed", "step", *LANGUAGE_MEASURES))]
    for (condition, arm), series in read_language(results, cells).items():
        for seed in series.seeds:
            for step, values in series.results[seed]["checkpoints"].items():
                row = ",".join(f"{values.get(name, math.nan):.5f}" for name in LANGUAGE_MEASURES)
                lines.append(f"{condition},{arm},{seed},{step},{row}")
    return "\n".join(lines) + "\n"
