"""Queries compared by their words, by hand and against slow, plain re-implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from berrypick.envs.metrics.queries import (
    NEAR_EQUAL,
    mean_similarity,
    query_clusters,
    query_words,
    specificity,
    word_similarity,
)
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=5), max_size=7)


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


def clusters(queries: list[frozenset[str]]) -> int:
    return query_clusters(word_similarity(queries, queries))


def of(*queries: str) -> list[frozenset[str]]:
    return [query_words(query) for query in queries]


def test_words_are_normalized_as_answers_are() -> None:
    assert query_words("The founder, of Rome!") == {"founder", "of", "rome"}


@given(WORDS, WORDS)
def test_similarity_is_jaccard(first: list[frozenset[str]], second: list[frozenset[str]]) -> None:
    expected = [[jaccard(a, b) for b in second] for a in first]
    assert word_similarity(first, second).tolist() == [pytest.approx(row) for row in expected]


def test_clusters_by_hand() -> None:
    # one word added to three: 3/4, linked; one of four replaced: 3/5, not; a - b - c is one cluster though a, c are not
    assert clusters(of("a1 b c", "a1 b c d")) == 1
    assert clusters(of("w x y z", "w x y q")) == 2
    chain = of("p q r", "p q r s", "p q r s t")
    assert jaccard(chain[0], chain[2]) < NEAR_EQUAL
    assert clusters(chain) == 1
    assert clusters([]) == 0 and clusters(of("x", "x", "the x")) == 1


@given(WORDS, st.randoms())
def test_clusters_are_connected_components_in_any_order(queries: list[frozenset[str]], random) -> None:
    parts = [{query} for query in queries]
    while pair := next(
        ((a, b) for a, b in itertools.combinations(parts, 2) if any(jaccard(x, y) >= 0.7 for x in a for y in b)),
        None,
    ):
        parts = [part for part in parts if part is not pair[0] and part is not pair[1]] + [pair[0] | pair[1]]
    shuffled = list(queries)
    random.shuffle(shuffled)
    assert clusters(queries) == clusters(shuffled) == len(parts)


def test_mean_similarity_leaves_pairs_within_a_rollout_out() -> None:
    # pairs between the rollouts: (a b, a b) 1, (a b, c d) 0, (a b, a c) 1/3, twice by symmetry
    first, second = of("a1 b"), of("a1 b", "c d", "a1 c")
    both = [*first, *second]
    assert mean_similarity(word_similarity(both, both), [0, 1, 1, 1]) == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert mean_similarity(word_similarity(second, second), [0, 0, 0]) is None
    assert mean_similarity(word_similarity([], []), []) is None


def test_specificity_by_hand() -> None:
    rome, paris = of("rome founder", "rome founder", "rome age"), of("paris founder", "paris age")
    # within: 1, 1/3, 1/3; across: 1/3, 0, 1/3, 0, 0, 1/3. P(within > across) + P(equal) / 2
    within, across = [1, 1 / 3, 1 / 3], [1 / 3, 0, 1 / 3, 0, 0, 1 / 3]
    pairs = [(w > a) + (w == a) / 2 for w, a in itertools.product(within, across)]
    assert specificity(rome, paris) == pytest.approx(np.mean(pairs))
    same = of("answer please", "answer please")
    assert specificity(same, same) == 0.5, "template collapse: the queries do not know their question"
    assert specificity(of("rome"), paris) is None and specificity(rome, []) is None


def test_specificity_sees_template_collapse_that_entropy_does_not() -> None:
    """Each question's rollouts write four different templates: within-question entropy is log 4 in both policies."""
    templates = [f"look {word} up" for word in ("north", "south", "east", "west")]
    collapsed = [of(*templates) for _ in range(2)]
    alive = [of(*(f"{template} {name}" for template in templates)) for name in ("alpha", "beta")]
    assert specificity(*collapsed) == pytest.approx(0.5 * (3 / 4) + 0.5 * 0.5 * (1 / 4) + 0 * (1 / 4), abs=0.2)
    assert specificity(*collapsed) <= 0.5 < specificity(*alive)


def test_specificity_by_hand_with_ties_up_to_rounding() -> None:
    # within: 1/3; across: 1/3, 0: a tie counts half, a similarity of .5 between them would not be one
    assert specificity(of("p q", "p r"), of("p s")) == pytest.approx(0.5)
    assert specificity(of("p q", "p r"), of("p s", "x")) == pytest.approx((1 / 2 + 1 / 2 + 1 + 1) / 4)
    # within: 1/2; across: 1/2 and 1/3
    assert specificity(of("p", "p q"), of("p r")) == pytest.approx((1 / 2 + 1) / 2)


def test_the_threshold_of_clusters_is_a_choice() -> None:
    pair = word_similarity(of("p q", "p r"), of("p q", "p r"))  # 1/3
    assert query_clusters(pair, 1 / 3) == 1 and query_clusters(pair, 0.34) == 2
    assert query_clusters(pair) == 2
