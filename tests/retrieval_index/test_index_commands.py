"""`berrypick index ...` and `berrypick serve` as a person types them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from berrypick.__main__ import main
from berrypick.retrieval_index.corpus import Passage, write_corpus
from berrypick.retrieval_index.store import read_manifest
from fixtures.machine import patience, until

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """run(words...) -> exit status, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # the parser's own refusals
            status = int(stop.code or 0)
        out, err = capfd.readouterr()
        return status, out, err

    return call


@pytest.fixture
def corpus_file(corpus: list[Passage], tmp_path: Path) -> Path:
    write_corpus(tmp_path / "corpus.jsonl.gz", corpus)
    return tmp_path / "corpus.jsonl.gz"


@pytest.fixture
def index(run: Run, corpus_file: Path, tmp_path: Path) -> Path:
    status, out, _ = run("index", "build", "--corpus", corpus_file, "--backend", "bm25s", "--out", tmp_path / "i")
    assert status == 0 and out.startswith(f"{tmp_path / 'i'}: 48 passages, bm25s, id ")
    return tmp_path / "i"


def test_check_lists_every_file_and_says_that_the_index_is_whole(run: Run, index: Path) -> None:
    status, out, _ = run("index", "check", index)
    assert status == 0
    assert out.count("checksum right") == len(read_manifest(index).files)
    assert out.splitlines()[-1].startswith(f"{index} is intact: bm25s, id {read_manifest(index).index_id[:16]}")


def test_check_of_a_damaged_index_exits_2_with_one_line(run: Run, index: Path) -> None:
    body = bytearray((index / "data.npy").read_bytes())
    body[-1] ^= 1
    (index / "data.npy").write_bytes(bytes(body))
    status, out, err = run("index", "check", index)
    assert status == 2
    assert err.startswith("berrypick: index ") and err.count("\n") == 1
    assert f"--out {index} --overwrite" in err and out == ""


def test_search_prints_one_json_document(run: Run, index: Path) -> None:
    status, out, err = run("index", "search", index, "ripe berries", "--k", 2, "--json")
    assert (status, err) == (0, "")
    assert [(row["id"], row["title"]) for row in json.loads(out)] == [("a", "Berries"), ("b", "Berries")]
    assert json.loads(run("index", "search", index, "zzz", "--json")[1]) == []


def test_hostile_passages_are_shown_harmlessly(run: Run, index: Path) -> None:
    status, out, _ = run("index", "search", index, "evil berries", "--k", 1)
    assert status == 0
    assert "\x1b[31m" not in out and "\u202e" not in out
    assert "<answer>" in out
    assert "no hits" in run("index", "search", index, "zzz")[1]


def test_eval_prints_recall_by_hand(run: Run, index: Path, tmp_path: Path) -> None:
    rows = [("ripe berries", ["a", "b"]), ("ripe berries", ["p00"]), ("no support", [])]
    lines = [json.dumps({"question": q, "metadata": {"supporting_ids": s}}) for q, s in rows]
    (tmp_path / "q.jsonl").write_text("\n".join(lines))
    status, out, _ = run("index", "eval", index, "--questions", tmp_path / "q.jsonl", "--k", 1, 2, "--json")
    assert status == 0
    value = json.loads(out)
    assert (value["recall@1"], value["recall@2"], value["all_support@1"], value["all_support@2"]) == (0.25, 0.5, 0, 0.5)
    assert (value["num_questions"], value["num_without_support"]) == (2, 1)
    status, out, _ = run("index", "eval", index, "--questions", tmp_path / "q.jsonl", "--k", 1, 2)
    assert status == 0 and "0.250" in out and "0.500" in out
    assert out.splitlines()[0] == "2 questions, 1 without supporting passages skipped"


def test_eval_of_a_foreign_index_is_refused(run: Run, index: Path, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "x", "metadata": {"supporting_ids": ["elsewhere"]}}')
    status, _, err = run("index", "eval", index, "--questions", tmp_path / "q.jsonl")
    assert status == 2 and "q.jsonl:1: passage 'elsewhere' is not in the index" in err


