"""The results of a grid as series over worlds: what a claim, a table row or a figure is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np

from ...envs.metrics.statistics import Estimate, paired_t_interval
from ...retrieval_index.errors import BerrypickError
from ..measures.rows import EstimateRow
from ..measures.rows import estimate_row as row_of
from .arms import Arm
from .condition import Condition
from .experiment import Cell, CellResult, Results
from .result_check import check_measures
from .table_cells import TableCell

__all__ = [
    "Grid",
    "Policy",
    "Series",
    "best_at_least",
    "estimate_of",
    "estimate_row",
    "matched_difference",
    "paired",
    "read_grid",
    "relative_to",
    "trajectory",
]

Policy = Literal["tabular", "language model"]
NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Series:
    """One arm at one strength in one condition, over worlds. A world is named by the number of its replicate.

    Attributes:
        results: world -> the cell's result.
        missing: world -> why there is none.
    """

    results: Mapping[int, CellResult]
    missing: Mapping[int, str]

    @property
    def worlds(self) -> list[int]:
        """Worlds with a result."""
        return sorted(self.results)

    @property
    def steps(self) -> list[int]:
        """Checkpoints that all its cells have."""
        return sorted(set.intersection(*(set(map(int, result["checkpoints"])) for result in self.results.values())))

    @property
    def num_not_run(self) -> int:
        """Cells that have not been run; those that failed have had their turn."""
        return sum(why == NOT_RUN for why in self.missing.values())

    def values(self, measure: str, *, step: int | None = None) -> dict[int, float]:
        """World -> the measure at a checkpoint, the last one by default; NaN where the checkpoint lacks it."""
        out = {}
        for world in self.worlds:
            checkpoints = self.results[world]["checkpoints"]
            at = max(map(int, checkpoints)) if step is None else step
            out[world] = checkpoints.get(str(at), {}).get(measure, math.nan)
        return out

    def curve(self, world: int, measure: str, along: str) -> list[float]:
        """The measure along checkpoints, temperatures (1 among them) or mixes (start and end among them), in order."""
        result = self.results[world]
        points = {float(key): values.get(measure, math.nan) for key, values in result.get(along, {}).items()}
        steps = sorted(map(int, result["checkpoints"]))
        start, end = (result["checkpoints"][str(step)].get(measure, math.nan) for step in (steps[0], steps[-1]))
        if along == "temperatures":
            points[1.0] = end
        elif along == "mixes":
            points |= {0.0: start, 1.0: end}
        return [points[key] for key in sorted(points)]


@dataclass(frozen=True, slots=True)
class Grid:
    """All series of a run.

    Attributes:
        tabular: (condition, arm, strength) -> series of the tabular policy.
        language: (condition, arm) -> series of the language model.
        arms: name -> arm, of the experiment.
    """

    tabular: Mapping[tuple[Condition, str, float], Series]
    language: Mapping[tuple[Condition, str], Series]
    arms: Mapping[str, Arm]

    @property
    def conditions(self) -> list[Condition]:
        """Conditions of the tabular policy, in the order of the cells."""
        return list(dict.fromkeys(condition for condition, _, _ in self.tabular))

    def arms_of(self, condition: Condition) -> list[str]:
        """Arms of the tabular policy in a condition, in the order of the cells."""
        return list(dict.fromkeys(arm for where, arm, _ in self.tabular if where == condition))

    def strengths(self, condition: Condition, arm: str) -> list[float]:
        """Strengths of an arm in a condition."""
        return [strength for where, name, strength in self.tabular if (where, name) == (condition, arm)]

    def middle(self, condition: Condition, arm: str) -> Series | None:
        """An arm of the tabular policy at the strength that claims are read at."""
        return self.tabular.get((condition, arm, self.arms[arm].middle[0]))

    def num_not_run(self, policy: Policy, condition: Condition) -> int:
        """Cells that have not been run: all of the tabular policy, those of a condition of the language model."""
        if policy == "tabular":
            return sum(one.num_not_run for one in self.tabular.values())
        return sum(one.num_not_run for (where, _), one in self.language.items() if where == condition)


def read_grid(results: Results, cells: Sequence[Cell], arms: Mapping[str, Arm]) -> Grid:
    """Sorts the cells of a run; cells that crashed or were not run are missing with their reason."""
    tabular: dict[tuple[Condition, str, float], _Sorted] = {}
    language: dict[tuple[Condition, str], _Sorted] = {}
    for cell in cells:
        if cell.config["policy"] == "tabular":
            table = TableCell.from_config(cell.config)
            found = tabular.setdefault((table.where, table.arm, table.strength), _Sorted({}, {}))
        else:
            where = Condition.of(cell.config["condition"])
            found = language.setdefault((where, cell.config["arm"]), _Sorted({}, {}))
        if cell.key in results.done:
            check_measures(cell.key, results.done[cell.key])
            found.results[cell.config["seed"]] = results.done[cell.key]
        else:
            found.missing[cell.config["seed"]] = results.failed.get(cell.key, NOT_RUN)
    return Grid(
        MappingProxyType({key: found.series() for key, found in tabular.items()}),
        MappingProxyType({key: found.series() for key, found in language.items()}),
        arms,
    )


@dataclass(frozen=True, slots=True)
class _Sorted:
    """A series while it is read."""

    results: dict[int, CellResult]
    missing: dict[int, str]

    def series(self) -> Series:
        return Series(MappingProxyType(self.results), MappingProxyType(self.missing))


def estimate_of(values: Sequence[float]) -> Estimate | None:
    """Mean with Student's interval over worlds; NaN left out; None without a value, no interval with a single one."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return None
    if len(known) == 1:
        return Estimate(known[0], math.nan, math.nan, 1)
    return paired_t_interval(known)


