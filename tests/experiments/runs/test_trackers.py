"""Trackers get what metrics.jsonl gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from berrypick.experiments.runs.trackers import open_trackers
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore")


def test_tensorboard_holds_each_metric_of_each_step(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tracker,) = open_trackers(["tensorboard"], tmp_path / "run")
    for step in (1, 2):
        tracker.log({"rl/loss": 0.5 * step, "search/breadth": 0.25}, step=step)
    tracker.finish()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("rl/loss")] == [(1, 0.5), (2, 1.0)]
    assert [event.value for event in events.Scalars("search/breadth")] == [0.25, 0.25]


def test_no_trackers_need_nothing(tmp_path: Path) -> None:
    assert open_trackers([], tmp_path) == []


def test_an_unknown_or_absent_tracker_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="tensorboard"):
        open_trackers(["tensorbord"], tmp_path)
    with pytest.raises(BerrypickError, match="clearml is not installed; install it: pip install clearml"):
        open_trackers(["clearml"], tmp_path)
