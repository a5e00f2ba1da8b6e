"""From registered contrasts and the series of a grid to the differences that each claim is judged by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...envs.metrics.statistics import Estimate
from .claims import Evidence
from .comparison import compare_arm, ladder_at, ladder_difference, largest_waste, waste
from .contrasts import LARGEST_WASTE, Contrast
from .language_report import without_broken
from .series import Grid, Series, estimate_of, matched_difference, paired, relative_to

__all__ = ["differences_of", "gather_evidence", "measured", "series_of", "unfinished_note"]

LENGTHS = (40, 80)
"""Steps at which a claim is read beside the last one."""


def gather_evidence(
    grid: Grid, contrasts: Iterable[Contrast], undecidable: Mapping[str, str] | None = None
) -> dict[str, Evidence]:
    """Claim id -> what the results say about it; claims without results are not in it.

    Args:
        grid: all series.
        contrasts: registered.
        undecidable: claim id -> why the checks before registration say that it cannot be decided.
    """
    out = {}
    for one in contrasts:
        why = one.undecidable or (undecidable or {}).get(one.claim.id, "")
        if why:
            out[one.claim.id] = Evidence(undecidable=why)
            continue
        found = _evidence(grid, one)
        if found is not None:
            out[one.claim.id] = replace(found, unfinished=unfinished_note(grid.num_not_run(one.policy, one.condition)))
    return out


def unfinished_note(num_not_run: int) -> str:
    """Why there is no verdict while cells are left to run; empty where none are."""
    return f"the grid goes on, {num_not_run} of its cells have not been run" if num_not_run else ""


def _evidence(grid: Grid, one: Contrast) -> Evidence | None:
    arm, other = series_of(grid, one), _other(grid, one)
    differences = differences_of(grid, one)
    if arm is None or differences is None:
        return None
    missing = {**(other.missing if other else {}), **arm.missing}
    known = sum(not math.isnan(value) for value in differences.values())
    too_few = known < one.claim.min_worlds <= len(differences)
    if one.held_equal and too_few and not grid.num_not_run(one.policy, one.condition):
        has = f"has that {one.at or 'pass@8'}"
        who = f"the control {has} on its way" if one.against == "matched" else f"{one.against} {has}"
        return Evidence(undecidable=f"{who} in {known} of {len(differences)} worlds")
    caveat = "" if one.policy == "tabular" else _broken(differences, arm, other or arm)
    settings = _settings(grid, one)
    return Evidence(list(differences.values()), list(differences), missing, settings=settings, caveat=caveat)


def _broken(differences: Mapping[int, float], arm: Series, control: Series) -> str:
    """Worlds in which a language model gave up or misread so much that its plan says little; empty if none."""
    broken, whole = without_broken(differences, arm, control)
    if not broken:
        return ""
    rest = "none is left" if whole is None else f"the others' mean is {whole.value:+.3f}"
    return f"in {len(broken)} of {len(differences)} worlds a policy broke and its plan says little; {rest}"


def differences_of(grid: Grid, one: Contrast, *, step: int | None = None) -> dict[int, float] | None:
    """World -> difference; None where there is nothing to compare with.

    Args:
        grid: all series.
        one: the contrast.
        step: RL step at which both are read (a start at 0); the last one by default. Not where a measure is held equal.
    """
    arm, other = series_of(grid, one), _other(grid, one)
    if arm is None:
        return None
    if one.measure == LARGEST_WASTE:
        return largest_waste(grid, one.condition, one.arm)
    compared = relative_to if one.relative else paired
    if one.ladder and one.at:
        rungs = ladder_at(grid, one.condition, arm, one.ladder, one.measure, one.at)
        return compared(arm.values(one.measure), rungs)
    if one.ladder:
        return ladder_difference(grid, one.condition, arm, one.ladder)
    values = measured(one, arm, step)
    if one.against == "zero":
        return values
    if one.against == "start":
        return compared(values, measured(one, arm, 0))
    if other is None:
        return None
    if one.against == "matched":
        return matched_difference(arm, other, one.measure, by=one.held_equal, whole=True)
    return compared(values, measured(one, other, step))


def measured(one: Contrast, series: Series, step: int | None = None) -> dict[int, float]:
    """World -> the contrast's measure of a series at a checkpoint, the last one by default."""
    if one.measure == "waste":
        return waste(one.policy, one.condition, series, step=step)
    return series.values(one.measure, step=step)


def series_of(grid: Grid, one: Contrast) -> Series | None:
    """The arm of a contrast; None where the grid has no cells of it."""
    if one.policy == "tabular":
        return grid.middle(one.condition, one.arm)
    return grid.language.get((one.condition, one.arm))


def _other(grid: Grid, one: Contrast) -> Series | None:
    """The series that the arm is compared with; None for "start", "zero" and ladders, and where it has no cells."""
    if one.policy == "language model":
        if one.against in grid.arms:
            return grid.language.get((one.condition, one.against))
        found = compare_arm(grid, one.policy, one.condition, one.arm)
        return None if found is None else found.control_series
    if one.against in ("control", "matched"):
        control = grid.arms[one.arm].control
        return grid.middle(one.condition, control) if control else None
    if one.against == "diverse start":
        return grid.middle(replace(one.condition, start="diverse"), one.arm)
    return grid.middle(one.condition, one.against) if one.against in grid.arms else None


def _settings(grid: Grid, one: Contrast) -> dict[str, Estimate]:
    """The difference after fewer steps and at other learning rates, where the grid has them."""
    places = grid.conditions if one.policy == "tabular" else [where for where, _ in grid.language]
    rates = sorted({where.rate for where in places if replace(where, rate=0.0) == one.condition} - {0.0})
    out = {f"rate {rate:g}": differences_of(grid, _at(one, rate)) for rate in rates}
    series = series_of(grid, one)
    # what is compared with a whole way, or with the most waste of all strengths, has no length of its own
    whole = bool(one.held_equal) or one.measure == LARGEST_WASTE
    steps = series.steps if series is not None and series.worlds and not whole else []
    out |= {f"{step} steps": differences_of(grid, one, step=step) for step in LENGTHS if step in steps[:-1]}
    estimates = {name: estimate_of(list(values.values())) for name, values in out.items() if values}
    return {name: estimate for name, estimate in estimates.items() if estimate is not None and estimate.n > 1}


def _at(one: Contrast, rate: float) -> Contrast:
    return replace(one, condition=replace(one.condition, rate=rate))
