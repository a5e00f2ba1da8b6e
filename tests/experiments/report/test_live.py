"""A run's view in a pipe: plain lines, the last one once."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from berrypick.experiments.report.live import LiveView
from berrypick.experiments.report.live_evaluation import EvaluationProgress
from berrypick.experiments.runs.phase import Phase
from rich.console import Console


def test_the_last_step_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    for every_s in (0.0, 60.0):
        with LiveView("a run", 3, console=Console(file=io.StringIO()), every_s=every_s) as view:
            for step in (1, 2, 3):
                view.update(step, {"reward": 0.5})
        lines = capsys.readouterr().err.splitlines()
        assert [line.split("  ")[0] for line in lines if "3/3" in line] == ["a run: 3/3"]
        assert len(lines) == (3 if every_s == 0 else 1)


def test_a_job_that_ends_early_still_writes_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveView("a run", 3, console=Console(file=io.StringIO()), every_s=0.0) as view:
        view.update(1, {})
    assert [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()] == ["a run: 1/3", "a run: 3/3"]


def test_the_clock_of_a_phase_is_named_and_leaves_out_what_came_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("berrypick.experiments.report.live.time.monotonic", lambda: now[0])
    with LiveView("train x", 30, console=Console(file=io.StringIO()), every_s=1.0) as view:
        view.begin(0, Phase("demonstrations", 0, 0))
        now[0] = 60.0  # playing them takes a minute
        view.begin(0, Phase("SFT", 0, 20))
        for step, time in ((1, 63.0), (2, 63.5), (3, 65.0)):  # the first one also loads and compiles
            now[0] = time
            view.update(step, {"sft/loss": 2.0})
        now[0] = 70.0
        view.begin(24, Phase("RL", 20, 30))
        now[0] = 73.0
        view.update(25, {"reward": 0.5})
        now[0] = 76.0
        view.update(30, {"reward": 0.5})
    assert [line.split("  ")[:2] for line in capsys.readouterr().err.splitlines()] == [
        ["train x demonstrations"],
        ["train x SFT: 20 steps"],
        ["train x SFT: 1/20", "3 s in SFT"],
        ["train x SFT: 3/20", "5 s, about 17 s left in SFT"],  # two steps took 2 s
        ["train x RL: 10 steps, 4 done"],
        ["train x RL: 5/10", "3 s in RL"],
        ["train x RL: 10/10", "6 s, about 0 s left in RL"],
    ]


def test_a_terminal_shows_the_phase_beside_its_bar() -> None:
    screen = io.StringIO()
    with LiveView("train x", 30, console=Console(file=screen, force_terminal=True, width=100)) as view:
        view.begin(0, Phase("SFT", 0, 20))
        view.update(5, {})
        view.alarm("no signal, since step 1")
    shown = screen.getvalue()
    assert "train x SFT" in shown and "5/20" in shown and "alarm: no signal" in shown


def test_a_phase_without_steps_shows_its_parts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("berrypick.experiments.report.live.time.monotonic", lambda: now[0])
    with LiveView("train x", 30, console=Console(file=io.StringIO())) as view:
        view.begin(0, Phase("demonstrations", 0, 0))
        for time, done in ((3.0, 100), (6.0, 300), (7.0, 500), (12.0, 4096)):
            now[0] = time
            view.part(done, 4096)
        view.begin(0, Phase("SFT", 0, 20))
    assert [line.split("  ")[:2] for line in capsys.readouterr().err.splitlines()][:4] == [
        ["train x demonstrations"],
        ["train x demonstrations: 300/4096", "6 s"],
        ["train x demonstrations: 4096/4096", "12 s"],
        ["train x SFT: 20 steps"],
    ]
    screen = io.StringIO()
    with LiveView("train x", 30, console=Console(file=screen, force_terminal=True, width=100)) as view:
        view.begin(0, Phase("demonstrations", 0, 0))
        view.part(300, 4096)
    assert "train x demonstrations" in screen.getvalue() and "300/4096" in screen.getvalue()


def test_an_evaluation_shows_the_mean_reward_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveView("eval x", 4, console=Console(file=io.StringIO()), every_s=0.0) as view:
        shown = EvaluationProgress(view, "eval", 4, samples=False)
        for done, rewards in ((3, (1.0, 1.0, 0.0)), (4, (0.0,))):
            shown.progress(done, [SimpleNamespace(reward=reward) for reward in rewards])  # type: ignore[misc]
    lines = [line for line in capsys.readouterr().err.splitlines() if "reward" in line]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["0.667", "0.500"]
