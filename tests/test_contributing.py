"""CONTRIBUTING.md is true: every diff applies to this repository, and what they add works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
DIFFS = dict(re.findall(r"^### (.*)\n(?:.*\n)*?```diff\n((?:.*\n)*?)```", PAGE, re.MULTILINE))
FLOORS = ("retrieval_index", "envs", "policies", "experiments")

USE = """
import json, sys
from pathlib import Path
import berrypick
from berrypick.__main__ import main
from berrypick.envs import EpisodeFacts, parse_reward
from berrypick.envs.formats import get_turn_format
from berrypick.envs.importers import open_rollouts
from berrypick.envs.tasks.registry import TASKS
from berrypick.experiments.measures import summarize
from berrypick.experiments.registry import open_experiment
from berrypick.policies.objectives import get_objective

tmp = Path(sys.argv[1])
assert Path(berrypick.__file__).is_relative_to(tmp), berrypick.__file__
facts = EpisodeFacts("in Paris", ("Paris",), (), frozenset(), num_queries=1, num_invalid=0, num_turns=2)
assert parse_reward("em + 0.5*short")(facts) == 0.5
log = tmp / "log.jsonl"
talk = [{"role": "user", "content": "2 + 3 ?"}, {"role": "assistant", "content": "5"}]
log.write_text(json.dumps({"dialogue": talk, "gold": ["5"], "score": 1.0}))
source = open_rollouts(log)
records = list(source.records())
assert source.summary().startswith("notebook log") and [record.em for record in records] == [1.0]
assert summarize(records, ks=(1,))["measures"]["searchless"]["value"] == 1.0
assert get_objective("best_of_two").summary.startswith("Max@2")
assert get_turn_format("terse").invalid_hint == "write <search> or <answer>"
assert "berrypick/HoVer-v0" in TASKS
corpus, index = tmp / "corpus.jsonl", str(tmp / "index")
corpus.write_text('{"id": "1", "text": "fig"}\\n{"id": "2", "text": "fig and more and more words"}\\n')
assert main(["index", "build", "--corpus", str(corpus), "--backend", "bm25s-flat", "--out", index]) == 0
assert main(["index", "search", index, "fig", "--json"]) == 0
assert len(open_experiment("keeps").cells("smoke", num_seeds=1)) == 2
"""


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_every_diff_applies_and_what_it_adds_works(tmp_path: Path) -> None:
    assert len(DIFFS) == PAGE.count("```diff") == 8
    checkout = tmp_path / "berrypick"
    checkout.mkdir()
    for name in FLOORS:
        ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    for name in ("__init__.py", "__main__.py", "pyproject.toml", "py.typed"):
        shutil.copyfile(ROOT / name, checkout / name)
    subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
    for kind, diff in DIFFS.items():
        done = subprocess.run(["git", "apply", "-"], input=diff, text=True, capture_output=True, cwd=checkout)
        assert done.returncode == 0, f"{kind}: {done.stderr}"
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    hits = done.stdout[done.stdout.index("[") :]
    assert hits.count('"id"') == 2 and len(set(re.findall(r'"score": ([\d.]+)', hits))) == 1, "length does not count"
    ruff = Path(sys.executable).with_name("ruff")
    if ruff.is_file():
        linted = subprocess.run([ruff, "check", "--no-cache", "."], cwd=checkout, capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert target.startswith("http") or (ROOT / target).exists(), target
    for name in re.findall(r"`(tests/[\w/.]+\.py)`", PAGE):
        assert (ROOT / name).is_file(), name
