"""The cost of a phase: by hand, with a clock of the test."""

from __future__ import annotations

import io

from berrypick.experiments.report.live import LiveView
from berrypick.experiments.runs.phase_cost import PhaseCost, peak_bytes, rl_cost, sft_cost
from berrypick.policies.training.rl_config import RlConfig
from berrypick.policies.training.sft import SftConfig
from rich.console import Console


class Seen:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def cost(self, text: str) -> None:
        self.lines.append(text)


def test_the_rest_is_estimated_from_what_is_done_and_corrected() -> None:
    view, now = Seen(), [0.0]
    cost = PhaseCost(view, "SFT: 240 steps of 8 demonstrations", 240, clock=lambda: now[0])
    now[0] = 6.0  # one of 240 steps: 1440 s
    cost.step(437.5)
    now[0] = 7.5  # the others take a quarter: 6 + 239 * 1.5 = 364.5 s
    cost.step(437.5)
    parts = [line.split(", ") for line in view.lines]
    assert [part[:3] for part in parts] == [
        ["SFT: 240 steps of 8 demonstrations", "about 105 k tokens", "24 min"],
        ["SFT: 240 steps of 8 demonstrations", "about 105 k tokens", "6 min"],
    ]
    assert all(part[3].endswith(" GiB") and float(part[3][:-4]) > 0 for part in parts)


def test_a_short_first_step_is_warm_up_and_announces_nothing() -> None:
    view, now = Seen(), [0.0]
    cost = PhaseCost(view, "SFT", 520, clock=lambda: now[0])
    now[0] = 4.0  # at this rate the phase would take 35 minutes
    cost.step(1000)
    assert not view.lines
    now[0] = 4.5
    cost.step(1000)
    assert [line.split(", ")[2] for line in view.lines] == ["4 min"]  # 4 + 519 * 0.5 = 263.5 s


def test_steps_of_an_earlier_process_do_not_count() -> None:
    view, now = Seen(), [0.0]
    cost = PhaseCost(view, "eval: 100 rollouts", 100, unit="sampled tokens", clock=lambda: now[0])
    cost.skip(60)
    now[0] = 300.0
    cost.step(60_000, steps=20)
    assert view.lines[0].startswith("eval: 100 rollouts, about 120 k sampled tokens, 10 min, ")


def test_a_short_phase_is_not_announced() -> None:
    view, now = Seen(), [0.0]
    cost = PhaseCost(view, "SFT", 10, clock=lambda: now[0])
    now[0] = 5.9
    cost.step(1000)
    assert not view.lines
    PhaseCost(object(), "a view that shows no cost", 1).step(1)


def test_phases_name_their_sizes() -> None:
    assert sft_cost(None, SftConfig(steps=30, batch_size=8), 10)._what == "SFT: 30 steps of 8 demonstrations"
    assert rl_cost(None, RlConfig(steps=4, group_size=2), 0)._what == "RL: 4 steps of 16 × 2 rollouts"
    assert peak_bytes() > 1 << 20


def test_a_pipe_gets_the_first_estimate_of_each_phase(capsys) -> None:
    view = LiveView("train runs/x", 10, console=Console(file=io.StringIO()))
    for text in ("SFT: a, 6 min", "SFT: a, 5 min", "RL: b, 9 min"):
        view.cost(text)
    assert capsys.readouterr().err.splitlines() == ["train runs/x: SFT: a, 6 min", "train runs/x: RL: b, 9 min"]
