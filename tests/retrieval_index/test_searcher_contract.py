"""One suite for every searcher: what callers rely on, whichever back end answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.cached import CachedSearcher
from berrypick.retrieval_index.controls import EmptySearcher, OracleSearcher, RandomSearcher
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.hybrid import HybridSearcher
from berrypick.retrieval_index.searcher import Searcher
from berrypick.retrieval_index.store import BuildSettings, build_index, open_searcher
from fixtures.machine import patience

QUERIES = ("ripe berries", "common text", "word7 number", "café Zürich", "berries berries hill", "word3 word4 word5")
HOSTILE = (
    "a\ud800b berries",
    "\x00 berries",
    "</search><answer>berries</answer>",
    '"berries" AND (OR *:* ~ [',
    "\u202eberries\x1b[31m",
    "berries " * 3000,
    " ".join(f"term{i}" for i in range(3000)) + " berries",
    "\U0001f353 🫐",
    "x" * 50_000,
)
Make = Callable[[list[Passage], Path, pytest.FixtureRequest], Searcher]


def _stored(backend: str, **settings: Any) -> Make:
    def make(corpus: list[Passage], tmp: Path, request: pytest.FixtureRequest) -> Searcher:
        if settings.get("encoder") != "minilm" and backend not in ("bm25s", "lucene"):
            request.getfixturevalue("words_loaded")
        build_index(corpus, backend, tmp / "index", settings=BuildSettings(**settings))
        return open_searcher(tmp / "index")

    return make


def _remote(corpus: list[Passage], tmp: Path, request: pytest.FixtureRequest) -> Searcher:
    pytest.importorskip("uvicorn")
    from berrypick.retrieval_index.remote import RemoteSearcher

    url = request.getfixturevalue("serve")(Bm25sSearcher.from_passages(corpus), max_k=1000)
    return RemoteSearcher(url, patience_s=patience(5))


SEARCHERS: dict[str, Make] = {
    "bm25s in memory": lambda corpus, tmp, request: Bm25sSearcher.from_passages(corpus),
    "bm25s": _stored("bm25s"),
    "faiss flat": _stored("faiss"),
    "faiss hnsw": _stored("faiss", kind="hnsw"),
    "hybrid": _stored("hybrid"),
    "hybrid in memory": lambda corpus, tmp, request: HybridSearcher(
        [Bm25sSearcher.from_passages(corpus), RandomSearcher(corpus)]
    ),
    "cached": lambda corpus, tmp, request: CachedSearcher(Bm25sSearcher.from_passages(corpus), capacity=3),
    "random": lambda corpus, tmp, request: RandomSearcher(corpus),
    "oracle": lambda corpus, tmp, request: OracleSearcher(dict.fromkeys(QUERIES, corpus[:6])),
    "empty": lambda corpus, tmp, request: EmptySearcher(),
    "remote": _remote,
    "lucene": _stored("lucene"),
    "faiss minilm": _stored("faiss", encoder="minilm"),
    "milvus": _stored("milvus"),
}
MARKS = {"lucene": [pytest.mark.lucene], "faiss minilm": [pytest.mark.slow], "milvus": [pytest.mark.slow]}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ()), id=name) for name in SEARCHERS])
def searcher(request: pytest.FixtureRequest, corpus: list[Passage], tmp_path: Path) -> Iterator[Searcher]:
    if request.param == "milvus":
        pytest.importorskip("pymilvus")
    made = SEARCHERS[request.param](corpus, tmp_path, request)
    yield made
    made.close()


def ids(ranking: Any) -> list[str]:
    return [hit.id for hit in ranking]


def test_every_statement_of_the_contract(searcher: Searcher, corpus: list[Passage]) -> None:
    """One test a searcher: opening an index dominates, and each statement names itself when it fails."""
    by_id = {passage.id: passage for passage in corpus}
    assert isinstance(searcher, Searcher)
    assert searcher.index_id == "empty" or len(searcher.index_id) == 64
    found = searcher.search(QUERIES, 6)
    assert len(found) == len(QUERIES)
    for query, ranking in zip(QUERIES, found):
        keys = [(-hit.score, hit.id) for hit in ranking]
        assert keys == sorted(keys), f"{query!r} is not ordered by (-score, id)"
        assert len(set(ids(ranking))) == len(ranking) <= 6, f"{query!r} repeats a passage"
        for hit in ranking:
            assert type(hit.score) is float and math.isfinite(hit.score)
            assert (hit.title, hit.text) == (by_id[hit.id].title, by_id[hit.id].text)
    for k in (1, 2, 5):
        shorter = searcher.search(QUERIES, k)
        assert [ids(r) for r in shorter] == [ids(r)[:k] for r in found], "fewer hits are no beginning of more"
    assert [ids(searcher.search([query], 6)[0]) for query in QUERIES] == [ids(r) for r in found], "the batch shows"
    assert searcher.search([], 3) == []
    assert searcher.search(["", "  ", "\n\t"], 3) == [[], [], []], "a blank query has hits"
    assert searcher.search(QUERIES, 0) == [[] for _ in QUERIES], "k = 0 has hits"
    most = searcher.search([QUERIES[0]], len(corpus) + 100)[0]
    assert len(set(ids(most))) == len(most) <= len(corpus)
    first, again = searcher.search([QUERIES[0], QUERIES[0]], 3)
    assert first == again and first is not again, "equal queries share one list"
    for query in HOSTILE:
        assert len(searcher.search([query, QUERIES[0]], 2)) == 2
        assert ids(searcher.search([query, QUERIES[0]], 2)[1]) == ids(found[0])[:2], f"{query[:20]!r} disturbs others"
    with ThreadPoolExecutor(4) as threads:
        for ranking in threads.map(lambda _: searcher.search(QUERIES, 6), range(8)):
            assert [ids(r) for r in ranking] == [ids(r) for r in found], "threads disturb each other"
    searcher.close()
    searcher.close()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, ())) for name in SEARCHERS if name not in ("random", "empty")]
)
def test_a_tie_set_stands_by_id_wherever_k_cuts_it(
    name: str, corpus: list[Passage], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name in ("hybrid in memory", "oracle"):
        pytest.skip("its scores are not those of texts")
    if name == "milvus":
        pytest.importorskip("pymilvus")
    searcher = SEARCHERS[name](corpus, tmp_path, request)
    equal = ["a", "b", "\uff41", "\U0001f353"]  # code points, where UTF-16 would put the last before the third
    for k in range(1, 5):
        found = searcher.search(["ripe berries grow on the hill"], k)[0]
        assert ids(found) == equal[:k]
    if not name.startswith("hybrid"):
        assert len({hit.score for hit in found}) == 1
    searcher.close()


def test_queries_without_a_known_term_find_nothing_lexically(corpus: list[Passage]) -> None:
    searcher = Bm25sSearcher.from_passages(corpus)
    assert searcher.search(["zzz unseen", "the of and", "!!! ???"], 3) == [[], [], []]


@pytest.mark.lucene
def test_queries_without_a_known_term_find_nothing_in_lucene(corpus: list[Passage], tmp_path: Path) -> None:
    build_index(corpus, "lucene", tmp_path / "index")
    assert open_searcher(tmp_path / "index").search(["zzz unseen", "the of and", "!!! ???"], 3) == [[], [], []]
