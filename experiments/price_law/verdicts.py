"""What the claims of the price law are about, with intervals over Worlds, and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..report.format import Report
from .registration import CLAIMS, Kind, LawClaim
from .runs import Array, Run

__all__ = ["explained", "judge", "median_of", "statistic"]

RESAMPLES = 10_000
LEVEL = 1 - 0.05 / len(CLAIMS)
"""Of each interval: 95 % for all claims together."""

_NO_SPREAD = 1e-12
"""A sum of squared deviations below it is rounding."""


def statistic(kind: Kind, run: Run, counts: Array) -> Array:
    """What a claim of a kind is about, float64 [resamples]; NaN where a resample does not have it.

    Args:
        kind: see `LawClaim`.
        run: in all Worlds.
        counts: float64 [resamples, worlds], how often each World is taken; a row of ones is the Worlds themselves.
    """
    if kind == "predicted":
        return median_of(np.abs(run.tax - run.predicted), counts)
    priced = run.priced
    if kind == "little waste":
        return median_of(np.abs(run.waste_difference)[priced], counts[:, priced])
    return explained(run.tax[priced], run.price[priced], counts[:, priced])


def median_of(values: Array, counts: Array) -> Array:
    """Median of values [worlds] that are taken so often [resamples, worlds]; NaN among the values are left out."""
    order = np.argsort(values)
    order = order[~np.isnan(values[order])]
    taken = counts[:, order].cumsum(1)
    if not len(order):
        return np.full(len(counts), np.nan)
    total = taken[:, -1:]
    ranks = (np.floor((total - 1) / 2), np.floor(total / 2))  # of the two in the middle, the same one if odd
    low, high = (values[order][(taken > rank).argmax(1)] for rank in ranks)
    out: Array = np.where(total[:, 0] > 0, (low + high) / 2, np.nan)
    return out


def explained(tax: Array, predicted: Array, counts: Array) -> Array:
    """R2 = 1 - squared error / squared deviation of the tax from its mean; no line is fitted.

    NaN where fewer than two different taxes are taken.
    """
    if not len(tax):
        return np.full(len(counts), np.nan)
    centred = tax - tax.mean()
    total = counts.sum(1)
    spread = counts @ centred**2 - (counts @ centred) ** 2 / np.maximum(total, 1)
    error = counts @ (tax - predicted) ** 2
    out: Array = 1 - np.divide(error, spread, out=np.full(len(counts), np.nan), where=spread > _NO_SPREAD)
    return out


def judge(claim: LawClaim, run: Run | None, pilot: Run | None, waiting: Sequence[str]) -> Report:
    """The row of a claim.

    Args:
        claim: what was registered.
        run: in the Worlds that are there; None if it was not run.
        pilot: the same run in the Worlds of the pilot.
        waiting: keys of cells without a result, the pilot's among them.
    """
    row: dict[str, Any] = {"id": claim.id, "statement": claim.statement, **asdict(claim), "value": None}
    share = None if pilot is None or not len(pilot.tax) else float(pilot.priced.mean())
    row |= {"pilot_share_priced": share, "low": None, "high": None}
    if run is None or not len(run.tax):
        return {**row, "verdict": "inconclusive", "reason": "not run"}
    value = float(statistic(claim.kind, run, np.ones((1, len(run.tax))))[0])
    row["value"] = None if np.isnan(value) else value
    if share is None:
        return {**row, "verdict": "inconclusive", "reason": "the pilot has not been run"}
    if waiting:
        return {**row, "verdict": "inconclusive", "reason": f"{_worlds(len(waiting))} no result"}
    if claim.kind != "predicted" and min(share, float(run.priced.mean())) < 0.5:
        return {**row, "verdict": "not decidable here", "reason": "fewer than half of the worlds have a price"}
    low, high = _interval(claim, run)
    if np.isnan(low):
        return {**row, "verdict": "inconclusive", "reason": "too few worlds for an interval"}
    row |= {"low": low, "high": high}
    good, bad = low >= claim.threshold, high < claim.threshold
    if claim.kind != "explained":
        good, bad = high <= claim.threshold, low > claim.threshold
    verdict = "supported" if good else "contradicted" if bad else "inconclusive"
    reason = "" if verdict != "inconclusive" else "the interval holds both answers"
    return {**row, "verdict": verdict, "reason": reason}


def _worlds(count: int) -> str:
    return "1 world has" if count == 1 else f"{count} worlds have"


def _interval(claim: LawClaim, run: Run) -> tuple[float, float]:
    """Percentile bootstrap over Worlds; NaN if a resample lacks the value: the others would be a selection."""
    size = len(run.tax)
    drawn = np.random.default_rng(0).integers(0, size, (RESAMPLES, size)) + size * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(drawn.reshape(-1), minlength=RESAMPLES * size).reshape(RESAMPLES, size).astype(np.float64)
    values = statistic(claim.kind, run, counts)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
