"""Faults at file operations: kills, full disks and failing operations of each piece of work that writes files.

A seeded sample. `BERRYPICK_FAULTS=all` tries every operation in every mode; then results/reliability/faults.json gets
the counts, from which docs/reliability.md is made. With `BERRYPICK_FAULTS_DONE=FILE`, an interrupted call goes on. The
shim that fails or kills is compiled from the tools beside the project.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIM = ROOT.parent / "shared" / "tools" / "faults" / "shim.c"
DRIVER = Path(__file__).with_name("fault_driver.py")
COUNTS = ROOT / "results" / "reliability" / "faults.json"
SAMPLES = {"index build": 25, "index clean": 5, "eval": 20, "report": 5, "run": 10, "train": 20}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the shim is for Linux")]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SHIM.is_file():
        pytest.skip(f"no shim at {SHIM}")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    out = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(out), str(SHIM), "-ldl"], check=True)
    return out


def tried(work: str, shim: Path, folder: Path, sample: str) -> dict[str, object]:
    """The counts of the driver."""
    words = [sys.executable, str(DRIVER), str(shim), work, str(folder), "0", sample]
    if "BERRYPICK_FAULTS_DONE" in os.environ:
        words.append(os.environ["BERRYPICK_FAULTS_DONE"])
    env = {**os.environ, "LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout)
    if sample == "all":
        COUNTS.parent.mkdir(parents=True, exist_ok=True)
        counts = json.loads(COUNTS.read_text()) if COUNTS.is_file() else {}
        counts[work] = {**found, "wrong": len(found["wrong"])}  # type: ignore[arg-type]
        COUNTS.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
    return found


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("work", SAMPLES)
def test_nothing_is_lost_and_nothing_is_a_traceback(work: str, shim: Path, tmp_path: Path) -> None:
    found = tried(work, shim, tmp_path, os.environ.get("BERRYPICK_FAULTS", str(SAMPLES[work])))
    assert found["tried"] > 0
    assert found["wrong"] == []


def test_a_server_writes_no_file_when_it_starts_answers_and_stops(shim: Path, tmp_path: Path) -> None:
    """So no full disk and no kill can cost anything there."""
    found = tried("serve", shim, tmp_path, os.environ.get("BERRYPICK_FAULTS", "5"))
    assert found["operations"] == 0
