"""Lucene behind the contract: parity with bm25s, ties, clean output, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage, read_corpus
from berrypick.retrieval_index.store import build_index, check_index, open_searcher

pytestmark = pytest.mark.lucene


@pytest.fixture(scope="module")
def hotpotqa(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Passage], list[str], Path]:
    """Every fourth passage, 200 questions, a Lucene index."""
    passages = list(read_corpus(shared_data / "hotpotqa" / "corpus.jsonl.gz").passages[::4])
    lines = (shared_data / "hotpotqa" / "questions.jsonl").read_text(encoding="utf-8").splitlines()[:200]
    folder = tmp_path_factory.mktemp("lucene") / "index"
    build_index(passages, "lucene", folder)
    return passages, [json.loads(line)["question"] for line in lines], folder


def test_short_passages_rank_exactly_as_in_bm25s(tmp_path: Path) -> None:
    """Up to 40 terms Lucene keeps lengths exactly, so only its rounding to 1e-4 is left."""
    passages = [
        Passage(f"{i:03d}", "", f"register{i % 3} founder{i % 5} kizunba{i % 11} " + "filler " * (i % 7))
        for i in range(300)
    ]
    queries = [f"founder{i % 5} kizunba{i % 11} register{i % 3}" for i in range(60)]
    build_index(passages, "lucene", tmp_path / "i")
    ours = Bm25sSearcher.from_passages(passages).search(queries, 20)
    theirs = open_searcher(tmp_path / "i").search(queries, 20)
    for mine, lucene in zip(ours, theirs):
        assert [hit.id for hit in mine] == [hit.id for hit in lucene]
        assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in lucene], abs=1.1e-4)


def test_real_passages_rank_nearly_as_in_bm25s(hotpotqa: tuple[list[Passage], list[str], Path]) -> None:
    """Longer passages: Lucene keeps their length in one byte (steps of up to 1/8), so scores differ by some percent."""
    passages, questions, folder = hotpotqa
    ours = Bm25sSearcher.from_passages(passages).search(questions, 10)
    theirs = open_searcher(folder).search(questions, 10)
    same_first = overlap = 0.0
    for mine, lucene in zip(ours, theirs):
        scores = {hit.id: hit.score for hit in lucene}
        shared = [hit for hit in mine if hit.id in scores]
        assert [hit.score for hit in shared] == pytest.approx([scores[hit.id] for hit in shared], rel=0.06)
        same_first += mine[0].id == lucene[0].id
        overlap += len(shared) / 10
    assert same_first / len(ours) >= 0.97
    assert overlap / len(ours) >= 0.98


def test_a_tie_set_larger_than_any_page_stands_by_id(tmp_path: Path) -> None:
    """Anserini takes 1e-6 off for each tie: after a hundred the next score is reached, and order must survive."""
    passages = [Passage(f"{i:04d}", "", "zebra lion" if i % 2 else "zebra tiger lion") for i in range(700)]
    build_index(passages, "lucene", tmp_path / "i")
    found = open_searcher(tmp_path / "i").search(["tiger"], 700)[0]
    assert [hit.id for hit in found] == [f"{i:04d}" for i in range(0, 700, 2)]
    keys = [(-hit.score, hit.id) for hit in open_searcher(tmp_path / "i").search(["tiger lion"], 700)[0]]
    assert keys == sorted(keys) and len(keys) == 700


def test_two_builds_have_one_id_and_the_same_hits(corpus: list[Passage], tmp_path: Path) -> None:
    """Lucene writes a random id into its files, so bytes differ; what is found and recorded does not."""
    one = build_index(corpus, "lucene", tmp_path / "one")
    two = build_index(corpus[::-1], "lucene", tmp_path / "two")
    assert one.index_id == two.index_id
    queries = ["ripe berries", "common text"]
    assert open_searcher(tmp_path / "one").search(queries, 9) == open_searcher(tmp_path / "two").search(queries, 9)
    check_index(tmp_path / "one")


SCRIPT = """
import json, os, sys, time
from pathlib import Path
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.store import build_index, open_searcher
before = {name: os.environ.get(name) for name in ("OPENAI_API_KEY", "JAVA_HOME", "JVM_PATH")}
build_index([Passage("1", "", "ripe berries")], "lucene", Path(sys.argv[1]))
searcher = open_searcher(Path(sys.argv[1]))
found = searcher.search(["berries", "x" * 9], 3)
import jnius
jnius.autoclass("java.lang.System").out.println("from Java")
assert before == {name: os.environ.get(name) for name in before}, "the environment was changed"
print(json.dumps([[hit.id for hit in ranking] for ranking in found]), flush=True)
if len(sys.argv) > 2:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_standard_output_holds_nothing_of_java_and_the_environment_is_put_back(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "i")],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": ""},
        check=True,
    )
    assert ended.stdout == '[["1"], []]\n'
    assert "from Java" in ended.stderr


def test_ctrl_c_reaches_python_with_lucene_loaded(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "i"), "wait"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == '[["1"], []]\n'
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert process.wait(30) == 0
