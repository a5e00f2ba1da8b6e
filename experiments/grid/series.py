"""The grid's results as seed-paired series: what a claim, a table row or a picture is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...envs.metrics.statistics import Estimate, paired_t_interval
from ...envs.world.frontier import Frontier
from .experiment import Cell, Results
from .table_cells import TableCell

__all__ = [
    "Grid",
    "Series",
    "avoidable_tax",
    "equal_entropy_difference",
    "estimate_of",
    "estimate_row",
    "matched_difference",
    "paired",
    "read_grid",
    "read_language",
    "trajectory",
]


@dataclass(frozen=True, slots=True)
class Series:
    """One arm at one strength in one condition.

    Attributes:
        results: seed -> the cell's result.
        missing: seed -> why there is none.
    """

    results: Mapping[int, Mapping[str, Any]]
    missing: Mapping[int, str]

    @property
    def seeds(self) -> list[int]:
        """Seeds with a result."""
        return sorted(self.results)

    @property
    def steps(self) -> list[int]:
        """Checkpoints that all its cells have."""
        return sorted(set.intersection(*(set(map(int, one["checkpoints"])) for one in self.results.values())))

    def values(self, measure: str, *, step: int | None = None) -> dict[int, float]:
        """Seed -> the measure at a checkpoint, the last one by default; NaN where the checkpoint lacks it."""
        out = {}
        for seed in self.seeds:
            checkpoints = self.results[seed]["checkpoints"]
            at = max(map(int, checkpoints)) if step is None else step
            out[seed] = checkpoints[str(at)].get(measure, math.nan)
        return out

    def curve(self, seed: int, measure: str, along: str) -> list[float]:
        """The measure along checkpoints, temperatures (1 among them) or mixes (start and end among them), in order."""
        result = self.results[seed]
        points = {float(key): values.get(measure, math.nan) for key, values in result[along].items()}
        steps = sorted(map(int, result["checkpoints"]))
        start, end = (result["checkpoints"][str(step)].get(measure, math.nan) for step in (steps[0], steps[-1]))
        if along == "temperatures":
            points[1.0] = end
        elif along == "mixes":
            points |= {0.0: start, 1.0: end}
        return [points[key] for key in sorted(points)]


@dataclass(frozen=True, slots=True)
class Grid:
    """All series by (condition, arm, strength)."""

    series: Mapping[tuple[str, str, float], Series]
    sizes: tuple[int, int]

    @property
    def conditions(self) -> list[str]:
        """In the order of the cells."""
        return list(dict.fromkeys(condition for condition, _, _ in self.series))

    def strengths(self, condition: str, arm: str) -> list[float]:
        """Of an arm in a condition."""
        return [s for c, a, s in self.series if (c, a) == (condition, arm)]


def read_grid(results: Results, cells: Sequence[Cell]) -> Grid:
    """Sorts the tabular cells of a run; cells that crashed or were not started are missing with their reason."""
    found: dict[tuple[str, str, float], Series] = {}
    sizes = (0, 0)
    for cell in cells:
        if cell.config["policy"] != "tabular":
            continue
        table = TableCell.from_config(dict(cell.config))
        sizes = table.sizes
        series = found.setdefault((table.condition, table.arm, table.strength), Series({}, {}))
        if cell.key in results.done:
            series.results[table.seed] = results.done[cell.key]  # type: ignore[index]
        else:
            series.missing[table.seed] = results.failed.get(cell.key, "not run")  # type: ignore[index]
    return Grid(found, sizes)


def read_language(results: Results, cells: Sequence[Cell]) -> dict[tuple[str, str], Series]:
    """The language-model cells of a run by (condition, arm); all of them start from diverse demonstrations."""
    found: dict[tuple[str, str], Series] = {}
    for cell in cells:
        if cell.config["policy"] == "tabular":
            continue
        series = found.setdefault((f"{cell.config['preset']}/diverse", cell.config["arm"]), Series({}, {}))
        if cell.key in results.done:
            series.results[cell.config["seed"]] = results.done[cell.key]  # type: ignore[index]
        else:
            series.missing[cell.config["seed"]] = results.failed.get(cell.key, "not run")  # type: ignore[index]
    return found


def estimate_of(values: Sequence[float]) -> Estimate | None:
    """Mean with Student's interval over seeds; NaN left out; None without a value, no interval with a single one."""
    kept = [value for value in values if not math.isnan(value)]
    if not kept:
        return None
    if len(kept) == 1:
        return Estimate(kept[0], math.nan, math.nan, 1)
    return paired_t_interval(kept)


