"""bm25s behind the contract, against BM25 written down independently here."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from berrypick.retrieval_index.analyzer import terms
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.corpus import Passage, read_corpus


def bm25(passages: list[Passage], query: str, k1: float, b: float) -> dict[str, float]:
    """Lucene's BM25: idf = ln(1 + (N - n + .5) / (n + .5)); tf = f / (f + k1 (1 - b + b len / mean len))."""
    bags = [Counter(terms(passage.contents)) for passage in passages]
    mean = sum(sum(bag.values()) for bag in bags) / len(bags)
    scores: dict[str, float] = {}
    for passage, bag in zip(passages, bags):
        total = 0.0
        for term in terms(query):
            n = sum(term in other for other in bags)
            if bag[term]:
                idf = math.log(1 + (len(bags) - n + 0.5) / (n + 0.5))
                total += idf * bag[term] / (bag[term] + k1 * (1 - b + b * sum(bag.values()) / mean))
        if total > 0:
            scores[passage.id] = total
    return scores


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.0, 0.0), (2.0, 1.0)])
def test_scores_equal_an_independent_bm25(corpus: list[Passage], k1: float, b: float) -> None:
    searcher = Bm25sSearcher.from_passages(corpus, k1=k1, b=b)
    for query in ("ripe berries", "common text number 3", "berries berries hill", "word7 word8", "Zürich café filler"):
        truth = bm25(corpus, query, k1, b)
        found = {hit.id: hit.score for hit in searcher.search([query], len(corpus))[0]}
        assert found == pytest.approx(truth, rel=1e-5, abs=1e-6)


def test_a_hand_computed_score() -> None:
    # N = 2, "fig" in 1 of them, lengths 1 and 3, mean 2: idf = ln(1 + 1.5 / 1.5), tf = 1 / (1 + .9 (1 - .4 + .4 / 2))
    searcher = Bm25sSearcher.from_passages([Passage("1", "", "fig"), Passage("2", "", "one two three")])
    assert searcher.search(["fig"], 1)[0][0].score == pytest.approx(math.log(2) / (1 + 0.9 * 0.8), rel=1e-6)


def test_real_passages_score_as_the_independent_bm25(shared_data: Path) -> None:
    passages = list(read_corpus(shared_data / "strategyqa" / "corpus.jsonl.gz").passages)
    searcher = Bm25sSearcher.from_passages(passages)
    query = "Could the main character of an Agatha Christie novel ask for a Wi-Fi password?"
    truth = sorted(bm25(passages, query, 0.9, 0.4).items(), key=lambda pair: -pair[1])[:10]
    found = searcher.search([query], 10)[0]
    assert [hit.score for hit in found] == pytest.approx([score for _, score in truth], rel=1e-5)


def test_the_default_index_id_depends_on_corpus_and_parameters(corpus: list[Passage]) -> None:
    ids = [
        Bm25sSearcher.from_passages(corpus).index_id,
        Bm25sSearcher.from_passages(corpus, k1=1.0).index_id,
        Bm25sSearcher.from_passages(corpus[1:]).index_id,
    ]
    assert len(set(ids)) == 3
    assert Bm25sSearcher.from_passages(corpus[::-1]).index_id == ids[0]
