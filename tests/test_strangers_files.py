"""Files from strangers: whatever they hold, a command ends with one harmless line, and no other file is touched."""

from __future__ import annotations

import gzip
import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.importers.files import lines
from berrypick.envs.record import RecordError
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.manifest import sha256
from berrypick.retrieval_index.store import build_index

EVIL = "\x1b]0;PWNED\x07\x1b[31mEVIL\x1b[0m\u202e"
DEEP = "[" * 100_000
PASSAGES = [Passage("a", "Hill", "ripe berries grow"), Passage("b", "Lake", "deep water")]


def one_line(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The line of a command that refuses."""
    capsys.readouterr()
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and err.isascii() and err.removesuffix("\n").isprintable(), err
    assert "\x1b" not in out
    return err


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The index folder with another manifest, whose digest is right: anybody can compute it."""
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    del value["manifest_sha256"]
    change(value)
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**value, "manifest_sha256": digest}))
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    build_index(PASSAGES, "bm25s", tmp_path / "index")
    return tmp_path / "index"


# ---- text for the terminal


def test_a_run_folder_cannot_colour_the_terminal_or_inject_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"command": "run", "experiment": f"x; touch PWNED #{EVIL}"}))
    line = one_line(capsys, "report", str(tmp_path))
    words = shlex.split(line.rpartition("continue it: ")[2])
    assert words[:2] == ["berrypick", "run"] and words[2].startswith("x; touch PWNED #") and words[3] == "--out"
    (tmp_path / "config.json").write_text(json.dumps({"command": "train", "rl": {}, "env": "$(touch PWNED)"}))
    assert "--env '$(touch PWNED)'" in one_line(capsys, "report", str(tmp_path))


def test_a_manifest_cannot_colour_the_terminal_or_inject_a_command(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(index, lambda value: value["files"].update({EVIL: [1, "x"]}))
    assert "is missing" in one_line(capsys, "index", "check", str(index))
    changed(index, lambda value: value.update(backend=f"bm25s; touch PWNED {EVIL}"))
    one_line(capsys, "index", "search", str(index), "berries")
    changed(index, lambda value: value.update(format=EVIL, backend="b; touch PWNED"))
    line = one_line(capsys, "index", "check", str(index))
    assert "b; touch PWNED" in shlex.split(line.rpartition("rebuild it: ")[2])


@pytest.mark.slow
def test_log_lines_are_harmless_too(tmp_path: Path) -> None:
    code = f"import logging; from berrypick.__main__ import main; main(['list']); logging.error({EVIL!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "EVIL" in done.stderr and "\x1b" not in done.stderr and "\u202e" not in done.stderr


# ---- files of another shape


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(files={"a": 1}),
        lambda value: value.update(files={"../secret": [1, "x"]}),
        lambda value: value.update(num_passages="two"),
        lambda value: value.update(parameters=[1]),
        lambda value: value.pop("libraries"),
        lambda value: value.update(extra=1),
    ],
)
def test_a_manifest_of_another_shape_is_one_line(
    index: Path, capsys: pytest.CaptureFixture[str], change: Callable[[dict[str, Any]], object]
) -> None:
    changed(index, change)
    for words in (("index", "search", str(index), "berries"), ("index", "check", str(index))):
        assert "its manifest is wrong at" in one_line(capsys, *words)


