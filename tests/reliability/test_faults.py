"""Faults at file operations: kills, full disks and failing operations of a build, a training, an evaluation, a run.

A seeded sample; `BERRYPICK_FAULTS=all` tries every operation in every mode. The shim that fails or kills is compiled
from the tools beside the project.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHIM = Path(__file__).resolve().parents[3] / "shared" / "tools" / "faults" / "shim.c"
DRIVER = Path(__file__).with_name("fault_driver.py")
SAMPLES = {"index": 25, "eval": 20, "run": 10, "train": 20}

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


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("work", SAMPLES)
def test_nothing_is_lost_and_nothing_is_a_traceback(work: str, shim: Path, tmp_path: Path) -> None:
    sample = os.environ.get("BERRYPICK_FAULTS", str(SAMPLES[work]))
    words = [sys.executable, str(DRIVER), str(shim), work, str(tmp_path), "0", sample]
    env = {**os.environ, "LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["operations"] > 20 and found["tried"] > 0
    assert found["wrong"] == []
