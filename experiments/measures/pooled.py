"""Several seeds of the same arms: means over seeds, and seed-paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np

from ...envs.metrics.statistics import paired_t_interval
from .rows import ArmsReport, EstimateRow, ReferenceRows, estimate_row

__all__ = ["PooledMeasure", "PooledReport", "pool_seeds"]


class PooledMeasure(TypedDict):
    """A measure of one arm: its mean over seeds, and its value for each seed in order."""

    mean: float
    per_seed: list[float]


class PooledReport(TypedDict):
    """Several seeds of the same arms.

    Attributes:
        seeds: sorted.
        arms: name -> key of a measure -> values.
        differences: "a - b" -> key of a measure -> mean of a - b over seeds, with Student's 95 % interval.
        references: exact values, averaged over the seeds' test sets.
    """

    seeds: list[int]
    arms: dict[str, dict[str, PooledMeasure]]
    differences: dict[str, dict[str, EstimateRow]]
    references: ReferenceRows


def pool_seeds(reports: Mapping[int, ArmsReport], pairs: Iterable[tuple[str, str]]) -> PooledReport:
    """Pools the reports of several seeds; only measures that every seed has are kept.

    Args:
        reports: seed -> the report on its arms, which are the same for every seed.
        pairs: arms (a, b) whose difference a - b is wanted; a single seed has none.
    """
    seeds = sorted(reports)
    arms: dict[str, dict[str, PooledMeasure]] = {}
    for name in reports[seeds[0]]["arms"]:
        rows = [_values(reports[seed], name) for seed in seeds]
        shared = sorted(set.intersection(*(set(row) for row in rows)))
        arms[name] = {key: _pooled([row[key] for row in rows]) for key in shared}
    differences = {}
    for first, second in pairs:
        if first in arms and second in arms and len(seeds) > 1:
            keys = sorted(set(arms[first]) & set(arms[second]))
            differences[f"{first} - {second}"] = {
                key: estimate_row(paired_t_interval(_minus(arms[first][key], arms[second][key]))) for key in keys
            }
    references = {
        name: {key: float(np.mean([reports[seed]["references"][name][key] for seed in seeds])) for key in row}
        for name, row in reports[seeds[0]].get("references", {}).items()
        if all(name in reports[seed].get("references", {}) for seed in seeds)
    }
    return {"seeds": seeds, "arms": arms, "differences": differences, "references": references}


def _values(report: ArmsReport, arm: str) -> dict[str, float]:
    values = {key: estimate["value"] for key, estimate in report["arms"][arm]["measures"].items()}
    rewards = report.get("training_reward", {})
    return values | ({"training_reward": rewards[arm]} if arm in rewards else {})


def _pooled(values: Sequence[float]) -> PooledMeasure:
    return {"mean": float(np.mean(values)), "per_seed": [float(value) for value in values]}


def _minus(first: PooledMeasure, second: PooledMeasure) -> list[float]:
    return [a - b for a, b in zip(first["per_seed"], second["per_seed"], strict=True)]
