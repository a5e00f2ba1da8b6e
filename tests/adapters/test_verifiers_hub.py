"""The package in hubs/verifiers installs, and verifiers' own command evaluates it against a model server."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("verifiers.v1")

from fixtures.chat_stream import streaming

pytestmark = pytest.mark.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[2]
FOLDER, PAGE = ROOT / "hubs" / "verifiers", ROOT / "docs" / "hubs.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed into."""
    copy, site = tmp_path_factory.mktemp("hub") / "verifiers", tmp_path_factory.mktemp("site")
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, str(copy)], check=True)
    return site


def test_the_environment_loads_in_python(site: Path) -> None:
    code = (
        "import berrypick_search as hub; from verifiers.v1.utils.loaders import environment_class, taskset_class;"
        "assert environment_class('berrypick-search') is hub.BerrypickEnv;"
        "assert taskset_class('berrypick-search') is hub.BerrypickTaskset;"
        "env = hub.load_environment(arguments={'num_train': 5, 'num_test': 2}, num_questions=3);"
        "print(len(list(env.taskset)), hub.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    number, file = done.stdout.split()
    assert number == "3" and Path(file).is_relative_to(site)


@pytest.mark.skipif(shutil.which("uv") is None, reason="the null harness prepares its program with uv")
def test_vf_eval_evaluates_and_our_report_reads_its_traces(site: Path, tmp_path: Path) -> None:
    import berrypick
    from berrypick.envs.importers import open_rollouts

    sizes, answered = {"num_train": 1, "num_test": 2}, itertools.count()
    questions = berrypick.make_task("berrypick/World-v0", **sizes).split("train")

    def reply(messages: list[dict]) -> str:
        said = [message for message in messages if message["role"] == "assistant"]
        question = next(q for q in questions if any(q.text in str(message["content"]) for message in messages))
        world = question.metadata["world"]
        query = f"{world['kinds'][0]} {world['relations'][0]} {world['entities'][0]}"
        if not said:
            return f"<search> {query} </search>"
        return f"<answer> {'x' if next(answered) == 0 else question.answers[0]} </answer>"

    extra = f"--env.taskset.arguments '{json.dumps(sizes)}' --no-rich --output-dir outputs --run.name run"
    with streaming(reply) as (base_url, asked):
        command = re.search(r"^vf-eval .*$", PAGE.read_text(), re.MULTILINE)[0]
        command = command.replace("MODEL", "stub").replace("http://127.0.0.1:8000/v1", base_url)
        words = [str(Path(sys.executable).with_name("vf-eval")), *shlex.split(command)[1:], *shlex.split(extra)]
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    traces = tmp_path / "outputs" / "run" / "traces.jsonl"
    rows = [json.loads(line) for line in traces.read_text().splitlines()]
    assert len(rows) == 4 and not any(row.get("errors") for row in rows)
    source = open_rollouts(traces)
    records = list(source.records())
    assert sorted(record.reward for record in records) == [0.0, 1.0, 1.0, 1.0]
    assert all(len(record.queries) == 1 for record in records) and len(asked) == 8
    assert "verifiers" in source.summary()


def test_the_readme_and_the_page_show_the_same_command() -> None:
    commands = [re.findall(r"^vf-eval .*$", path.read_text(), re.MULTILINE) for path in (PAGE, FOLDER / "README.md")]
    assert commands[0] == commands[1] and len(commands[0]) == 1