def test_arrays_that_do_not_fit_the_corpus_are_one_line(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = np.load(index / "rows.npy")
    np.save(index / "rows.npy", np.full_like(rows, 1_000_000))
    sums = [(index / "rows.npy").stat().st_size, sha256(index / "rows.npy")]
    changed(index, lambda value: value["files"].update({"rows.npy": sums}))
    assert "is damaged" in one_line(capsys, "index", "search", str(index), "berries")
    (index / "vocabulary.json").write_text(DEEP)
    sums = [(index / "vocabulary.json").stat().st_size, sha256(index / "vocabulary.json")]
    changed(index, lambda value: value["files"].update({"vocabulary.json": sums}))
    assert "do not fit together (it is nested too deeply)" in one_line(capsys, "index", "search", str(index), "berries")


def test_json_of_any_depth_is_one_line(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(DEEP)
    one_line(capsys, "report", str(run))
    (run / "notes.txt").write_text("else it would be a folder in which nothing was done yet")
    assert "nested too deeply" in one_line(
        capsys, "eval", "--env", "berrypick/World-v0", "--policy", "random_order", "--out", str(run), "--resume"
    )
    (index / "manifest.json").write_text(DEEP)
    assert "its manifest cannot be read" in one_line(capsys, "index", "check", str(index))
    (tmp_path / "corpus.jsonl").write_text(DEEP + "\n")
    build = ("index", "build", "--corpus", str(tmp_path / "corpus.jsonl"), "--out", str(tmp_path / "new"))
    assert "corpus.jsonl:1" in one_line(capsys, *build, "--backend", "bm25s")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("adapter_config.json", "rules.json"):
        (adapter / name).write_text(DEEP)
    assert "nested too deeply" in one_line(
        capsys, "eval", "--env", "berrypick/World-v0", "--policy", str(adapter), "--out", str(tmp_path / "x")
    )


def test_rules_that_no_environment_has_name_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--env", "berrypick/World-v0", "--env-arg", "num_test=2", "--policy", "random_order", "--samples", "1")
    assert main(["eval", *flags, "--out", str(tmp_path / "run"), "--no-html"]) == 0
    first, second = (json.loads(line) for line in (tmp_path / "run" / "rollouts.jsonl").open())
    first.pop("sha256"), second.pop("sha256")  # strangers' rows have none
    first["spec"]["temphate"] = first["spec"].pop("template")
    second["spec"]["top_k"] = 10**400
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n")
    assert "r.jsonl:1: " in (line := one_line(capsys, "report", str(file), "--strict")) and "temphate" in line
    file.write_text(json.dumps(second | {"spec": {"top_k": "3"}}) + "\n")
    assert "r.jsonl:1: " in one_line(capsys, "report", str(file), "--strict")


# ---- links


def test_no_link_in_a_run_folder_is_written_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--env", "berrypick/World-v0", "--env-arg", "num_test=2", "--policy", "random_order", "--samples", "1")
    run, victim = tmp_path / "run", tmp_path / "victim"
    assert main(["eval", *flags, "--out", str(run)]) == 0
    victim.write_text("precious")
    kept = (run / "rollouts.jsonl").read_bytes()
    for name in (".rollouts.jsonl.partial", "rollouts.jsonl", "report.json"):
        (run / "rollouts.jsonl").unlink()
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(victim)
        assert "is a link" in one_line(capsys, "eval", *flags, "--out", str(run), "--resume")
        (run / name).unlink()
        (run / "rollouts.jsonl").write_bytes(kept)
    (run / ".report.html.partial").symlink_to(victim)
    assert main(["report", str(run), "--html", str(run / "report.html")]) == 0
    assert victim.read_text() == "precious"


def test_what_a_killed_write_left_is_removed_by_the_next_run_there(tmp_path: Path) -> None:
    flags = ("--env", "berrypick/World-v0", "--env-arg", "num_test=2", "--policy", "random_order", "--samples", "1")
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.json.0123456789abcdef.partial").write_text("half")
    assert main(["eval", *flags, "--out", str(run)]) == 0, "a folder in which nothing was done yet is no run"
    (run / ".report.json.0123456789abcdef.partial").write_text("half")
    assert main(["eval", *flags, "--out", str(run), "--resume"]) == 0
    assert not list(run.glob("*.partial")) and not list(run.glob(".*.partial"))


# ---- bombs


def test_a_line_that_unpacks_to_more_than_fits_is_refused_before_it_fills_the_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zeros = gzip.compress(bytes(1 << 20))
    with (tmp_path / "c.jsonl.gz").open("wb") as file:
        file.writelines(zeros for _ in range(100))  # 100 MiB without a line break in 100 kB
    build = ("index", "build", "--corpus", str(tmp_path / "c.jsonl.gz"), "--out", str(tmp_path / "new"))
    assert "c.jsonl.gz: line 1 has more than 64 MiB" in one_line(capsys, *build, "--backend", "bm25s")
    (tmp_path / "r.jsonl.gz").write_bytes((tmp_path / "c.jsonl.gz").read_bytes())
    one_line(capsys, "report", str(tmp_path / "r.jsonl.gz"), "--strict")
    with pytest.raises(RecordError, match="line 1 has more than 64 MiB"):
        list(lines(tmp_path / "r.jsonl.gz"))
