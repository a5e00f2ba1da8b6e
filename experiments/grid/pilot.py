"""Checks before registration, on worlds kept apart: could a claim be supported, and could it come out otherwise?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..report.format import Report
from .contrasts import Contrast
from .evidence import differences_of
from .room import ROOM, room_note, tabular_room
from .series import Grid, Series

__all__ = ["PILOT_WORLDS", "registration_rows", "undecidable_claims"]

PILOT_WORLDS = (900, 901, 902, 903)
"""Replicates whose worlds no claim is judged on."""

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
    needed = ROOM * one.claim.smallest_effect
    row = {
        "id": one.claim.id,
        "worlds": len(known),
        "pilot": float(np.mean(known)) if known else None,
        "room": None,
        "needed": needed,
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
    room = None if arm is None else tabular_room(one, arm, found)
    return {**row, "room": room, "undecidable": room_note(room, needed, "in the pilot")}


def _needs(grid: Grid, one: Contrast) -> dict[str, float]:
    """What a claim needs, as the pilot has it in the mean over worlds."""
    arm = grid.middle(one.condition, one.arm)
    return {name: _mean(arm, name) for name in one.needs} if arm is not None and arm.worlds else {}


def _mean(series: Series, measure: str) -> float:
    return float(np.mean(list(series.values(measure).values())))


def undecidable_claims(rows: Sequence[Report]) -> Mapping[str, str]:
    """Claim id -> why it cannot be decided."""
    return {row["id"]: row["undecidable"] for row in rows if row["undecidable"]}
