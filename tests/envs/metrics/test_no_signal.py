"""The early alarm: by hand, at the second step of a run with sixteen groups."""

from __future__ import annotations

from berrypick.envs.metrics import no_signal


def rows(shares: list[float], *, groups: int = 16, right: list[float] | None = None) -> list[dict[str, float]]:
    return [
        {
            "step": step,
            "rl/zero_variance_share": share,
            "rl/zero_variance_groups": share * groups,
            "pass@1": 0.0 if right is None else right[step - 1],
        }
        for step, share in enumerate(shares, 1)
    ]


def test_it_waits_for_32_groups_and_says_what_to_do() -> None:
    assert no_signal(rows([1.0])) is None
    alarm = no_signal(rows([1.0, 1.0]))
    assert alarm is not None and (alarm.name, alarm.step, alarm.until, alarm.lasts) == ("no signal", 1, 2, True)
    assert "each of the first 32 groups had equal rewards" in alarm.text and "no rollout was right" in alarm.text
    assert "--sft-steps 520" in alarm.text
    assert no_signal(rows([1.0] * 15, groups=2)) is None
    assert no_signal(rows([1.0] * 16, groups=2)) is not None
    assert no_signal(rows([1.0], groups=32)) is not None


def test_one_group_that_differs_ends_it_and_none_raises_it_later() -> None:
    alarm = no_signal(rows([1.0, 1.0, 0.9, 1.0]))
    assert alarm is not None and not alarm.lasts and (alarm.step, alarm.until) == (1, 2)
    assert no_signal(rows([0.9, 1.0, 1.0, 1.0])) is None
    assert no_signal([]) is None and no_signal([{"step": 1, "reward": 0.5}]) is None


def test_the_cure_depends_on_what_is_equal() -> None:
    every = no_signal(rows([1.0, 1.0], right=[1.0, 1.0]))
    mixed = no_signal(rows([1.0, 1.0], right=[0.5, 0.25]))
    assert every is not None and "every rollout was right" in every.text and "harder" in every.text
    assert mixed is not None and "rollout was right" not in mixed.text and "--group-size 16" in mixed.text


def test_steps_without_counts_are_no_groups() -> None:
    assert no_signal([{"step": step, "rl/zero_variance_share": 1.0} for step in range(1, 40)]) is None
    some = rows([1.0, 1.0], right=[0.0, 1.0])
    alarm = no_signal([{**some[0], "step": 7}, {**some[1], "step": 9}])
    assert alarm is not None and (alarm.step, alarm.until) == (7, 9) and "no rollout" not in alarm.text
    bare = no_signal([{key: value for key, value in row.items() if key != "pass@1"} for row in some])
    assert bare is not None and "rollout was right" not in bare.text
    half = no_signal(rows([1.0, 1.0], right=[0.0, 0.5]))
    assert half is not None and "--group-size 16" in half.text
