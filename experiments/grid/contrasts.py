"""From the grid's series to the differences that each registered claim asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from ...envs.metrics.statistics import Estimate, hierarchical_bootstrap
from ..diversity_tax.claims import CONTRASTS, Contrast
from .arms import ARMS
from .claims import Evidence
from .language_report import without_broken
from .series import Grid, Series, avoidable_tax, matched_difference, paired
from .table_cells import FRONTIER_K, condition_frontier, test_rows

__all__ = ["cells_not_run", "control_of", "gather_evidence", "question_bootstrap"]


def control_of(grid: Grid, condition: str, arm: str) -> Series | None:
    """The series an arm is compared with, at its control's own strength; None for controls."""
    name = ARMS[arm].control
    return grid.series.get((condition, name, ARMS[name].middle[0])) if name else None


def _language_contrast(contrast: Contrast, series: Mapping[tuple[str, str], Series]) -> Evidence | None:
    arm = series.get((contrast.condition, contrast.arm))
    control = series.get((contrast.condition, ARMS[contrast.arm].control))
    if arm is None or control is None:
        return None
    differences = paired(arm.values(contrast.measure), control.values(contrast.measure))
    broken, whole = without_broken(differences, arm, control)
    caveat = ""
    if broken:
        rest = "none is left" if whole is None else f"the others' mean is {whole.value:+.3f}"
        caveat = f"in {len(broken)} of {len(differences)} seeds a policy broke and its plan says little; {rest}"
    missing = {**control.missing, **arm.missing}
    return Evidence(list(differences.values()), list(differences), missing, caveat=caveat)


def gather_evidence(grid: Grid, language: Mapping[tuple[str, str], Series]) -> dict[str, Evidence]:
    """Claim id -> what the results say about it; claims without results are not in it."""
    left = {"tabular": cells_not_run(grid.series.values()), "language model": cells_not_run(language.values())}
    out = {}
    for contrast in CONTRASTS:
        if contrast.undecidable:
            out[contrast.claim.id] = Evidence(undecidable=contrast.undecidable)
            continue
        tabular = contrast.policy == "tabular"
        found = _contrast(grid, contrast) if tabular else _language_contrast(contrast, language)
        if found is not None:
            waiting = left[contrast.policy]
            unfinished = f"the grid goes on, {waiting} of its cells have not been run" if waiting else ""
            out[contrast.claim.id] = replace(found, unfinished=unfinished)
    return out


def cells_not_run(series: Iterable[Series]) -> int:
    """Cells that nobody has started; those that failed have had their turn."""
    return sum(why == "not run" for one in series for why in one.missing.values())


def _contrast(grid: Grid, contrast: Contrast) -> Evidence | None:
    arm = grid.series.get((contrast.condition, contrast.arm, ARMS[contrast.arm].middle[0]))
    if arm is None:
        return None
    measured = _measured(grid, contrast, arm)
    other = _other(grid, contrast)
    if contrast.against == "matched" and other is not None:
        differences = matched_difference(arm, other, contrast.measure)
    elif contrast.against == "zero":
        differences = measured
    elif contrast.against == "start":
        differences = paired(measured, arm.values(contrast.measure, step=0))
    elif other is not None:
        differences = paired(measured, other.values(contrast.measure))
    else:
        return None
    missing = {**(dict(other.missing) if other else {}), **arm.missing}
    inside = None
    if other is not None and contrast.against != "matched" and contrast.measure.startswith("pass@"):
        inside = question_bootstrap(grid, contrast.condition, arm, other, int(contrast.measure[5:]))
    return Evidence(list(differences.values()), list(differences), missing, inside=inside)


def _measured(grid: Grid, contrast: Contrast, arm: Series) -> dict[int, float]:
    if contrast.measure != "avoidable_tax":
        return arm.values(contrast.measure)
    front = condition_frontier(contrast.condition.split("/")[0], grid.sizes)
    ones, manys = arm.values("pass@1"), arm.values(f"pass@{FRONTIER_K}")
    return {seed: avoidable_tax(front, ones[seed], manys[seed]) for seed in arm.seeds}


def _other(grid: Grid, contrast: Contrast) -> Series | None:
    if contrast.against in ("control", "matched"):
        return control_of(grid, contrast.condition, contrast.arm)
    if contrast.against == "diverse start":
        preset = contrast.condition.split("/")[0]
        return grid.series.get((f"{preset}/diverse", contrast.arm, ARMS[contrast.arm].middle[0]))
    if contrast.against in ARMS:
        return grid.series.get((contrast.condition, contrast.against, ARMS[contrast.against].middle[0]))
    return None


def question_bootstrap(grid: Grid, condition: str, arm: Series, other: Series, k: int) -> Estimate | None:
    """Arm minus other in pass@k with an interval over seeds, of each arm apart, and inside over questions."""
    seeds = sorted(set(arm.results) & set(other.results))
    if len(seeds) < 2:
        return None
    at = test_rows(condition.split("/")[0], grid.sizes).row_of_question
    arms = [1 - (1 - np.array([series.results[seed]["rows"] for seed in seeds])[:, at]) ** k for series in (other, arm)]
    return hierarchical_bootstrap(arms[0], arms[1], num_resamples=500)
