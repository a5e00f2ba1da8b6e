"""The bench runs small and its ratios are ratios of what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from berrypick.experiments.bench import peak_rss
from berrypick.experiments.bench.peak_rss import PeakRss
from berrypick.experiments.bench.train import BenchTrain
from berrypick.experiments.runs.run_folder import stored_json
from berrypick.retrieval_index.errors import BerrypickError


@pytest.mark.slow
def test_the_bench_measures_and_keeps_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = BenchTrain(out=tmp_path, questions=2, group_size=2, max_new_tokens=6, rounds=1, batch_sizes=(2,), json=True)
    assert bench.run() == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured == stored_json(tmp_path / "bench.json")
    numbers = measured["train"]
    step = numbers["rollout s"] + numbers["update s"]
    bare = numbers["bare cached forwards s"] + numbers["bare forward, backward, step s"]
    assert numbers["GRPO step / bare (bar 1.5)"] == pytest.approx(step / bare)
    assert 0 <= numbers["padding share of the training forward (bar .15)"] < 1
    assert all(value >= 0 for value in numbers.values())
    assert numbers["peak memory of two steps beyond the loaded model MiB"] > 0


@pytest.mark.slow
def test_formats_are_compared_on_real_text(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from berrypick.experiments.bench import train_formats
    from berrypick.experiments.bench.train_formats import measure_formats

    monkeypatch.setitem(train_formats._ARGUMENTS, "max_observation_chars", 200)  # tiny spells real text in bytes
    numbers = measure_formats("tiny", str(shared_data / "hotpotqa"), 1, rows=(2,))
    ratio = numbers["SFT bfloat16, tokens/CPU s"] / numbers["SFT float32, tokens/CPU s"]
    assert numbers["SFT: bfloat16 / float32"] == pytest.approx(ratio)
    assert numbers["rollouts 2 rows float32, tokens/CPU s"] > 0
    one = measure_formats("tiny", str(shared_data / "hotpotqa"), 1, rows=(2,), dtypes=("bfloat16",))
    assert set(one) == {"SFT bfloat16, tokens/CPU s", "rollouts 2 rows bfloat16, tokens/CPU s"}


GROWTH = """
import mmap
from berrypick.experiments.bench.peak_rss import PeakRss
from berrypick.experiments.runs.run_folder import stored_json
with PeakRss(every_s=0.001) as peak:
    pages = mmap.mmap(-1, 64 << 20)
    for at in range(0, 64 << 20, mmap.PAGESIZE):
        pages[at] = 1
print(peak.growth_mib)
"""


def test_growth_of_resident_memory_is_that_of_the_pages_that_were_written() -> None:
    """In a fresh process: what other tests allocated and free meanwhile does not count, nor does an allocator."""
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True)
    assert 60 < float(done.stdout) < 80


def test_peak_memory_is_the_highest_sample_less_the_first_and_the_end_is_always_sampled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = iter([100.0, 107.0])
    monkeypatch.setattr(peak_rss, "_resident_mib", lambda: next(readings))
    with PeakRss(every_s=3600) as peak:
        pass
    assert peak.growth_mib == 7


def test_numbers_that_measure_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BerrypickError, match="--group-size must be at least 2"):
        BenchTrain(out=tmp_path, group_size=1).run()
    with pytest.raises(BerrypickError, match="--rounds must be at least 1, got 0"):
        BenchTrain(out=tmp_path, rounds=0).run()
    for sizes in ((), (2, 0)):
        with pytest.raises(BerrypickError, match="--batch-sizes must be at least 1, got 0"):
            BenchTrain(out=tmp_path, batch_sizes=sizes).run()
    with pytest.raises(BerrypickError, match="--dtypes needs at least one number format"):
        BenchTrain(out=tmp_path, formats="hotpotqa", dtypes=()).run()
    with pytest.raises(BerrypickError, match="no weights to train"):
        BenchTrain(out=tmp_path, policy="oracle").run()
