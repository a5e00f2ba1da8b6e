"""A server under requests, evaluations, trainings and reports in a loop: memory and handles stay flat, no file is left.

Some seconds; `BERRYPICK_SOAK=600` runs ten minutes and keeps the counts in results/reliability/soak.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from reliability.soak_verdict import Sample, slope, verdict

DRIVER = Path(__file__).with_name("soak_driver.py")
COUNTS = Path(__file__).resolve().parents[2] / "results" / "reliability" / "soak.json"


def soak(folder: Path, seconds: float, *leak: str) -> dict[str, Any]:
    temporary, cache = folder / "tmp", folder / "cache"
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary), "BERRYPICK_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(DRIVER), str(folder), str(seconds), *leak]
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory and handles are read from /proc")
@pytest.mark.timeout(7200)
def test_memory_and_handles_stay_flat_and_no_file_is_left(tmp_path: Path) -> None:
    seconds = float(os.environ.get("BERRYPICK_SOAK", "10"))
    found = soak(tmp_path, seconds)
    assert found["wrong"] == [], found
    assert found["requests"] >= 200 * found["cycles"] >= 1600
    if "BERRYPICK_SOAK" in os.environ:
        found["command"] = f"BERRYPICK_SOAK={seconds:.0f} pytest -m slow tests/reliability/test_soak.py"
        COUNTS.parent.mkdir(parents=True, exist_ok=True)
        COUNTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory and handles are read from /proc")
@pytest.mark.timeout(1200)
def test_leaks_of_memory_handles_and_files_are_noticed(tmp_path: Path) -> None:
    memory, handles, files = soak(tmp_path, 0, "leak")["wrong"]
    assert memory.startswith("client: memory grows by ") and handles == "client: 5 handles more than after the warm-up"
    assert files == "8 files left over"


def test_the_slope_is_that_of_the_line_and_an_outlier_does_not_move_it() -> None:
    assert slope([1, 3, 5, 7, 9]) == 2
    assert slope([1, 3, 50, 7, 9]) == 2
    assert slope([4, 4, 4]) == 0


def test_the_verdict_names_what_grows() -> None:
    flat = [Sample(100.0, 10)] * 40
    assert verdict({"server": flat}, 0)["wrong"] == []
    growing = [Sample(100.0 + at, 10) for at in range(40)]
    assert verdict({"server": growing}, 0)["wrong"] == ["server: memory grows by 1024 KiB in each of 30 cycles"]
    warming = [Sample(100.0 + min(at, 9) * 50, 10) for at in range(40)]
    assert verdict({"server": warming}, 0)["wrong"] == []
    more = [*flat, Sample(100.0, 12)]
    assert verdict({"client": more}, 3)["wrong"] == [
        "client: 2 handles more than after the warm-up", "3 files left over"
    ]  # fmt: skip
