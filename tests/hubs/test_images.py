"""The Dockerfiles are true, as far as can be told without a builder: what they copy, build and run works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")
pytest.importorskip("mcp.server.streamable_http_manager")

from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.store import build_index
from fixtures.dockerfile import copied, instructions, words
from fixtures.machine import patience

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "hubs" / "retrieval_server" / "Dockerfile"
OPENENV = ROOT / "hubs" / "openenv" / "server" / "Dockerfile"
IMAGES = {"server": (SERVER, ROOT), "openenv": (OPENENV, OPENENV.parents[1])}


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_copied_exists_and_is_in_the_build_context(name: str) -> None:
    dockerfile, context = IMAGES[name]
    sources = copied(dockerfile)
    assert sources
    for source in sources:
        assert source == "wheels" or (context / source).exists(), source  # `wheels` is made by its first command
    ignored = dockerfile.with_name("Dockerfile.dockerignore")
    if ignored.exists():
        admitted = {line[1:] for line in ignored.read_text().splitlines() if line.startswith("!")}
        assert admitted == set(sources)


@pytest.mark.parametrize("name", IMAGES)
def test_it_runs_as_nobody_special_from_a_pinned_base_with_a_health_check(name: str) -> None:
    steps = instructions(IMAGES[name][0])
    bases = [rest.split()[0] for step, rest in steps if step == "FROM"]
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) for base in bases), bases
    last = max(at for at, (step, _) in enumerate(steps) if step == "FROM")
    assert "10001" in [rest for step, rest in steps[last:] if step == "USER"]
    assert any(step == "HEALTHCHECK" for step, _ in steps[last:])
    user, command = (max(at for at, (step, _) in enumerate(steps) if step == found) for found in ("USER", "CMD"))
    assert user < command
    for step, rest in steps:
        if step == "RUN":
            named = re.findall(r"pip install (.*?)(?:&&|$)", rest)
            assert all("==" in line or "-c constraints.txt" in line for line in named), rest


def test_the_versions_of_the_openenv_image_are_those_that_were_tested() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    pinned = dict(re.findall(r'"([\w-]+)==([\w.]+)"', OPENENV.read_text()))
    tested = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert pinned["berrypick"] == version and pinned["uvicorn"] == tested["uvicorn"]
    assert re.search(
        rf"Tested with openenv {re.escape(pinned['openenv'].removesuffix('.0'))}\b",
        (ROOT / "envs" / "adapters" / "openenv.py").read_text(),
    )


def test_the_copied_files_are_enough_to_build_the_package(tmp_path: Path) -> None:
    """The build step of the image, without the dependencies, on nothing but what the image has."""
    for source in copied(SERVER):
        there = ROOT / source
        if there.is_dir():
            shutil.copytree(there, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(there, tmp_path / source)
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    if "No module named 'setuptools'" in done.stderr:
        pytest.skip("setuptools is not installed")
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.stat().st_size > 100_000


@pytest.mark.slow
def test_the_command_starts_and_its_health_check_passes(tmp_path: Path) -> None:
    build_index([Passage("1", "", "figs are ripe")], "bm25s", tmp_path / "index")
    entry, arguments, check = (words(SERVER, name) for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"))
    assert entry == ["berrypick", "serve"] and arguments[0] == "/index" and check[0] == "python"
    arguments = [str(tmp_path / "index"), *arguments[1:]]
    arguments[arguments.index("8000")] = "0"
    command = [sys.executable, "-m", *entry, *arguments]
    environment = {**os.environ, "BERRYPICK_TOKEN": "secret"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            said = (re.search(r"running on http://0\.0\.0\.0:(\d+)", line) for line in process.stderr)
            port = next(found[1] for found in said if found)
            checked = [part.replace("8000", port) for part in check[1:]]
            for _ in range(20):  # as Docker asks again
                done = subprocess.run([sys.executable, *checked], capture_output=True, text=True)
                if done.returncode == 0:
                    break
            assert done.returncode == 0, done.stderr
        finally:
            process.terminate()
            process.communicate(timeout=patience(20))
    assert process.returncode in (0, -15)  # uvicorn ends by the signal that stopped it
    without = {key: value for key, value in os.environ.items() if key != "BERRYPICK_TOKEN"}
    done = subprocess.run(command, capture_output=True, text=True, env=without)
    assert done.returncode == 2 and "set BERRYPICK_TOKEN" in done.stderr
