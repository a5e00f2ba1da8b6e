"""Checks before registration, on worlds kept apart: could a claim be supported, and could it come out otherwise?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from ...policies.tabular.kinds import kind_probabilities
from ...policies.tabular.values import RowTable, exact_values
from ..report.format import Report
from .comparison import pass_names
from .condition import Condition
from .contrasts import LARGEST_WASTE, Contrast
from .evidence import differences_of, measured
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
    arm = grid.middle(one.condition, one.arm)
    room = None if arm is None else _room(one, arm, found)
    needed = ROOM * one.claim.smallest_effect
    if room is not None and room < needed:
        why = f"no room: at most {room:.3f} is possible in the pilot, and {needed:.3f} would be needed"
        return {**row, "room": room, "undecidable": why}
    return {**row, "room": room}


def _room(one: Contrast, arm: Series, differences: Mapping[int, float]) -> float | None:
    """The largest effect in the claimed direction that any policy could have; None where nothing is known of it.

    In every world it is what is possible there over what the arm is compared with there, as the differences have it.
    """
    rooms, values = [], differences if one.against == "zero" else measured(one, arm)
    for world, difference in differences.items():
        limits, value = _limits(one, arm, world), values[world]
        if limits is None or math.isnan(difference) or (one.relative and not value):
            continue
        low, high = limits
        other = value / (1 + difference) if one.relative else value - difference
        scale = other if one.relative else 1.0
        up, down = (high - other) / scale, (other - low) / scale
        rooms.append({"increase": up, "decrease": down}.get(one.claim.expected, max(up, down)))
    return float(np.mean(rooms)) if rooms else None


def _limits(one: Contrast, arm: Series, world: int) -> tuple[float, float] | None:
    """The least and the largest value that a policy could have in a world; None if they are not known."""
    known = arm.results[world].get("bounds", {})
    if one.measure in known:
        low, high = known[one.measure]
        return float(low), float(high)
    if one.condition.has_answers and one.measure.startswith("choice@"):
        return 0.0, _most_choice(one.condition)
    if not one.condition.has_frontier:
        return (0.0, 1.0) if one.measure == "breadth" or one.measure.startswith("pass@") else None
    if one.measure in ("waste", LARGEST_WASTE):  # a policy with the start's pass@1 and all pass@8 that has no price
        best = condition_frontier(one.condition).best_order.pass_at_1
        return 0.0, best - arm.values(pass_names("tabular")[0], step=0)[world]
    return _frontier_bounds(one.condition).get(one.measure)


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


@lru_cache(maxsize=8)
def _most_choice(condition: Condition) -> float:
    """The value of the best answer if every answer that can be found were found: of a group without end."""
    config = condition.world_config()
    rows = RowTable.population(config)
    shape = (1, config.hops, 2 ** len(config.kinds), config.budget + 1, len(config.kinds))
    chances = kind_probabilities(np.zeros(shape))
    found, _ = exact_values(rows, chances, config.budget, (ENDLESS,), num_answers=config.num_answers, sets=True)
    return found[f"choice@{ENDLESS}"]


def _mean(series: Series, measure: str) -> float:
    return float(np.mean(list(series.values(measure).values())))


def undecidable_claims(rows: Sequence[Report]) -> Mapping[str, str]:
    """Claim id -> why it cannot be decided."""
    return {row["id"]: row["undecidable"] for row in rows if row["undecidable"]}