def test_eval_names_a_broken_line_and_only_a_cure_that_it_has(run: Run, index: Path, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text("no object\n")
    status, _, err = run("index", "eval", index, "--questions", tmp_path / "q.jsonl")
    assert status == 2 and "q.jsonl:1: " in err and err.endswith("; fix the line\n")


def test_a_broken_corpus_line_is_named_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"id": "1", "text": "x"}\n{"id": "1", "text": "y"}\n')
    words = ("index", "build", "--corpus", tmp_path / "c.jsonl", "--backend", "bm25s", "--out", tmp_path / "i")
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert err == (f"berrypick: {tmp_path / 'c.jsonl'}:2: duplicate id '1'; give each passage a unique id\n")
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]
    status, out, err = run(*words, "--skip-bad")
    assert status == 0 and "1 passage," in out
    assert f"skipped {tmp_path / 'c.jsonl'}:2: " in err and "1 line skipped" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--backend", "lucen"), "did you mean lucene"),
        (("--backend", "bm25s", "--b", "2"), "--b from 0 to 1"),
        (("--backend", "bm25s", "--k1", "-1"), "--k1 must be at least 0"),
        (("--backend", "bm25s", "--k1", "nan"), "--k1 must be at least 0"),
        (("--backend", "faiss", "--batch-size", "-3"), "--batch-size must be at least 1, got -3"),
        (("--backend", "faiss", "--batch-size", "0"), "--batch-size must be at least 1, got 0"),
        (("--kind", "hnsw"), "--kind hnsw is for --backend faiss or hybrid; lucene does not read it"),
        (("--backend", "faiss", "--k1", "1"), "--k1 1.0 is for --backend bm25s or lucene or hybrid; faiss does not"),
        (("--backend", "bm25s", "--encoder", "e5"), "--encoder e5 is for --backend faiss or hybrid or milvus; bm25s"),
        (("--backend", "hybrid", "--uri", "http://here"), "--uri http://here is for --backend milvus; hybrid does not"),
    ],
)
def test_bad_build_flags_exit_2_before_the_corpus_is_read(
    run: Run, words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    (tmp_path / "c.jsonl").write_text("not read")
    status, _, err = run("index", "build", "--corpus", tmp_path / "c.jsonl", "--out", tmp_path / "i", *words)
    assert status == 2 and says in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]


def test_bad_numbers_and_missing_indexes_exit_2_with_one_line(run: Run, index: Path, tmp_path: Path) -> None:
    for words in (
        ("search", index, "q", "--k", 0),
        ("eval", index, "--questions", tmp_path / "none.jsonl"),
        ("eval", index, "--questions", tmp_path / "none.jsonl", "--k", 0),
        ("check", tmp_path),
        ("search", tmp_path / "none", "q"),
        ("import", "--out", tmp_path / "j"),
        ("import", "--lucene", tmp_path, "--out", tmp_path / "j", "--b", "1.5"),
        ("import", "--lucene", tmp_path, "--corpus", tmp_path / "c.jsonl", "--out", tmp_path / "j"),
        ("build", "--corpus", tmp_path / "none.jsonl", "--backend", "bm25s", "--out", tmp_path / "j"),
        ("build", "--corpus", tmp_path / "none.jsonl", "--backend", "bm25s", "--out", index),
    ):
        status, out, err = run("index", *words)
        assert (status, out) == (2, ""), words
        assert err.startswith("berrypick: ") and err.count("\n") == 1, (words, err)


