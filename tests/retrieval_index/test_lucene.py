"""Lucene behind the contract: parity with bm25s, ties, clean output, Ctrl-C."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from berrypick.retrieval_index import lucene_index
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage, read_corpus
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.import_index import import_lucene
from berrypick.retrieval_index.java import import_pyserini
from berrypick.retrieval_index.lucene_index import LuceneSearcher
from berrypick.retrieval_index.lucene_reader import LuceneReader
from berrypick.retrieval_index.store import build_index, open_searcher
from fixtures.machine import patience

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
    """Up to 40 terms Lucene keeps lengths exactly, so only float32's rounding is left."""
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
        assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in lucene], abs=1e-5)


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


def test_real_passages_rank_exactly_as_in_pyserini(hotpotqa: tuple[list[Passage], list[str], Path]) -> None:
    """Pyserini rounds scores to 1e-4 and takes 1e-6 off for each tie; it sorts by (score, id) before that."""
    passages, questions, folder = hotpotqa
    peer = import_pyserini("pyserini.search.lucene").LuceneSearcher(str(folder / "lucene"))
    peer.set_bm25(0.9, 0.4)
    numbers = [str(number) for number in range(len(questions))]
    theirs = peer.batch_search(questions, numbers, k=10, threads=2)
    ordered = sorted(passages, key=lambda passage: passage.id)
    for number, mine in zip(numbers, open_searcher(folder).search(questions, 10)):
        assert [hit.id for hit in mine] == [ordered[int(hit.docid)].id for hit in theirs[number]]
        assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in theirs[number]], abs=1.2e-4)


def test_a_tie_set_larger_than_any_page_stands_by_id(tmp_path: Path) -> None:
    passages = [Passage(f"{i:04d}", "", "zebra lion" if i % 2 else "zebra tiger lion") for i in range(700)]
    build_index(passages, "lucene", tmp_path / "i")
    found = open_searcher(tmp_path / "i").search(["tiger"], 700)[0]
    assert [hit.id for hit in found] == [f"{i:04d}" for i in range(0, 700, 2)]
    keys = [(-hit.score, hit.id) for hit in open_searcher(tmp_path / "i").search(["tiger lion"], 700)[0]]
    assert keys == sorted(keys) and len(keys) == 700


def world_passages(count: int) -> list[Passage]:
    """Short passages over few words: nearly every score is shared by dozens."""
    draw = random.Random(0)
    words = [f"kind{i}" for i in range(4)] + [f"relation{i}" for i in range(6)] + [f"name{i}" for i in range(40)]
    return [Passage(f"{i:05d}", "", " ".join(draw.sample(words, 4))) for i in range(count)]


def test_documents_in_any_order_over_several_segments_give_the_hits_of_our_own_index(tmp_path: Path) -> None:
    """Others' folders number their documents as they like; ties stand by id all the same, wherever k cuts them."""
    passages = world_passages(600)
    shuffled = random.Random(1).sample(passages, len(passages))
    theirs = tmp_path / "theirs"
    for at in range(0, len(shuffled), 200):  # a commit makes a segment
        indexer = import_pyserini("pyserini.index.lucene").LuceneIndexer(
            args=["-index", str(theirs), "-storeRaw"], append=at > 0
        )
        for passage in shuffled[at : at + 200]:
            indexer.add_doc_raw(json.dumps({"id": passage.id, "contents": passage.contents}))
        indexer.close()
    import_lucene(theirs, tmp_path / "imported")
    build_index(passages, "lucene", tmp_path / "built")
    assert LuceneReader(tmp_path / "built" / "lucene").ordered and not LuceneReader(theirs).ordered
    queries = [*(passage.text for passage in passages[::20]), "kind1", "kind1 relation2", "name3 kind0 relation0"]
    for k in (1, 3, 10, 100, 1000):
        mine, imported = (open_searcher(tmp_path / name).search(queries, k) for name in ("built", "imported"))
        assert mine == imported


def test_a_build_larger_than_its_buffer_keeps_documents_in_id_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lucene_index, "_BUFFER_MIB", 0.1)  # flushes and merges many times
    passages = [Passage(f"{i:05d}", "", f"name{i} zebra") for i in range(1500)]
    build_index(passages, "lucene", tmp_path / "i")
    assert LuceneReader(tmp_path / "i" / "lucene").ordered
    found = open_searcher(tmp_path / "i").search(["name7", "name1499"], 1)
    assert [ranking[0].id for ranking in found] == ["00007", "01499"]


def test_slow_searches_are_spread_over_threads_and_give_the_same_hits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = world_passages(400)
    build_index(passages, "lucene", tmp_path / "i")
    table = sorted(passages, key=lambda passage: passage.id)
    queries = [passage.text for passage in passages]
    alone = LuceneSearcher(tmp_path / "i" / "lucene", table, "", threads=1).search(queries, 5)
    monkeypatch.setattr(lucene_index, "_WORTH_A_THREAD_S", 0.0)
    several = LuceneSearcher(tmp_path / "i" / "lucene", table, "", threads=4)
    assert several.search(queries, 5) == alone
    several.close()
    with pytest.raises(BerrypickError, match="closed; open it again"):
        several.search(queries, 5)


