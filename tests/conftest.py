"""What all tests share: the real data, quiet settings, and independence from machine, luck and order."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from fixtures.machine import patience

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"

# One Lucene or FAISS index of the same corpus serves all tests of a run.
os.environ.setdefault("BERRYPICK_CACHE", str(ROOT / ".cache"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums are the same on any number of cores
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a hub id that is not here fails at once, with and without a network

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # the environments of the adapter tests have none
    pass
else:
    # Examples are the same in every run, and their number does not depend on the machine's speed. New ones are drawn
    # by: pytest --hypothesis-profile explore
    settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("explore", settings.get_profile("steady"), derandomize=False, print_blob=True)
    settings.load_profile("steady")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Scales the time limit of each test with this machine, unless the command line or environment sets one."""
    limit = config.inicfg.get("timeout")
    if limit and getattr(config.option, "timeout", 0) is None and "PYTEST_TIMEOUT" not in os.environ:
        config.option.timeout = patience(float(config.getini("timeout")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what a process said that a test or fixture started and that failed; its error has only the status."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, subprocess.CalledProcessError | subprocess.TimeoutExpired):
        for name, said in (("stdout", error.stdout), ("stderr", error.stderr)):
            text = said.decode(errors="replace") if isinstance(said, bytes) else said or ""
            report.sections.append((f"{name} of the process", text[-8000:]))
    return report


@pytest.fixture(autouse=True)
def _global_generators() -> None:
    """Every test finds the process's generators in the same state, whatever ran before it."""
    random.seed(0)
    for name, seed in (("numpy.random", "seed"), ("torch", "manual_seed")):
        if name in sys.modules:
            getattr(sys.modules[name], seed)(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the project; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED
