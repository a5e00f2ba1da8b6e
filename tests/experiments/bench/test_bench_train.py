"""The bench runs small and its ratios are ratios of what it prints."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

import numpy as np
import pytest
from berrypick.experiments.bench.train import BenchTrain
from berrypick.experiments.bench.train_memory import PeakRss
from berrypick.retrieval_index.errors import BerrypickError


@pytest.mark.slow
def test_the_bench_measures_and_keeps_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = BenchTrain(out=tmp_path, questions=2, group_size=2, max_new_tokens=6, rounds=1, batch_sizes=(2,), json=True)
    assert bench.run() == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured == json.loads((tmp_path / "bench.json").read_text())
    numbers = measured["train"]
    step = numbers["rollout s"] + numbers["update s"]
    bare = numbers["bare cached forwards s"] + numbers["bare forward, backward, step s"]
    assert numbers["GRPO step / bare (bar 1.5)"] == pytest.approx(step / bare)
    assert 0 <= numbers["padding share of the training forward (bar .15)"] < 1
    assert all(value >= 0 for value in numbers.values())
    assert numbers["peak memory of two steps beyond the loaded model MiB"] > 0


def test_growth_of_resident_memory_is_that_of_what_was_held() -> None:
    with PeakRss() as peak:  # pages of its own: an allocator may give what the process has held before
        held = np.frombuffer(mmap.mmap(-1, 32 << 20), np.uint8)
        held[:] = 1
    del held
    assert 30 < peak.growth_mib < 64


def test_numbers_that_measure_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BerrypickError, match="--group-size must be at least 2"):
        BenchTrain(out=tmp_path, group_size=1).run()
    with pytest.raises(BerrypickError, match="no weights to train"):
        BenchTrain(out=tmp_path, policy="oracle").run()
