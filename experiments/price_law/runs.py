"""The runs of the price law, read from cells: in every World the tax, the price and the waste of each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...envs.world.population import PopulationFrontier
from ..grid.arms import Arm
from ..grid.experiment import CellResult
from ..grid.table_cells import FRONTIER_K
from .prediction import balance_places, predicted_taxes
from .registration import IDENTITY

__all__ = ["Array", "Run", "read_runs", "run_name"]

Array = NDArray[np.float64]

LEAST_WASTE = -2e-5
"""A frontier whose error exceeds 2e-5 is refused when it is solved (`population_frontier`)."""


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

    @property
    def waste_difference(self) -> Array:
        """Waste minus the control's."""
        return self.waste - self.control_waste


def run_name(run: tuple[str, float]) -> str:
    """ "arm-strength", as cells and claims name a run."""
    return f"{run[0]}-{run[1]:g}"


def read_runs(
    cells: Sequence[CellResult], runs: Sequence[tuple[str, float]], arms: Mapping[str, Arm]
) -> dict[str, Run]:
    """Name -> run, of the runs whose control was run, too.

    Args:
        cells: results, in the order of Worlds; there may be none.
        runs: (arm, strength) that every cell holds.
        arms: name -> arm.

    Raises:
        ValueError: a policy is better than the frontier.
    """
    fronts = [PopulationFrontier.from_rows(FRONTIER_K, cell["frontier"]) for cell in cells]
    worlds = [cell["world"] for cell in cells]
    places = np.array([balance_places(front) for front in fronts])
    ends = {name: _ends(cells, name) for name in map(run_name, runs)}
    best = {
        name: np.array([front.best_pass_at_1(y) for front, y in zip(fronts, end[:, 1])]) for name, end in ends.items()
    }
    wastes = {name: best[name] - end[:, 0] for name, end in ends.items()}
    for name, waste in wastes.items():
        _check(name, waste, worlds)
    out = {}
    for run in runs:
        name, other = run_name(run), run_name((arms[run[0]].control, 0.0))
        if not arms[run[0]].control or other not in ends:
            continue
        change = ends[name] - ends[other]
        predicted, regression = predicted_taxes(worlds, places, ends[name], ends[other])
        out[name] = Run(
            name=name,
            control=other,
            pass_at_1=ends[name][:, 0],
            pass_at_k=ends[name][:, 1],
            tax=change[:, 0],
            gain=change[:, 1],
            price=best[name] - best[other],
            waste=wastes[name],
            control_waste=wastes[other],
            predicted=predicted,
            by_regression=regression,
        )
    return out


def _ends(cells: Sequence[CellResult], name: str) -> Array:
    """(pass@1, pass@k) at the last checkpoint, float64 [worlds, 2]."""
    last = [max(cell["runs"][name].items(), key=lambda item: int(item[0]))[1][:2] for cell in cells]
    return np.array(last, np.float64).reshape(-1, 2)


def _check(name: str, waste: Array, worlds: Sequence[Mapping[str, object]]) -> None:
    """A policy is better than its frontier by the frontier's error at most; NaN is a pass@k that no policy can have."""
    for value, world in zip(waste, worlds):
        if not value >= LEAST_WASTE:
            raise ValueError(
                f"{name} in the World of seed {world['seed']} has a waste of {value:.2e}: the frontier or the values "
                "are wrong"
            )
