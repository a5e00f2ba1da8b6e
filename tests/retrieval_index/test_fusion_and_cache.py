"""Reciprocal-rank fusion, the cache and the controls, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from berrypick.retrieval_index.cached import CachedSearcher
from berrypick.retrieval_index.controls import OracleSearcher, RandomSearcher
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.hybrid import HybridSearcher
from berrypick.retrieval_index.searcher import Hit


class Fixed:
    """Always the same ranking; counts what it is asked."""

    def __init__(self, *ids: str) -> None:
        self.index_id = "-".join(ids)
        self.ids, self.asked = ids, []
        self.asked: list[tuple[tuple[str, ...], int]] = []

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        self.asked.append((tuple(queries), k))
        return [[Hit(key, "", f"{q} {key}", 9.0 - i) for i, key in enumerate(self.ids[:k])] for q in queries]

    def close(self) -> None:
        pass


def test_rrf_equals_the_hand_computed_sums() -> None:
    fused = HybridSearcher([Fixed("a", "b", "c"), Fixed("c", "a", "d")])
    found = {hit.id: hit.score for hit in fused.search(["q"], 10)[0]}
    assert found == pytest.approx({"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61, "d": 1 / 63})
    assert [hit.id for hit in fused.search(["q"], 10)[0]] == ["a", "c", "b", "d"]


def test_rrf_counts_nothing_below_its_depth_and_breaks_ties_by_id() -> None:
    fused = HybridSearcher([Fixed("b", "x"), Fixed("a", "x")], depth=1, constant=0)
    assert [(hit.id, hit.score) for hit in fused.search(["q"], 9)[0]] == [("a", 1.0), ("b", 1.0)]


def test_the_cache_serves_smaller_k_and_short_lists_without_a_search() -> None:
    inner = Fixed("a", "b", "c")
    cache = CachedSearcher(inner, capacity=10)
    assert [hit.id for hit in cache.search(["q"], 2)[0]] == ["a", "b"]
    assert [hit.id for hit in cache.search(["q"], 1)[0]] == ["a"]
    assert [hit.id for hit in cache.search(["q"], 5)[0]] == ["a", "b", "c"]
    assert [hit.id for hit in cache.search(["q"], 9)[0]] == ["a", "b", "c"]  # 3 < 5: there are no more
    assert [k for _, k in inner.asked] == [2, 5]
    assert cache.hit_rate == 0.5


def test_the_cache_asks_for_what_it_lacks_in_one_call_and_stays_bounded() -> None:
    inner = Fixed("a")
    cache = CachedSearcher(inner, capacity=2)
    cache.search(["x", "y"], 1)
    cache.search(["x"], 1)
    cache.search(["z", "x", "z"], 1)
    assert inner.asked == [(("x", "y"), 1), (("z",), 1)]
    assert len(cache) == 2
    cache.search(["y"], 1)  # the one used longest ago was dropped
    assert inner.asked[-1] == (("y",), 1)


def test_a_callers_change_to_its_list_does_not_reach_the_cache() -> None:
    cache = CachedSearcher(Fixed("a", "b"))
    cache.search(["q"], 2)[0].clear()
    assert [hit.id for hit in cache.search(["q"], 2)[0]] == ["a", "b"]


def test_random_hits_depend_on_query_and_seed_alone_and_cover_the_corpus(corpus: list[Passage]) -> None:
    first, second = RandomSearcher(corpus, seed=0), RandomSearcher(corpus, seed=1)
    assert first.search(["q"], 5) == first.search(["other", "q"], 5)[1:]
    assert first.search(["q"], 5) != second.search(["q"], 5) != first.search(["r"], 5)
    assert {hit.id for hit in first.search(["q"], 999)[0]} == {passage.id for passage in corpus}
    assert first.index_id != second.index_id


def test_the_oracle_knows_its_queries_only(corpus: list[Passage]) -> None:
    oracle = OracleSearcher({"q": corpus[:2]})
    assert [[hit.id for hit in found] for found in oracle.search(["q", "Q"], 5)] == [["a", "b"], []]
