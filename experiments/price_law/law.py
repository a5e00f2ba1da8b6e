"""The law over Worlds: tax, price and waste of every run, what explains the tax, what predicts it, and the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.world.population import PopulationFrontier
from ..grid.arms import Arm
from ..grid.experiment import CellResult, Results
from ..grid.series import estimate_row
from ..grid.table_cells import FRONTIER_K
from ..report.format import Report
from .prediction import predicted_taxes
from .registration import CLAIMS, IDENTITY, LawClaim

__all__ = ["Run", "law_csv", "law_report", "read_runs"]

Array = NDArray[np.float64]
RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run in all Worlds, against its control; float64 [worlds] each.

    Attributes:
        name: "arm-strength".
        control: name of the control's run.
        pass_at_1: the arm's.
        pass_at_k: the arm's.
        tax: pass@1 minus the control's.
        gain: pass@k minus the control's.
        price: F(pass@k) - F(the control's pass@k).
        waste: F(pass@k) - pass@1.
        control_waste: the same of the control; tax = price - (waste - control_waste).
        predicted: the tax predicted by a policy of constant balance, fitted on the other half of the Worlds.
        by_regression: the same by a regression on the settings.
    """

    name: str
    control: str
    pass_at_1: Array
    pass_at_k: Array
    tax: Array
    gain: Array
    price: Array
    waste: Array
    control_waste: Array
    predicted: Array
    by_regression: Array

    @property
    def priced(self) -> NDArray[np.bool_]:
        """Worlds with a price."""
        return np.abs(self.price) >= IDENTITY


def _name(run: tuple[str, float]) -> str:
    return f"{run[0]}-{run[1]:g}"


def read_runs(
    cells: Sequence[CellResult], runs: Sequence[tuple[str, float]], arms: Mapping[str, Arm]
) -> dict[str, Run]:
    """The runs that have a control, by name, from cells in the order of Worlds."""
    fronts = [PopulationFrontier.from_rows(FRONTIER_K, cell["frontier"]) for cell in cells]
    worlds = [cell["world"] for cell in cells]
    ends = {_name(run): _ends(cells, _name(run)) for run in runs}
    best = {
        name: np.array([front.best_pass_at_1(y) for front, y in zip(fronts, end[:, 1])]) for name, end in ends.items()
    }
    wastes = {name: best[name] - end[:, 0] for name, end in ends.items()}
    _check(wastes)
    out = {}
    for run in runs:
        control = arms[run[0]].control
        if not control:
            continue
        name, other = _name(run), _name((control, 0.0))
        tax = ends[name][:, 0] - ends[other][:, 0]
        predicted, regression = predicted_taxes(worlds, fronts, ends[name], ends[other])
        out[name] = Run(
            name,
            other,
            ends[name][:, 0],
            ends[name][:, 1],
            tax,
            ends[name][:, 1] - ends[other][:, 1],
            best[name] - best[other],
            wastes[name],
            wastes[other],
            predicted,
            regression,
        )
    return out


def _ends(cells: Sequence[CellResult], name: str) -> Array:
    """(pass@1, pass@k) at the last checkpoint, float64 [worlds, 2]."""
    return np.array([cell["runs"][name][max(cell["runs"][name], key=int)][:2] for cell in cells], np.float64)


def _check(wastes: Mapping[str, Array]) -> None:
    """A policy left of its frontier by rounding only; one that is better than the frontier is an error of ours."""
    for name, waste in wastes.items():
        if len(waste) and not float(waste.min()) >= -1e-5:
            raise ValueError(f"{name} has a waste of {waste.min():.2e}: the frontier or the values are wrong")


def law_report(results: Results, runs: Sequence[tuple[str, float]], arms: Mapping[str, Arm]) -> Report:
    """The rows of all runs and the verdicts, over the Worlds that are there."""
    pilot = read_runs(_cells(results, "pilot/"), runs, arms)
    cells = _cells(results, "law/")
    found = read_runs(cells, runs, arms)
    waiting = [key for key in (*results.not_run, *results.failed) if key.startswith("law/")]
    level = 1 - 0.05 / len(CLAIMS)
    return {
        "group_k": FRONTIER_K,
        "identity": IDENTITY,
        "worlds": len(cells),
        "pilot_worlds": len(next(iter(pilot.values())).tax) if pilot else 0,
        "runs": {name: _row(run, cells) for name, run in found.items()},
        "verdicts": [_verdict(claim, found.get(claim.run), pilot.get(claim.run), waiting, level) for claim in CLAIMS],
    }


def _cells(results: Results, prefix: str) -> list[CellResult]:
    return [results.done[key] for key in sorted(results.done) if key.startswith(prefix)]


