"""openenv's own validation accepts the folder in hubs/openenv, and its client plays on it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

pytest.importorskip("openenv.validation")
pytestmark = pytest.mark.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "hubs" / "openenv"
SIZES = json.dumps({"num_train": 8, "num_test": 4})


def started(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A process that serves the folder as its Dockerfile does, and its address."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "server.app:app", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "BERRYPICK_ENV_ARGS": SIZES})
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        assert process.poll() is None, "the server did not start"
        with suppress(OSError), urllib.request.urlopen(url + "/health", timeout=5):
            return process, url
        time.sleep(0.1)
    process.kill()
    raise AssertionError("the server did not become healthy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that no run leaves files in the checkout."""
    copy = tmp_path_factory.mktemp("hub") / "berrypick_search_env"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", "wheels"))
    return copy


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    process, url = started(folder)
    yield url
    process.terminate()
    process.wait(30)


def openenv(*words: object) -> subprocess.CompletedProcess[str]:
    command = str(Path(sys.executable).with_name("openenv"))
    return subprocess.run([command, *map(str, words)], capture_output=True, text=True)


def test_the_manifest_is_valid(folder: Path) -> None:
    done = openenv("validate", folder, "--level", "static", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["verdict"] == "pass", done.stdout + done.stderr
    assert {result["check_id"]: result["status"] for result in report["results"]} == {"static.manifest": "pass"}


def test_nothing_fails_at_any_level_without_the_image(folder: Path) -> None:
    done = openenv("validate", folder, "--skip-build", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["verdict"] == "warn"
    assert {result["status"] for result in report["results"]} == {"pass", "skip"}


def test_a_running_server_is_valid(url: str) -> None:
    done = openenv("validate", "--url", url, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["passed"], json.dumps(report, indent=1)


def test_openenvs_graders_accept_an_episode(folder: Path) -> None:
    """As `openenv validate --level runtime`, with a process in place of the image that Docker would build."""
    from openenv.validation import Level, run_validation
    from openenv.validation.types import ProviderCapability

    class Running:
        def __init__(self, process: subprocess.Popen[bytes], base_url: str) -> None:
            self.process, self.base_url = process, base_url

        def inspect(self) -> dict[str, str]:
            return {"kind": "process"}

        def stop(self) -> None:
            self.process.terminate()
            self.process.wait(30)

    class Processes:
        name = "process"
        capabilities = frozenset({ProviderCapability.IMAGE_BUILD})
        supported_network_modes = frozenset({"no-network"})

        def build(self, root: Path, execution: object) -> str:
            assert (root / execution.dockerfile).is_file()
            return "sha256:" + "0" * 64

        def start(self, spec: object) -> Running:
            return Running(*started(folder))

    report = run_validation(folder, max_level=Level.RUNTIME, provider=Processes())
    statuses = {result.check_id: result.status.value for result in report.results}
    checked = {"startup", "reward_well_formed", "observation_schema", "state_contract"}
    assert {statuses[f"runtime.{name}"] for name in checked} == {"pass"}, report
    assert "fail" not in statuses.values() and "error" not in statuses.values()


def test_the_package_installs_and_its_readme_plays(folder: Path, url: str, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(tmp_path)]
    subprocess.run([*pip, str(folder)], check=True)
    code = (FOLDER / "README.md").read_text().split("```python\n")[1].split("```")[0]
    play = tmp_path / "play.py"
    play.write_text(f"base_url = {url!r}\n{code}")
    done = subprocess.run([sys.executable, str(play)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith(" ?") and done.stdout.rstrip().endswith("0.0 False"), done.stdout