def estimate_row(values: Mapping[int, float] | Sequence[float]) -> EstimateRow | None:
    """`estimate_of` values, by world or in order, as a JSON-able row."""
    estimate = estimate_of(list(values.values()) if isinstance(values, Mapping) else values)
    return None if estimate is None else row_of(estimate)


def trajectory(series: Series, names: Sequence[str], steps: Sequence[int]) -> dict[str, dict[str, float]]:
    """Means over worlds at chosen checkpoints."""
    if not series.worlds:
        return {}
    return {
        str(step): {name: float(np.mean(list(series.values(name, step=step).values()))) for name in names}
        for step in steps
    }


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """World -> first - second over the worlds that both have."""
    return {world: first[world] - second[world] for world in sorted(set(first) & set(second))}


def relative_to(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """World -> first / second - 1 over the worlds that both have; NaN where second is 0."""
    return {
        world: first[world] / second[world] - 1 if second[world] else math.nan
        for world in sorted(set(first) & set(second))
    }


def matched_difference(
    arm: Series,
    control: Series,
    measure: str = "pass@1",
    *,
    along: str = "checkpoints",
    by: str = "pass@8",
    whole: bool = False,
) -> dict[int, float]:
    """World -> the arm's measure minus the most that its control has where it has at least what the arm bought.

    Args:
        arm: read at its last checkpoint.
        control: followed along one of its curves, joined by straight lines from the common start on.
        measure: what is compared.
        along: "checkpoints" (stopped early), "temperatures" (its end, sampled colder or hotter) or "mixes" (weights
            between its start and its end).
        by: what was bought.
        whole: refuse a curve with holes; otherwise these are passed over.

    Returns:
        NaN where no point of the control's curve has as much of `by`; nothing is extrapolated.

    Raises:
        BerrypickError: with `whole`, a point of a curve lacks a value, as cells do that were thinned to be published.
    """
    out = {}
    for world, wanted in arm.values(by).items():
        if world in control.results:
            bought, values = (control.curve(world, name, along) for name in (by, measure))
            if whole and any(map(math.isnan, [*bought, *values])):
                raise BerrypickError(
                    f"cells lack {by} or {measure} at checkpoints between the first and the last, so nothing can be "
                    "matched along the way; compute them again instead of giving them"
                )
            out[world] = arm.values(measure)[world] - best_at_least(bought, values, wanted)
    return out


def best_at_least(bought: Sequence[float], values: Sequence[float], wanted: float) -> float:
    """The largest value on a polygon where it has at least `wanted`; NaN if it nowhere has."""
    found = [value for have, value in zip(bought, values) if have >= wanted]
    for (b0, v0), (b1, v1) in pairwise(zip(bought, values)):
        if min(b0, b1) < wanted < max(b0, b1):
            found.append(v0 + (wanted - b0) / (b1 - b0) * (v1 - v0))
    return max(found, default=math.nan)
