"""What diversity training costs by condition: the rows that the headline is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...envs.metrics.statistics import equivalence_p, holm, one_sided_p
from ..grid.arms import ARMS
from ..grid.claims import LEVEL
from ..grid.contrasts import cells_not_run, control_of, question_bootstrap
from ..grid.language_report import PLAN, PLAN_K, QUESTIONS, without_broken
from ..grid.series import Grid, Series, avoidable_tax, estimate_row, matched_difference, paired
from ..grid.table_cells import FRONTIER_K, condition_frontier
from .claims import CONTRASTS

__all__ = ["ARM", "MARGIN", "kind_of_tax", "tax_rows"]

ARM = "darling"
MARGIN = 0.02
"""Smallest effect of interest at pass@1; the equivalence margin of the claims."""

Kind = Literal["real", "small", "zero", "small negative", "negative", "undecided", "open"]


@dataclass(frozen=True, slots=True)
class _Compared:
    """One condition of one policy: the arm and its control, and what is pass@1 and pass@k there."""

    policy: Literal["tabular", "language model"]
    condition: str
    arm: Series
    control: Series
    one: str
    many: str
    sizes: tuple[int, int]

    @property
    def registered(self) -> int:
        """Seeds that the claim about this difference asks for; 0 where none was registered."""
        asked = (self.policy, self.condition, ARM, self.one, "control")
        found = [c.claim.min_seeds for c in CONTRASTS if (c.policy, c.condition, c.arm, c.measure, c.against) == asked]
        return found[0] if found else 0

    @property
    def tax(self) -> dict[int, float]:
        """Seed -> pass@1 of the arm minus its control's."""
        return paired(self.arm.values(self.one), self.control.values(self.one))


def tax_rows(grid: Grid, language: Mapping[tuple[str, str], Series]) -> list[dict[str, Any]]:
    """A row for each policy and condition in which the arm and its control share a seed, language model first."""
    control = ARMS[ARM].control
    compared = [
        _Compared("language model", condition, one, language[condition, control], PLAN, PLAN_K, QUESTIONS)
        for (condition, arm), one in language.items()
        if arm == ARM and (condition, control) in language
    ]
    many = f"pass@{FRONTIER_K}"
    for condition in grid.conditions:
        arm, other = grid.series.get((condition, ARM, ARMS[ARM].middle[0])), control_of(grid, condition, ARM)
        if arm is not None and other is not None:
            compared.append(_Compared("tabular", condition, arm, other, "pass@1", many, grid.sizes))
    compared = [one for one in compared if one.tax]
    waiting = {"language model": cells_not_run(language.values()), "tabular": cells_not_run(grid.series.values())}
    return [
        _row(one, kind, grid)
        for policy, left in waiting.items()
        for one, kind in _with_kinds([one for one in compared if one.policy == policy], finished=not left)
    ]


def _with_kinds(compared: Sequence[_Compared], *, finished: bool) -> list[tuple[_Compared, Kind]]:
    """Each condition with the kind of its tax, Holm over those that have as many seeds as claims ask for."""
    asked = max((one.registered for one in compared), default=0)
    tested = [one for one in compared if len(one.tax) >= max(asked, 2)] if finished else []
    taxes = [list(one.tax.values()) for one in tested]
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


def _row(one: _Compared, kind: Kind, grid: Grid) -> dict[str, Any]:
    tax = one.tax
    front = condition_frontier(one.condition.split("/")[0], one.sizes)
    ones, manys = one.arm.values(one.one), one.arm.values(one.many)
    # what the frontier saves can be no more than what was paid
    avoidable = [min(-tax[seed], avoidable_tax(front, ones[seed], manys[seed])) for seed in tax]
    row: dict[str, Any] = {
        "policy": one.policy,
        "condition": one.condition,
        "arm": ARM,
        "control": ARMS[ARM].control,
        "kind": kind,
        "registered": bool(one.registered),
        "seeds": len(tax),
        "tax": estimate_row(tax),
        "gain": estimate_row(paired(manys, one.control.values(one.many))),
        "avoidable": estimate_row(avoidable) if kind in ("real", "small") else None,
        "matched": estimate_row(matched_difference(one.arm, one.control, one.one)),
    }
    if one.policy == "language model":
        actual = {
            name: estimate_row(paired(one.arm.values(measure), one.control.values(measure)))
            for name, measure in (("tax", "pass@1"), ("gain", f"pass@{FRONTIER_K}"))
        }
        broken, whole = without_broken(tax, one.arm, one.control)
        return {**row, "actual": actual, "broken": broken, "tax_of_whole": None if whole is None else asdict(whole)}
    resampled = {
        name: question_bootstrap(grid, one.condition, one.arm, one.control, k)
        for name, k in (("tax", 1), ("gain", FRONTIER_K))
    }
    return {**row, "resampled": {name: None if value is None else asdict(value) for name, value in resampled.items()}}
