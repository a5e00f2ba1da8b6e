"""Room: the largest effect in a claimed direction that any policy could have over what the arm is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

import numpy as np

from ...policies.tabular.kinds import kind_probabilities
from ...policies.tabular.row_table import RowTable
from ...policies.tabular.values import exact_values
from ..report.format import Report
from .comparison import pass_names
from .condition import Condition
from .contrasts import LARGEST_WASTE, Contrast
from .evidence import differences_of, measured, series_of
from .language_bounds import frontier_limits
from .measuring import LanguageCells, Limits
from .series import Grid, Series
from .table_cells import condition_frontier

__all__ = ["ROOM", "language_rooms", "room_note", "room_of", "tabular_room"]

ROOM = 3
"""Margins that must lie between what the arm is compared with and the best or worst that is possible."""

ENDLESS = 10_000
"""Rollouts of a group that finds all there is to find."""


def room_of(
    one: Contrast, arm: Series, differences: Mapping[int, float], limits: Callable[[int], Limits | None]
) -> float | None:
    """Mean over worlds of what is possible there over what the arm is compared with there, as the differences have it.

    Args:
        one: the contrast.
        arm: its arm.
        differences: world -> difference.
        limits: world -> the least and the largest value that a policy could have; None if they are not known.

    Returns:
        None where nothing is known of it.
    """
    rooms, values = [], differences if one.against == "zero" else measured(one, arm)
    for world, difference in differences.items():
        pair, value = limits(world), values[world]
        if pair is None or math.isnan(difference) or (one.relative and not value):
            continue
        low, high = pair
        other = value / (1 + difference) if one.relative else value - difference
        scale = other if one.relative else 1.0
        up, down = (high - other) / scale, (other - low) / scale
        rooms.append({"increase": up, "decrease": down}.get(one.claim.expected, max(up, down)))
    return float(np.mean(rooms)) if rooms else None


def tabular_room(one: Contrast, arm: Series, differences: Mapping[int, float]) -> float | None:
    """See `room_of`; of a contrast of the tabular policy, whose cells may bring limits."""
    return room_of(one, arm, differences, lambda world: _tabular_limits(one, arm, world))


def language_rooms(grid: Grid, contrasts: Sequence[Contrast], cells: LanguageCells | None) -> list[Report]:
    """The room of the claims of language models, in their own Worlds: it was not read before these were registered.

    Args:
        grid: all series.
        contrasts: of the experiment.
        cells: of language models; they know the limits of their measures.

    Returns:
        One row for each claim whose cells have all been run: {"id", "worlds", "room", "needed", "undecidable"}.
    """
    out: list[Report] = []
    for one in contrasts:
        arm = series_of(grid, one) if one.policy == "language model" else None
        found = differences_of(grid, one) if arm is not None else None
        if cells is None or arm is None or not found or grid.num_not_run(one.policy, one.condition):
            continue
        pairs = cells.limits(one.condition)
        room = room_of(one, arm, found, partial(_language_limits, one, arm, pairs))
        known = sum(not math.isnan(value) for value in found.values())
        needed = ROOM * one.claim.smallest_effect
        why = room_note(room, needed, "in its Worlds")
        out.append({"id": one.claim.id, "worlds": known, "room": room, "needed": needed, "undecidable": why})
    return out


def room_note(room: float | None, needed: float, where: str) -> str:
    """Why a claim cannot be decided for want of room; empty where it can, or where no room is known."""
    if room is None or room >= needed:
        return ""
    return f"no room: at most {room:.3f} is possible {where}, and {needed:.3f} would be needed"


def _language_limits(one: Contrast, arm: Series, pairs: Mapping[str, Limits], world: int) -> Limits | None:
    return _waste_limits(one, arm, world) if one.measure == "waste" else pairs.get(one.measure)


def _tabular_limits(one: Contrast, arm: Series, world: int) -> Limits | None:
    """The least and the largest value that a policy could have in a world; None if they are not known."""
    known = arm.results[world].get("bounds", {})
    if one.measure in known:
        low, high = known[one.measure]
        return float(low), float(high)
    if one.condition.has_answers and one.measure.startswith("choice@"):
        return 0.0, _most_choice(one.condition)
    if not one.condition.has_frontier:
        return (0.0, 1.0) if one.measure == "breadth" or one.measure.startswith("pass@") else None
    if one.measure in ("waste", LARGEST_WASTE):
        return _waste_limits(one, arm, world)
    return frontier_limits(one.condition).get(one.measure)


def _waste_limits(one: Contrast, arm: Series, world: int) -> Limits:
    """Up to that of a policy with the start's pass@1 and all pass@8 that has no price."""
    best = condition_frontier(one.condition).best_order.pass_at_1
    return 0.0, best - arm.values(pass_names(one.policy)[0], step=0)[world]


@lru_cache(maxsize=8)
def _most_choice(condition: Condition) -> float:
    """The value of the best answer if every answer that can be found were found: of a group without end."""
    config = condition.world_config()
    rows = RowTable.population(config)
    shape = (1, config.hops, 2 ** len(config.kinds), config.budget + 1, len(config.kinds))
    chances = kind_probabilities(np.zeros(shape))
    found, _ = exact_values(rows, chances, config.budget, (ENDLESS,), num_answers=config.num_answers, sets=True)
    return found[f"choice@{ENDLESS}"]