def _row(run: Run, cells: Sequence[CellResult]) -> Report:
    cue = np.array([cell["world"]["cue"] > 0 for cell in cells])
    names = ("tax", "gain", "price", "waste", "control_waste")
    row: dict[str, Any] = {
        "control": run.control,
        "priced": int(run.priced.sum()),
        **{name: estimate_row(getattr(run, name).tolist()) for name in names},
        "points": np.round([run.price, run.tax, run.predicted], 4).T.tolist(),
    }
    for name, inside in (("all", np.ones_like(cue)), ("no cue", ~cue), ("cue", cue)):
        row[name] = {
            "worlds": int(inside.sum()),
            **{key: _statistic(kind, run, inside) for key, kind in _KINDS.items()},
            "regression_error": _median(np.abs(run.tax - run.by_regression)[inside]),
            "regression_r2": _r2(run.tax[inside], run.by_regression[inside]),
            "predicted_r2": _r2(run.tax[inside], run.predicted[inside]),
        }
    return row


_KINDS = {"r2": "explained", "median_waste_difference": "little waste", "median_error": "predicted"}


def _statistic(kind: str, run: Run, taken: NDArray[Any]) -> float | None:
    """What a claim of this kind is about, over Worlds given as a mask or as indices."""
    if kind == "predicted":
        return _median(np.abs(run.tax - run.predicted)[taken])
    priced = run.priced[taken]
    if kind == "little waste":
        return _median(np.abs(run.waste - run.control_waste)[taken][priced])
    return _r2(run.tax[taken][priced], run.price[taken][priced])


def _median(values: Array) -> float | None:
    return float(np.median(values)) if len(values) else None


def _r2(tax: Array, predicted: Array) -> float | None:
    """1 - squared error / variance of the tax: what is left to explain; no line is fitted."""
    spread = float(((tax - tax.mean()) ** 2).sum()) if len(tax) > 1 else 0.0
    return 1 - float(((tax - predicted) ** 2).sum()) / spread if spread > 0 else None


def _verdict(claim: LawClaim, run: Run | None, pilot: Run | None, waiting: Sequence[str], level: float) -> Report:
    row: dict[str, Any] = {"id": claim.id, "statement": claim.statement, **asdict(claim), "value": None}
    share = None if pilot is None or not len(pilot.tax) else float(pilot.priced.mean())
    row |= {"pilot_share_priced": share, "low": None, "high": None}
    if share is None:
        return {**row, "verdict": "inconclusive", "reason": "the pilot has not been run"}
    if run is None or not len(run.tax):
        return {**row, "verdict": "inconclusive", "reason": "not run"}
    row["value"] = _statistic(claim.kind, run, np.ones(len(run.tax), bool))
    if waiting:
        reason = f"{len(waiting)} worlds have no result"
        return {**row, "verdict": "inconclusive", "reason": reason}
    if claim.kind != "predicted" and min(share, float(run.priced.mean())) < 0.5:
        return {**row, "verdict": "not decidable here", "reason": "fewer than half of the worlds have a price"}
    low, high = _interval(lambda taken: _statistic(claim.kind, run, taken), len(run.tax), level)
    row |= {"low": low, "high": high}
    good, bad = low >= claim.threshold, high < claim.threshold
    if claim.kind != "explained":
        good, bad = high <= claim.threshold, low > claim.threshold
    verdict = "supported" if good else "contradicted" if bad else "inconclusive"
    reason = "" if verdict != "inconclusive" else "the interval holds both answers"
    return {**row, "verdict": verdict, "reason": reason}


def _interval(statistic: Callable[[NDArray[Any]], float | None], size: int, level: float) -> tuple[float, float]:
    """Percentile bootstrap over Worlds."""
    generator = np.random.default_rng(0)
    values = [statistic(generator.integers(0, size, size)) for _ in range(RESAMPLES)]
    known = [value for value in values if value is not None]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def law_csv(results: Results, runs: Sequence[tuple[str, float]], arms: Mapping[str, Arm]) -> str:
    """One line for each World and run that has a control."""
    cells = _cells(results, "law/")
    names = ("pass_at_1", "pass_at_k", "tax", "gain", "price", "waste", "control_waste", "predicted")
    lines = [",".join(("world", "run", "control", *names))]
    for run in read_runs(cells, runs, arms).values() if cells else ():
        for at, cell in enumerate(cells):
            values = ",".join(f"{getattr(run, name)[at]:.6f}" for name in names)
            lines.append(f"{cell['world']['seed']},{run.name},{run.control},{values}")
    return "\n".join(lines) + "\n"
