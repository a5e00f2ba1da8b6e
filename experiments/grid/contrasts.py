"""From registered contrasts and the series of a grid to the differences that each claim is judged by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...envs.metrics.statistics import Estimate
from .claims import Claim, Evidence, Expectation
from .comparison import compare_arm, ladder_at, ladder_difference, largest_waste, pass_names, waste
from .condition import Condition
from .language_report import without_broken
from .series import Grid, Policy, Series, estimate_of, matched_difference, paired, relative_to

__all__ = ["LADDER", "LARGEST_WASTE", "Contrast", "contrast", "differences_of", "gather_evidence", "unfinished_note"]

_STOP = {
    "tabular": "all cells of the tabular grid, 24 worlds, no interim look",
    "language model": "all cells of language models in the claim's condition, 8 worlds, no interim look",
}
_HELD_FIXED = "same world, start, questions, draws, rollouts, steps, learning rate; exact values in the population"
LADDER = "ladder "
LARGEST_WASTE = "largest waste"
LENGTHS = (40, 80)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Where the differences of a claim come from.

    Attributes:
        claim: the registered row.
        policy: whose cells.
        condition: where the arm was trained.
        arm: name.
        measure: of the arm, minus the same of what it is compared with. "waste" is the pass@1 that the frontier has at
            the arm's pass@8 and the arm has not; "largest waste" the largest over all strengths.
        against: "control", "start" (the SFT policy the arm began at), "zero" (the measure itself), "matched" (the most
            that the control had, stopped early, at as much pass@8), "diverse start" (the same arm from a diverse
            start), the name of another arm, or "ladder NAME" (the most that another arm has, over its strengths, at as
            much pass@8).
        undecidable: why it cannot be decided here; empty where it can.
        relative: the difference is the arm's value over the other's, minus 1.
        at: with a ladder, a measure that is held equal: the other arm has, between two of its strengths, as much of it
            as the arm. A world in which no two strengths lie on either side has no value. With "matched", what the
            control must have as much of, instead of pass@8.
        needs: measure -> the least value of its mean over the pilot's worlds without which nothing is decided.
        in_settings: against a start, too, the sign must hold after fewer steps and at other learning rates.
    """

    claim: Claim
    policy: Policy
    condition: Condition
    arm: str
    measure: str
    against: str = "control"
    undecidable: str = ""
    relative: bool = False
    at: str = ""
    needs: Mapping[str, float] = field(default_factory=dict)
    in_settings: bool = False


def contrast(
    name: str,
    statement: str,
    source: str,
    condition: str,
    arm: str,
    measure: str,
    expected: Expectation,
    effect: float,
    *,
    policy: Policy = "tabular",
    against: str = "control",
    published: str = "",
    undecidable: str = "",
    min_worlds: int | None = None,
    stop: str | None = None,
    relative: bool = False,
    at: str = "",
    needs: Mapping[str, float] | None = None,
    in_settings: bool = False,
    doubt: str = "",
    held: str = _HELD_FIXED,
) -> Contrast:
    """A contrast with its claim, registered in one call.

    Args:
        name: id of the claim, short and stable.
        statement: the claim in words.
        source: whose claim it is, or "design".
        condition: name of the condition, "preset/start".
        arm: see `Contrast`.
        measure: see `Contrast`.
        expected: sign of the difference, equivalence, or "at most".
        effect: smallest effect of interest, or the margin.
        policy: see `Contrast`.
        against: see `Contrast`.
        published: the paper's figure in words.
        undecidable: see `Contrast`.
        min_worlds: worlds without which there is no verdict; by default 20 for the tabular policy, 8 for language
            models, 7 of them where policies are matched.
        stop: when the run ends; by default after 24 worlds of the tabular policy, 8 of language models.
        relative: see `Contrast`.
        at: see `Contrast`.
        needs: see `Contrast`.
        in_settings: see `Contrast`.
        doubt: where the verdict could be wrong, or mean less than it says.
        held: what was held fixed.
    """
    worlds = min_worlds or (20 if policy == "tabular" else 7 if against == "matched" else 8)
    player = "tabular policy" if policy == "tabular" else policy
    how = f"over {against}, minus 1" if relative else f"minus {against}"
    equal = f", at equal {at}" if at else ""
    endpoint = f"{measure} of {arm} {how}{equal}, {condition}, {player}"
    place = Condition.of(condition)
    claim = Claim(
        name, statement, source, endpoint, expected, effect, worlds, stop or _STOP[policy], published, held, doubt
    )
    return Contrast(claim, policy, place, arm, measure, against, undecidable, relative, at, needs or {}, in_settings)


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
    arm, other = _series(grid, one), _other(grid, one)
    differences = differences_of(grid, one)
    if arm is None or differences is None:
        return None
    missing = {**(other.missing if other else {}), **arm.missing}
    known = sum(not math.isnan(value) for value in differences.values())
    matched = one.against == "matched" or one.against.startswith(LADDER)
    if matched and known < one.claim.min_worlds <= len(differences) and not grid.num_not_run(one.policy, one.condition):
        has = f"has that {one.at or 'pass@8'}"
        who = f"the control {has} on its way" if one.against == "matched" else f"{one.against} {has}"
        return Evidence(undecidable=f"{who} in {known} of {len(differences)} worlds")
    settings = _settings(grid, one) if one.against == "control" or one.in_settings else {}
    caveat = "" if one.policy == "tabular" else _broken(differences, arm, other or arm)
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
        step: RL step at which both are read (a start at 0); the last one by default. Only against control or start.
    """
    arm, other = _series(grid, one), _other(grid, one)
    if arm is None:
        return None
    if one.measure == LARGEST_WASTE:
        return largest_waste(grid, one.condition, one.arm)
    compared = relative_to if one.relative else paired
    if one.against.startswith(LADDER):
        ladder = one.against.removeprefix(LADDER)
        if one.at:
            return compared(arm.values(one.measure), ladder_at(grid, one.condition, arm, ladder, one.measure, one.at))
        return ladder_difference(grid, one.condition, arm, ladder)
    measured = _measured(one, arm, step)
    if one.against == "zero":
        return measured
    if one.against == "start":
        return compared(measured, _measured(one, arm, 0))
    if other is None:
        return None
    if one.against == "matched":
        by = one.at or pass_names(one.policy)[1]
        return matched_difference(arm, other, one.measure, by=by, whole=True)
    return compared(measured, _measured(one, other, step))


def _measured(one: Contrast, series: Series, step: int | None) -> dict[int, float]:
    if one.measure == "waste":
        return waste(one.policy, one.condition, series, step=step)
    return series.values(one.measure, step=step)


def _series(grid: Grid, one: Contrast) -> Series | None:
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
    series = _series(grid, one)
    steps = series.steps if series is not None and series.worlds else []
    out |= {f"{step} steps": differences_of(grid, one, step=step) for step in LENGTHS if step in steps[:-1]}
    estimates = {name: estimate_of(list(values.values())) for name, values in out.items() if values}
    return {name: estimate for name, estimate in estimates.items() if estimate is not None and estimate.n > 1}


def _at(one: Contrast, rate: float) -> Contrast:
    return replace(one, condition=replace(one.condition, rate=rate))
