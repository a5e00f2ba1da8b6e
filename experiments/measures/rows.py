"""The JSON of measures, typed: what summaries, comparisons and reports hold on disk and in memory."""

from __future__ import annotations

from typing import TypedDict

from ...envs.metrics.statistics import Estimate

__all__ = ["EstimateRow", "estimate_row"]


class EstimateRow(TypedDict):
    """A value with its 95 % interval over n units; None where too few units gave one."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def estimate_row(estimate: Estimate) -> EstimateRow:
    """Turns an estimate into its JSON."""
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
