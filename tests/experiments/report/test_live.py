"""A run's view in a pipe: plain lines, the last one once."""

from __future__ import annotations

import io

import pytest
from berrypick.experiments.report.live import LiveView
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
