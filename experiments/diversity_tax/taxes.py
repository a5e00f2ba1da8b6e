"""What diversity training costs by condition: price and waste of the headline's arms, and the identities."""

from __future__ import annotations

from collections.abc import Sequence

from ..grid.comparison import Comparison, compare_arm, pass_names
from ..grid.condition import Condition
from ..grid.series import Grid, Policy, estimate_row
from ..report.format import Report

__all__ = ["ARM", "SHOWN", "distinct_first_rows", "identity_rows", "tax_rows"]

ARM = "darling"
"""The arm that the headline speaks of."""

SHOWN = (ARM, "pass_mix", "pass_at_k_undivided", "batch", "entropy")
"""The arms of the findings' table."""

_IDENTITIES = (("free/diverse", "pass@1"), ("slack/diverse", "pass@1"), ("slack/diverse", "pass@8"))


def tax_rows(grid: Grid) -> list[Report]:
    """One row for each policy, condition and shown arm that shares a world with its control."""
    places: list[tuple[Policy, Condition, str]] = [
        ("tabular", where, arm) for where in grid.conditions for arm in SHOWN if arm in grid.arms_of(where)
    ]
    places += [("language model", where, arm) for where, arm in grid.language if arm in grid.arms]
    compared = [compare_arm(grid, policy, where, arm) for policy, where, arm in places]
    return [_row(one) for one in compared if one is not None and one.difference]


def _row(one: Comparison) -> Report:
    return {
        "policy": one.policy,
        "condition": one.condition.name,
        "arm": one.arm,
        "control": one.control,
        "worlds": len(one.difference),
        "pass@1": estimate_row(one.arm_series.values(pass_names(one.policy)[0])),
        "pass@k": estimate_row(one.arm_series.values(pass_names(one.policy)[1])),
        "tax": estimate_row(one.difference),
        "gain": estimate_row(one.gain),
        "price": estimate_row(one.price),
        "waste": estimate_row(one.waste),
        "control_waste": estimate_row(one.control_waste),
        "matched": estimate_row(one.matched),
    }


def distinct_first_rows(grid: Grid) -> list[Report]:
    """What controls find in 8 episodes whose first queries are spread over the kinds, against 8 independent ones."""
    out: list[Report] = []
    for condition in grid.conditions:
        for arm in grid.arms_of(condition):
            series = grid.middle(condition, arm)
            if grid.arms[arm].control or series is None:
                continue
            found = {
                w: series.results[w]["distinct_first"] for w in series.worlds if "distinct_first" in series.results[w]
            }
            if found and not condition.has_answers:
                many = series.values(pass_names("tabular")[1])
                gain = {world: value - many[world] for world, value in found.items()}
                rows = {"best_of_8": estimate_row(found), "gain": estimate_row(gain)}
                out.append({"condition": condition.name, "arm": arm, **rows})
    return out


def identity_rows(grid: Grid) -> Sequence[Report]:
    """The largest difference that arms have where every difference is 0 by arithmetic: tests of the instrument."""
    out = []
    for name, measure in _IDENTITIES:
        condition = Condition.of(name)
        found = [compare_arm(grid, "tabular", condition, arm) for arm in grid.arms_of(condition)]
        differences = [abs(value) for one in found if one is not None for value in one.of(measure).values()]
        if differences:
            out.append({"condition": name, "measure": measure, "n": len(differences), "largest": max(differences)})
    return out