@pytest.mark.parametrize("what", ["missing", "empty", "other files"])
def test_the_command_that_check_names_builds_an_index(run: Run, corpus_file: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "i"
    if what != "missing":
        folder.mkdir()
    if what == "other files":
        (folder / "thesis.tex").write_text("years of work")
    status, _, err = run("index", "check", folder)
    assert status == 2 and f"{folder} is not a berrypick index" in err
    command = err.partition("build one: berrypick ")[2]
    made = tmp_path / "new" if what == "other files" else folder
    words = [{"FILE": str(corpus_file), "NEW_FOLDER": str(made)}.get(word, word) for word in command.split()]
    assert ("--overwrite" in words) == (what == "empty")
    assert run(*words)[0] == 0 and run("index", "check", made)[0] == 0


def test_serve_refuses_what_it_must(run: Run, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BERRYPICK_TOKEN", raising=False)
    for words, says in (
        ((index, "--host", "0.0.0.0"), "BERRYPICK_TOKEN"),
        ((tmp_path,), "not a berrypick index"),
        ((index, "--topk", 0), "--topk must be at least 1"),
        ((index, "--topk", 500), "add --max-topk 500"),
        ((index, "--cache", -1), "--cache must be at least 0"),
        ((index, "--timeout-s", 0), "--timeout-s must be above 0"),
        ((index, "--head-timeout-s", 0), "--head-timeout-s must be above 0"),
        ((index, "--max-connections", 0), "--max-connections must be at least 1"),
        ((index, "--max-wait-ms", "nan"), "--max-wait-ms must be at least 0"),
        ((index, "--port", -1), "--port must be between 0 and 65535"),
        ((index, "--port", 99999999), "--port must be between 0 and 65535"),
        ((index, "--log-level", "loud"), "debug, info or warning"),
    ):
        status, _, err = run("serve", *words)
        assert status == 2 and says in err and err.count("\n") == 1, (words, err)
    monkeypatch.setenv("BERRYPICK_TOKEN", " ")
    status, _, err = run("serve", index, "--host", "0.0.0.0")
    assert status == 2 and "BERRYPICK_TOKEN is set but blank" in err and err.count("\n") == 1


@pytest.mark.slow
def test_serve_answers_logs_json_lines_and_stops_on_sigterm(index: Path) -> None:
    urllib3 = pytest.importorskip("urllib3")
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "berrypick", "serve", str(index), "--port"]
    process = subprocess.Popen(
        [*command, "0"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=index.parent
    )
    assert process.stderr is not None
    log = [process.stderr.readline()]
    try:
        while "running on" not in log[-1]:
            assert log[-1], "the server ended"
            log.append(process.stderr.readline())
        url = re.findall(r"http://[\d.:]+", log[-1])[0]
        until(lambda: urllib3.request("GET", url + "/health").status == 200)
        health = urllib3.request("GET", url + "/health").json()
        assert (health["status"], health["backend"], health["num_passages"]) == ("ready", "bm25s", 48)
        assert health["index_id"] == read_manifest(index).index_id
        reply = urllib3.request("POST", url + "/retrieve", json={"queries": ["ripe berries"], "topk": 1})
        assert reply.json()["result"][0][0]["id"] == "a"
        words = [*command, url.rpartition(":")[2]]
        second = subprocess.run(words, capture_output=True, text=True, cwd=index.parent, timeout=patience(60))
        assert second.returncode == 2 and "choose another --port" in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        log += process.stderr.readlines()
        process.wait(patience(30))
    assert process.stdout is not None
    assert process.stdout.read() == ""
    lines = [json.loads(line) for line in log]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert any(line["message"] == "ready" and line["index_id"] == health["index_id"] for line in lines)


def test_a_missing_serve_extra_is_named(run: Run, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from berrypick.retrieval_index.server import command

    monkeypatch.setattr(command, "find_spec", lambda name: None)
    status, _, err = run("serve", index)
    assert status == 2 and 'pip install "berrypick[serve]"' in err


@pytest.mark.lucene
def test_json_output_stays_clean_with_lucene(corpus_file: Path, tmp_path: Path) -> None:
    """In a process of its own: what native code prints at start-up counts too."""

    def berrypick(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "berrypick", "index", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ, cwd=tmp_path)

    built = berrypick("build", "--corpus", corpus_file, "--backend", "lucene", "--out", tmp_path / "l")
    assert built.stdout.count("\n") == 2  # the index, and what comes next
    found: Any = json.loads(berrypick("search", tmp_path / "l", "ripe berries", "--k", 2, "--json").stdout)
    assert [row["id"] for row in found] == ["a", "b"]


def test_clean_removes_what_killed_builds_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, size in ((".mine.abcdefgh.partial", 1_500_000), (".mine.scratch", 500_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_bytes(bytes(size))
    assert main(["index", "clean", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert ".mine.abcdefgh.partial (1.5 MB)" in out and out.endswith("2 left-overs removed, 2.0 MB\n")
    assert list(tmp_path.iterdir()) == []
    assert main(["index", "clean", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "0 left-overs removed, 0.0 MB\n"
    assert main(["index", "clean", str(tmp_path / "absent")]) == 2
