"""The law over Worlds: a row for each run, in all Worlds and in those without and with a cue, and the verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.statistics import paired_t_interval
from ..grid.arms import Arm
from ..grid.experiment import CellResult, Results
from ..grid.table_cells import FRONTIER_K
from ..measures.rows import SeedsRow
from ..report.format import Report
from .registration import CLAIMS, IDENTITY, Kind
from .runs import Array, Run, read_runs
from .verdicts import explained, judge, median_of, statistic

__all__ = ["law_csv", "law_report"]

_STATISTICS: Mapping[str, Kind] = {
    "r2": "explained",
    "median_waste_difference": "little waste",
    "median_error": "predicted",
}


def law_report(results: Results, runs: Sequence[tuple[str, float]], arms: Mapping[str, Arm]) -> Report:
    """The rows of all runs and the verdicts, over the Worlds that are there."""
    pilot_cells, cells = _cells(results, "pilot/"), _cells(results, "law/")
    pilot, found = read_runs(pilot_cells, runs, arms), read_runs(cells, runs, arms)
    waiting = [*results.not_run, *results.failed]
    return {
        "group_k": FRONTIER_K,
        "identity": IDENTITY,
        "worlds": len(cells),
        "worlds_with_cue": int(_has_cue(cells).sum()),
        "pilot_worlds": len(pilot_cells),
        "waiting": len(waiting),
        "runs": {name: _row(run, _has_cue(cells)) for name, run in found.items()} if cells else {},
        "verdicts": [judge(claim, found.get(claim.run), pilot.get(claim.run), waiting) for claim in CLAIMS],
    }


def _cells(results: Results, prefix: str) -> list[CellResult]:
    return [results.done[key] for key in sorted(results.done) if key.startswith(prefix)]


def _has_cue(cells: Sequence[CellResult]) -> NDArray[np.bool_]:
    return np.array([cell["world"]["cue"] > 0 for cell in cells], np.bool_)


def _row(run: Run, cue: NDArray[np.bool_]) -> Report:
    names = ("tax", "gain", "price", "waste", "control_waste")
    row: dict[str, Any] = {
        "control": run.control,
        **{name: _mean(getattr(run, name)) for name in names},
        "points": [
            [round(price, 4), round(tax, 4), None if math.isnan(predicted) else round(predicted, 4), bool(has_cue)]
            for price, tax, predicted, has_cue in zip(
                run.price.tolist(), run.tax.tolist(), run.predicted.tolist(), cue.tolist()
            )
        ],
    }
    for name, inside in (("all", np.ones_like(cue)), ("no cue", ~cue), ("cue", cue)):
        taken = inside[None].astype(np.float64)
        row[name] = {
            "worlds": int(inside.sum()),
            **{key: _mean(getattr(run, key)[inside]) if inside.any() else None for key in ("tax", "gain", "price")},
            "priced": int((run.priced & inside).sum()),
            **{key: _known(statistic(kind, run, taken)) for key, kind in _STATISTICS.items()},
            "taxed_without_price": int((inside & ~run.priced & (np.abs(run.tax) >= IDENTITY)).sum()),
            "r2_of_all": _known(explained(run.tax, run.price, taken)),
            "median_tax": _known(median_of(np.abs(run.tax), taken)),
            "predicted_r2": _known(explained(run.tax, run.predicted, taken)),
            "regression_error": _known(median_of(np.abs(run.tax - run.by_regression), taken)),
            "regression_r2": _known(explained(run.tax, run.by_regression, taken)),
        }
    return row


def _mean(values: Array) -> SeedsRow:
    """Mean over Worlds with Student's interval; no interval from one World."""
    if len(values) < 2:
        return {"value": float(values[0]), "low": None, "high": None, "n": 1}
    mean = paired_t_interval(values.tolist())
    return {"value": mean.value, "low": mean.low, "high": mean.high, "n": mean.n}


def _known(values: Array) -> float | None:
    """The only value; None for NaN, which JSON does not have."""
    return None if math.isnan(values[0]) else float(values[0])


def law_csv(results: Results, runs: Sequence[tuple[str, float]], arms: Mapping[str, Arm]) -> str:
    """One line for each World and run that has a control; a prediction that is not there is empty."""
    cells = _cells(results, "law/")
    names = ("pass_at_1", "pass_at_k", "tax", "gain", "price", "waste", "control_waste", "predicted", "by_regression")
    lines = [",".join(("world", "cue", "run", "control", *names))]
    for run in read_runs(cells, runs, arms).values():
        for at, cell in enumerate(cells):
            values = [float(getattr(run, name)[at]) for name in names]
            texts = ["" if math.isnan(value) else f"{value:.6f}" for value in values]
            world = cell["world"]
            lines.append(",".join([str(world["seed"]), f"{world['cue']:g}", run.name, run.control, *texts]))
    return "\n".join(lines) + "\n"
