"""Checks before registration, on worlds kept apart: could a claim be supported, and could it come out otherwise?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...policies.tabular.kinds import kind_probabilities
from ...policies.tabular.values import RowTable, exact_values
from ..report.format import Report
from .comparison import pass_names
from .condition import Condition
from .contrasts import LADDER, Contrast, differences_of
from .series import Grid, Series
from .table_cells import condition_frontier

__all__ = ["PILOT_WORLDS", "registration_rows", "undecidable_claims"]

PILOT_WORLDS = (900, 901, 902, 903)
"""Replicates whose worlds no claim is judged on."""

ROOM = 3
"""Margins that must lie between the control and the best or worst that is possible."""

ENDLESS = 10_000
"""Rollouts of a group that finds all there is to find."""

IDENTITY = 1e-7
"""A difference that is smaller in every world of the pilot is 0 by arithmetic."""


def registration_rows(grid: Grid, contrasts: Sequence[Contrast]) -> list[Report]:
    """What the pilot says of each claim of the tabular policy.

    Args:
        grid: of the pilot's cells alone.
        contrasts: to be registered.
    """
    return [_row(grid, one) for one in contrasts if one.policy == "tabular" and not one.undecidable]


def _row(grid: Grid, one: Contrast) -> Report:
    found = differences_of(grid, one) or {}
    known = [value for value in found.values() if not math.isnan(value)]
    had = _needs(grid, one)
    row = {
        "id": one.claim.id,
        "worlds": len(known),
        "pilot": float(np.mean(known)) if known else None,
        "room": None,
        "needed": ROOM * one.claim.smallest_effect,
        "undecidable": "",
        **({"needs": had} if one.needs else {}),
    }
    short = [
        f"{name} is {value:.3g}, {one.needs[name]:g} needed" for name, value in had.items() if value < one.needs[name]
    ]
    if short:
        return {**row, "undecidable": "; ".join(short)}
    if not known:
        return {**row, "undecidable": "" if not found else "no world of the pilot has a value"}
    if max(map(abs, known)) < IDENTITY:
        return {**row, "undecidable": "it could not come out otherwise: 0 by arithmetic in every world of the pilot"}
    room = _room(grid, one)
    needed = ROOM * one.claim.smallest_effect
    if room is not None and room < needed:
        why = f"no room: at most {room:.3f} is possible in the pilot, and {needed:.3f} would be needed"
        return {**row, "room": room, "undecidable": why}
    return {**row, "room": room}


def _room(grid: Grid, one: Contrast) -> float | None:
    """The largest effect in the claimed direction that any policy could have; None where nothing is known of it."""
    other = _compared(grid, one)
    if other is None or not other.worlds:
        return None
    if one.measure in other.results[other.worlds[0]].get("bounds", {}):
        pairs = [other.results[world]["bounds"][one.measure] for world in other.worlds]
        low, high = (float(bound) for bound in np.mean(pairs, axis=0))
    elif one.condition.has_answers and one.measure.startswith("choice@"):
        return _most_choice(one.condition, one.measure) - _mean(other, one.measure)
    elif not one.condition.has_frontier:
        return None
    elif one.measure in ("waste", "largest waste"):
        best = condition_frontier(one.condition).best_order.pass_at_1
        return best - _mean(other, pass_names("tabular")[0], step=0)
    else:
        bounds = _frontier_bounds(one.condition)
        if one.measure not in bounds:
            return None
        low, high = bounds[one.measure]
    at = _compared_value(grid, one, other)
    scale = at if one.relative and at else 1.0
    up, down = (high - at) / scale, (at - low) / scale
    return {"increase": up, "decrease": down}.get(one.claim.expected, max(up, down))


def _frontier_bounds(condition: Condition) -> Mapping[str, tuple[float, float]]:
    """Measure -> the least and the largest value in a World with a frontier. A policy that answers nothing has 0."""
    front = condition_frontier(condition)
    one_name, many_name = pass_names("tabular")
    return {
        one_name: (0.0, front.best_order.pass_at_1),
        many_name: (0.0, front.widest.pass_at_k),
        "breadth": (0.0, 1.0),
        "kind_entropy": (0.0, math.log(len(condition.world_config().kinds))),
    }


def _needs(grid: Grid, one: Contrast) -> dict[str, float]:
    """What a claim needs, as the pilot has it in the mean over worlds."""
    arm = grid.middle(one.condition, one.arm)
    return {name: _mean(arm, name) for name in one.needs} if arm is not None and arm.worlds else {}


def _compared(grid: Grid, one: Contrast) -> Series | None:
    """The arm that a claim compares with; its own, if that is the start: an arm may imitate before its first step."""
    name = one.against if one.against in grid.arms else "" if one.against == "start" else grid.arms[one.arm].control
    return grid.middle(one.condition, name or one.arm)


def _compared_value(grid: Grid, one: Contrast, other: Series) -> float:
    """What the arm is compared with, in the mean over the pilot's worlds."""
    matched = _matched_value(grid, one)
    if matched is not None:
        return matched
    return _mean(other, one.measure, step=0 if one.against == "start" else None)


def _matched_value(grid: Grid, one: Contrast) -> float | None:
    """What the arm is compared with where that is a control stopped early or a ladder: their ends are not it."""
    arm = grid.middle(one.condition, one.arm)
    if one.relative or arm is None or not (one.against == "matched" or one.against.startswith(LADDER)):
        return None
    differences, values = differences_of(grid, one) or {}, arm.values(one.measure)
    found = [values[world] - value for world, value in differences.items() if not math.isnan(value)]
    return float(np.mean(found)) if found else None


def _most_choice(condition: Condition, measure: str) -> float:
    """The value of the best answer if every answer that can be found were found: of a group without end."""
    config = condition.world_config()
    rows = RowTable.population(config)
    shape = (1, config.hops, 2 ** len(config.kinds), config.budget + 1, len(config.kinds))
    chances = kind_probabilities(np.zeros(shape))
    found, _ = exact_values(rows, chances, config.budget, (ENDLESS,), num_answers=config.num_answers, sets=True)
    return found[f"choice@{ENDLESS}"]


def _mean(series: Series, measure: str, *, step: int | None = None) -> float:
    return float(np.mean(list(series.values(measure, step=step).values())))


def undecidable_claims(rows: Sequence[Report]) -> Mapping[str, str]:
    """Claim id -> why it cannot be decided."""
    return {row["id"]: row["undecidable"] for row in rows if row["undecidable"]}