def estimate_row(values: Mapping[int, float] | Sequence[float]) -> dict[str, Any] | None:
    """`estimate_of` values, by seed or in order, as a JSON-able row."""
    estimate = estimate_of(list(values.values()) if isinstance(values, Mapping) else values)
    return None if estimate is None else asdict(estimate)


def trajectory(series: Series, names: Sequence[str], steps: Sequence[int]) -> dict[str, dict[str, float]]:
    """Means over seeds at chosen checkpoints."""
    if not series.seeds:
        return {}
    return {
        str(step): {name: float(np.mean(list(series.values(name, step=step).values()))) for name in names}
        for step in steps
    }


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """Seed -> first - second over the seeds that both have."""
    return {seed: first[seed] - second[seed] for seed in sorted(set(first) & set(second))}


def matched_difference(
    arm: Series, control: Series, measure: str = "pass@1", *, along: str = "checkpoints", by: str = "breadth"
) -> dict[int, float]:
    """Seed -> the arm's measure minus what its control has where it has the arm's final breadth.

    Args:
        arm: read at its last checkpoint.
        control: walked along a curve of its own, joined by straight lines from the start on.
        measure: what is compared.
        along: "checkpoints" (stopped early), "temperatures" (its end, sampled colder or hotter) or "mixes" (weights
            between its start and its end).
        by: what is held equal.

    Returns:
        NaN where the control's curve never has the arm's value; where it has it several times, its best counts.
    """
    out = {}
    for seed, wanted in arm.values(by).items():
        if seed in control.results:
            widths, values = (control.curve(seed, name, along) for name in (by, measure))
            out[seed] = arm.values(measure)[seed] - _where(widths, values, wanted)
    return out


def equal_entropy_difference(arm: Series, ladder: Sequence[Series], measure: str) -> dict[int, float]:
    """Seed -> the arm's measure minus that of an entropy bonus of such a weight that both end at equal entropy.

    Args:
        arm: any arm.
        ladder: the same seeds without a bonus, then with rising weights; joined by straight lines.
        measure: what is compared.
    """
    out = {}
    for seed, entropy in arm.values("kind_entropy").items():
        if all(seed in rung.results for rung in ladder):
            entropies = [rung.values("kind_entropy")[seed] for rung in ladder]
            values = [rung.values(measure)[seed] for rung in ladder]
            out[seed] = arm.values(measure)[seed] - _where(entropies, values, entropy)
    return out


def _where(widths: Sequence[float], values: Sequence[float], width: float) -> float:
    """The largest value where a polygon has a width: breadth may rise before it falls, and is then had twice."""
    found = []
    for (w0, v0), (w1, v1) in pairwise(zip(widths, values)):
        if w0 == w1 == width:
            found += [v0, v1]
        elif min(w0, w1) <= width <= max(w0, w1):
            found.append(v0 + (width - w0) / (w1 - w0) * (v1 - v0))
    return max(found, default=math.nan)


_ROUNDING = 1e-6
"""Cells keep 7 digits."""


def avoidable_tax(front: Frontier, one: float, many: float) -> float:
    """Most pass@1 that the frontier has with at least this pass@k, minus the pass@1 at hand; at least 0 up to gaps."""
    best = -math.inf
    points = sorted((point.pass_at_1, point.pass_at_k) for point in front.points)
    for (x0, y0), (x1, y1) in pairwise(points):
        for x, y in ((x0, y0), (x1, y1)):
            if y >= many - _ROUNDING:
                best = max(best, x)
        if (y0 - many) * (y1 - many) < 0:
            best = max(best, x0 + (many - y0) / (y1 - y0) * (x1 - x0))
    return float(np.nan if best == -math.inf else best - one)
