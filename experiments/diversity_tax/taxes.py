"""What diversity training costs by condition: the rows that the headline is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from ...envs.metrics.statistics import equivalence_p, holm, one_sided_p
from ..grid.claims import LEVEL
from ..grid.comparison import Comparison, compare_arm
from ..grid.condition import Condition
from ..grid.contrasts import Contrast, question_bootstrap
from ..grid.language_report import without_broken
from ..grid.series import Grid, Policy, estimate_row
from ..grid.table_cells import FRONTIER_K
from ..report.format import Report

__all__ = ["ARM", "MARGIN", "kind_of_tax", "tax_rows"]

ARM = "darling"
MARGIN = 0.02
"""Smallest effect of interest at pass@1, and the equivalence margin of the claims."""

Kind = Literal["real", "small", "zero", "small negative", "negative", "undecided", "open"]


def tax_rows(grid: Grid, contrasts: Sequence[Contrast]) -> list[Report]:
    """One row for each policy and condition in which the arm and its control share a seed, language models first."""
    places: list[tuple[Policy, Condition]] = [("language model", where) for where, arm in grid.language if arm == ARM]
    places += [("tabular", where) for where in grid.conditions]
    compared = [compare_arm(grid, policy, where, ARM) for policy, where in places]
    found = [one for one in compared if one is not None and one.difference]
    policies: tuple[Policy, ...] = ("language model", "tabular")
    return [
        _row(one, kind, grid, contrasts)
        for policy in policies
        for one, kind in _with_kinds(
            [one for one in found if one.policy == policy], contrasts, finished=not grid.num_not_run(policy)
        )
    ]


def _registered_seeds(one: Comparison, contrasts: Sequence[Contrast]) -> int:
    """Seeds that the claim about this difference asks for; 0 if none was registered."""
    asked = (one.policy, one.condition, one.arm, one.pass_at_1, "control")
    found = [c.claim.min_seeds for c in contrasts if (c.policy, c.condition, c.arm, c.measure, c.against) == asked]
    return found[0] if found else 0


def _with_kinds(
    compared: Sequence[Comparison], contrasts: Sequence[Contrast], *, finished: bool
) -> list[tuple[Comparison, Kind]]:
    """Each comparison with the kind of its tax; Holm over those that have as many seeds as claims ask for."""
    asked = max((_registered_seeds(one, contrasts) for one in compared), default=0)
    tested = [one for one in compared if len(one.difference) >= max(asked, 2)] if finished else []
    taxes = [list(one.difference.values()) for one in tested]
    two_sided = holm([min(1.0, 2 * min(one_sided_p(tax), one_sided_p([-d for d in tax]))) for tax in taxes])
    equal = holm([equivalence_p(tax, MARGIN) for tax in taxes])
    kinds = {
        one.condition: kind_of_tax(math.fsum(tax) / len(tax), differs=differs < LEVEL, within=within < LEVEL)
        for one, tax, differs, within in zip(tested, taxes, two_sided, equal)
    }
    return [(one, kinds.get(one.condition, "open")) for one in compared]


def kind_of_tax(mean: float, *, differs: bool, within: bool) -> Kind:
    """What a difference of pass@1 is called.

    Args:
        mean: over seeds.
        differs: the test against 0 says that it is not 0.
        within: the two one-sided tests say that it lies within the margin.
    """
    if differs and mean < 0:
        return "real" if mean <= -MARGIN else "small"
    if differs:
        return "negative" if mean >= MARGIN else "small negative"
    return "zero" if within else "undecided"


def _row(one: Comparison, kind: Kind, grid: Grid, contrasts: Sequence[Contrast]) -> Report:
    tax = one.difference
    # the frontier can save no more than what was paid
    avoidable = [min(-tax[seed], one.waste[seed]) for seed in tax]
    row: dict[str, Any] = {
        "policy": one.policy,
        "condition": one.condition.name,
        "arm": one.arm,
        "control": one.control,
        "kind": kind,
        "registered": bool(_registered_seeds(one, contrasts)),
        "seeds": len(tax),
        "tax": estimate_row(tax),
        "gain": estimate_row(one.gain),
        "avoidable": estimate_row(avoidable) if kind in ("real", "small") else None,
        "matched": estimate_row(one.matched),
    }
    if one.policy == "language model":
        actual = {
            "tax": estimate_row(one.of("pass@1")),
            "gain": estimate_row(one.of(f"pass@{FRONTIER_K}")),
        }
        broken, whole = without_broken(tax, one.arm_series, one.control_series)
        return {**row, "actual": actual, "broken": broken, "tax_of_whole": None if whole is None else asdict(whole)}
    resampled = {
        name: question_bootstrap(grid, one.condition, one.arm_series, one.control_series, k)
        for name, k in (("tax", 1), ("gain", FRONTIER_K))
    }
    return {**row, "resampled": {name: None if value is None else asdict(value) for name, value in resampled.items()}}