def test_searchers_of_several_indexes_answer_at_once_each_from_its_own(tmp_path: Path) -> None:
    """pyjnius keeps a call's receiver in an object that all searchers share."""
    for name in "ab":
        build_index(
            [Passage(f"{name}{i:03d}", "", f"{name} word{i % 9}") for i in range(200)], "lucene", tmp_path / name
        )
    searchers = {name: open_searcher(tmp_path / name) for name in "ab"}
    queries = [f"word{i % 9}" for i in range(60)]
    with ThreadPoolExecutor(4) as threads:
        for name, found in threads.map(lambda name: (name, searchers[name].search(queries, 3)), "ab" * 20):
            assert {hit.id[0] for ranking in found for hit in ranking} == {name}


def test_a_closed_index_and_a_folder_lucene_cannot_open_are_one_clear_line(tmp_path: Path) -> None:
    build_index([Passage("1", "", "ripe berries")], "lucene", tmp_path / "i")
    searcher = open_searcher(tmp_path / "i")
    searcher.close()
    with pytest.raises(BerrypickError, match="closed; open it again"):
        searcher.search(["berries"], 1)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "segments_1").write_bytes(b"not Lucene's")
    with pytest.raises(BerrypickError, match="Lucene cannot open"):
        import_lucene(tmp_path / "broken", tmp_path / "j")


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
assert not {"pyserini.search", "torch"} & set(sys.modules), "searching imported what takes seconds"
try:
    print(json.dumps([[hit.id for hit in ranking] for ranking in found]), flush=True)
    if len(sys.argv) > 2:
        time.sleep(3600)
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


def heed_interrupts() -> None:
    """A shell that starts its tests in the background has them, and all they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_reaches_python_with_lucene_loaded(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "i"), "wait"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == '[["1"], []]\n'
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert process.wait(patience(30)) == 0


ROUNDS = """
import json, random, sys, time
from pathlib import Path
from berrypick.retrieval_index import lucene_index
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.store import build_index

lucene_index._WORTH_A_THREAD_S = 0.0  # every batch is spread over threads
draw = random.Random(0)
words = [f"word{i}" for i in range(500)]
passages = [Passage(f"{i:04d}", "", " ".join(draw.choices(words, k=30))) for i in range(2000)]
build_index(passages, "lucene", Path(sys.argv[1]))
import jnius
Factory = jnius.autoclass("java.lang.management.ManagementFactory")
System = jnius.autoclass("java.lang.System")

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
    return pages * 4096

def state(least):
    for _ in range(3):
        System.gc()
    ends = time.monotonic() + float(sys.argv[3])
    while resident() > least and time.monotonic() < ends:  # Java gives memory back some time after a collection
        time.sleep(0.1)
    heap = Factory.getMemoryMXBean().getHeapMemoryUsage().getUsed()
    return {"resident": resident(), "heap": heap, "threads": Factory.getThreadMXBean().getThreadCount()}

def rounds(count):
    for _ in range(count):
        searcher = lucene_index.LuceneSearcher(Path(sys.argv[1]) / "lucene", passages, "", threads=4)
        assert len(searcher.search([p.text for p in passages[:8]], 3)) == 8
        searcher.close()

rounds(20)
early = state(1 << 60)
rounds(int(sys.argv[2]))
print(json.dumps([early, state(early["resident"] + (32 << 20))]))
"""


def test_memory_and_threads_stay_as_they_are_over_open_and_close(tmp_path: Path) -> None:
    """A thread that stays attached to Java keeps about 8 kB of heap, and its own memory."""
    words = [sys.executable, "-c", ROUNDS, str(tmp_path / "i"), "200", str(patience(5))]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    early, late = json.loads(done.stdout)
    assert late["threads"] <= early["threads"]
    assert late["heap"] - early["heap"] < 1 << 20
    assert late["resident"] - early["resident"] <= 32 << 20


FULL = """
import random, resource, sys
from pathlib import Path
from berrypick.retrieval_index import lucene_index
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.errors import BerrypickError

lucene_index._BUFFER_MIB = 0.1  # flushes many times
lucene_index.start_jvm()
draw = random.Random(0)
passages = [Passage(f"{i:05d}", "", " ".join(f"w{draw.randrange(10**6)}" for _ in range(30))) for i in range(3000)]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    lucene_index.build_lucene(passages, Path(sys.argv[1]))
except BerrypickError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another system may say it in other words")
@pytest.mark.parametrize("most", [10_000, 60_000, 400_000], ids=["flush", "merge", "last merge"])
def test_a_flush_that_fails_names_the_folder_and_the_reason(tmp_path: Path, most: int) -> None:
    words = [sys.executable, "-c", FULL, str(tmp_path / "i"), str(most)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.strip()
    assert "\n" not in said and said.startswith(f"Lucene cannot write {tmp_path / 'i'}: ")
    assert "File too large" in said and said.endswith("see that its disk has space and works")
