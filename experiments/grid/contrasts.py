"""From registered contrasts and the series of a grid to the differences that each claim is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...envs.metrics.statistics import Estimate, hierarchical_bootstrap
from .claims import Claim, Evidence, Expectation
from .comparison import compare_arm, waste
from .condition import Condition
from .language_report import without_broken
from .series import Grid, Policy, Series, matched_difference, paired
from .table_cells import test_rows

__all__ = ["Contrast", "by_policy", "contrast", "gather_evidence", "question_bootstrap", "unfinished_note"]

_STOP = {
    "tabular": "all cells of the tabular grid, 24 seeds, no interim look",
    "language model": "all cells of the language-model grid, 8 seeds, no interim look",
}
_HELD_FIXED = "same start, training questions, draws, rollouts, steps, learning rate; exact evaluation without sampling"


@dataclass(frozen=True, slots=True)
class Contrast:
    """Where the differences of a claim come from.

    Attributes:
        claim: the registered row.
        policy: whose cells.
        condition: where the arm was trained.
        arm: name.
        measure: of the arm, minus the same of what it is compared with. "avoidable_tax" is the arm's waste.
        against: "control", "start" (the SFT policy the arm began at), "zero" (the measure itself), "matched" (the
            control, stopped early, at the arm's breadth), "diverse start" (the same arm from a diverse start), or the
            name of another arm.
        undecidable: why it cannot be decided here; empty where it can.
    """

    claim: Claim
    policy: Policy
    condition: Condition
    arm: str
    measure: str
    against: str = "control"
    undecidable: str = ""


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
    min_seeds: int | None = None,
    stop: str | None = None,
) -> Contrast:
    """A contrast with its claim, registered in one call.

    Args:
        name: id of the claim, short and stable.
        statement: the claim in words.
        source: whose claim it is, or "design".
        condition: name of the condition, "preset/start".
        arm: see `Contrast`.
        measure: see `Contrast`.
        expected: sign of the difference, or equivalence.
        effect: smallest effect of interest, or the margin of equivalence.
        policy: see `Contrast`.
        against: see `Contrast`.
        published: the paper's figure in words.
        undecidable: see `Contrast`.
        min_seeds: seeds without which there is no verdict; by default 20 for the tabular policy, 8 for language models.
        stop: when the run ends; by default after 24 seeds of the tabular policy, 8 of language models.
    """
    seeds = min_seeds or (20 if policy == "tabular" else 8)
    player = "tabular policy" if policy == "tabular" else policy
    endpoint = f"{measure} of {arm} minus {against}, {condition}, {player}"
    claim = Claim(
        name, statement, source, endpoint, expected, effect, seeds, stop or _STOP[policy], published, _HELD_FIXED
    )
    return Contrast(claim, policy, Condition.of(condition), arm, measure, against, undecidable)


def gather_evidence(grid: Grid, contrasts: Iterable[Contrast]) -> dict[str, Evidence]:
    """Claim id -> what the results say about it; claims without results are not in it."""
    out = {}
    for one in contrasts:
        if one.undecidable:
            out[one.claim.id] = Evidence(undecidable=one.undecidable)
            continue
        found = _tabular(grid, one) if one.policy == "tabular" else _language(grid, one)
        if found is not None:
            out[one.claim.id] = replace(found, unfinished=unfinished_note(grid.num_not_run(one.policy)))
    return out


def unfinished_note(num_not_run: int) -> str:
    """Why there is no verdict while cells are left to run; empty where none are."""
    return f"the grid goes on, {num_not_run} of its cells have not been run" if num_not_run else ""


def _language(grid: Grid, one: Contrast) -> Evidence | None:
    found = compare_arm(grid, one.policy, one.condition, one.arm)
    if found is None:
        return None
    differences = found.of(one.measure)
    broken, whole = without_broken(differences, found.arm_series, found.control_series)
    caveat = ""
    if broken:
        rest = "none is left" if whole is None else f"the others' mean is {whole.value:+.3f}"
        caveat = f"in {len(broken)} of {len(differences)} seeds a policy broke and its plan says little; {rest}"
    missing = {**found.control_series.missing, **found.arm_series.missing}
    return Evidence(list(differences.values()), list(differences), missing, caveat=caveat)


def _tabular(grid: Grid, one: Contrast) -> Evidence | None:
    arm = grid.middle(one.condition, one.arm)
    if arm is None:
        return None
    other = _other(grid, one)
    differences = _differences(grid, one, arm, other)
    if differences is None:
        return None
    missing = {**(other.missing if other else {}), **arm.missing}
    inside = None
    if other is not None and one.against != "matched" and one.measure.startswith("pass@"):
        inside = question_bootstrap(grid, one.condition, arm, other, int(one.measure[5:]))
    return Evidence(list(differences.values()), list(differences), missing, inside=inside)


def _differences(grid: Grid, one: Contrast, arm: Series, other: Series | None) -> dict[int, float] | None:
    """Seed -> difference; None where there is nothing to compare with."""
    if one.measure == "avoidable_tax":
        measured = waste(grid, "tabular", one.condition, arm)
    else:
        measured = arm.values(one.measure)
    if one.against == "zero":
        return measured
    if one.against == "start":
        return paired(measured, arm.values(one.measure, step=0))
    if other is None:
        return None
    if one.against == "matched":
        return matched_difference(arm, other, one.measure)
    return paired(measured, other.values(one.measure))


def _other(grid: Grid, one: Contrast) -> Series | None:
    """The series that the arm is compared with; None for "start" and "zero", and where it has no cells."""
    if one.against in ("control", "matched"):
        control = grid.arms[one.arm].control
        return grid.middle(one.condition, control) if control else None
    if one.against == "diverse start":
        return grid.middle(Condition(one.condition.preset, "diverse"), one.arm)
    return grid.middle(one.condition, one.against) if one.against in grid.arms else None


def question_bootstrap(grid: Grid, condition: Condition, arm: Series, other: Series, k: int) -> Estimate | None:
    """Arm minus other in pass@k, with seeds of each arm and, inside them, questions resampled."""
    seeds: Sequence[int] = sorted(set(arm.results) & set(other.results))
    if len(seeds) < 2:
        return None
    at = test_rows(condition, grid.sizes).row_of_question
    arms = [1 - (1 - np.array([series.results[seed]["rows"] for seed in seeds])[:, at]) ** k for series in (other, arm)]
    return hierarchical_bootstrap(arms[0], arms[1], num_resamples=500)


def by_policy(contrasts: Iterable[Contrast], policy: Policy) -> Mapping[str, Contrast]:
    """Claim id -> contrast, of one policy."""
    return {one.claim.id: one for one in contrasts if one.policy == policy}
