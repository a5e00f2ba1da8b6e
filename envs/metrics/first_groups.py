"""The early alarm of a training run in which no group has told two rollouts apart yet."""

from __future__ import annotations

from collections.abc import Sequence

from .alarms import Alarm, Row

__all__ = ["NO_SIGNAL", "no_signal"]

NO_SIGNAL = "no signal"

_GROUPS = 32
"""Groups of equal rewards from the start that raise the alarm. If a tenth of all groups differed, chance would do so
in 3 % of the runs."""


def no_signal(rows: Sequence[Row]) -> Alarm | None:
    """The alarm of a run whose first 32 groups or more all had equal rewards; None before that or without one.

    `collapse_alarms` compares with the start of a series, so it needs ten rows. This one judges the start itself, in
    the second step of a run with 16 groups a step.

    Args:
        rows: one per step, in order: "step" and the names of metrics.jsonl.
    """
    silent = list[Row]()
    for row in rows:
        if row.get("rl/zero_variance_share", 0.0) < 1:
            break
        silent.append(row)
    groups = sum(row.get("rl/zero_variance_groups", 0.0) for row in silent)
    if groups < _GROUPS:
        return None
    right = [row["pass@1"] for row in silent if "pass@1" in row]
    begins, ends = int(silent[0]["step"]), int(silent[-1]["step"])
    all_wrong, all_right = bool(right) and max(right) == 0, bool(right) and min(right) == 1
    outcome = "; no rollout was right" if all_wrong else "; every rollout was right" if all_right else ""
    saw = f"each of the first {groups:.0f} groups had equal rewards, so RL has learned nothing from them{outcome}"
    cure = _TOO_HARD if all_wrong else _TOO_EASY if all_right else _NO_CONTRAST
    return Alarm(NO_SIGNAL, begins, ends, len(silent) == len(rows), saw, cure)


_TOO_HARD = (
    "RL needs a policy that is right now and then: more SFT (--sft-steps 520 for tiny on the World), easier questions, "
    "or a reward with parts (--env-arg 'reward=em + 0.2*format')."
)
_TOO_EASY = "There is nothing left to learn from these questions: take harder ones."
_NO_CONTRAST = "Larger groups (--group-size 16) or --dynamic-sampling 2 find groups that differ."
