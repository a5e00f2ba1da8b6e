"""Which tokens are in a query, and entropies of known distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.formats.turn_format import Search, get_turn_format
from berrypick.envs.metrics.entropy import cluster_entropy, discrete_entropy, query_sequence_spans, query_token_mask


def starts_of(pieces):
    """Character offset at which each piece begins."""
    return np.cumsum([0, *(len(piece) for piece in pieces)])[:-1]


def span_of(text):
    action = get_turn_format("tags").parse(text)
    assert isinstance(action, Search)
    return action.spans


def test_tokens_between_the_tags_are_the_query():
    pieces = ["<search>", " ", "ledger", " founder", " ", "</search>"]
    text = "".join(pieces)
    mask = query_token_mask(starts_of(pieces), text, span_of(text))
    assert [piece for piece, inside in zip(pieces, mask) if inside] == ["ledger", " founder"]


def test_a_token_that_merges_a_tag_with_the_query_is_in_the_query():
    pieces = ["<sea", "rch> led", "ger fou", "nder </se", "arch>"]
    text = "".join(pieces)
    assert query_token_mask(starts_of(pieces), text, span_of(text)).tolist() == [False, True, True, True, False]


def test_all_byte_tokens_of_one_character_are_in_the_query_with_it():
    # "é" as two byte tokens, "東" as three: only the last of each adds a character
    starts = [0, 9, 9, 10, 10, 10, 11, 20]
    text = "<search> é東 </search>"
    text_starts = [0, 9, 9, 10, 10, 10, 11, 12]
    assert query_token_mask(text_starts, text, [(9, 11)]).tolist() == [
        False,
        True,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert query_token_mask(starts, text, [(10, 11)]).tolist() == [False, False, False, True, True, True, False, False]


def test_an_end_of_sequence_token_and_thoughts_are_in_no_query():
    pieces = ["<think>", " ledger ", "</think>", "<search>", "ledger", "</search>", ""]
    text = "".join(pieces)
    assert query_token_mask(starts_of(pieces), text, span_of(text)).tolist() == [False] * 4 + [True, False, False]


def test_a_whole_query_ends_with_what_closes_it():
    text = "<search> ledger heir miravo </search>"
    ((first, last),) = span_of(text)
    assert text[first:last] == "ledger heir miravo"
    ((start, end),) = query_sequence_spans(text, [(first, last)])
    assert text[start:end] == "ledger heir miravo </search>"
    assert query_sequence_spans("aa, bb]", [(0, 2), (4, 6)]) == [(0, 4), (4, 7)]


def test_whole_queries_with_their_end_have_probabilities_that_sum_to_one():
    # after "a" the policy ends the query or writes "b" with chance 1/2 each: without the end "a" would have mass 1
    end, more = math.log(0.5), math.log(0.5)
    assert math.exp(end) + math.exp(more + 0.0) == pytest.approx(1.0)
    pieces = {"a": (["a", "</search>"], [0.0, end]), "ab": (["a", "b", "</search>"], [0.0, more, 0.0])}
    total = 0.0
    for query, (tokens, log_probs) in pieces.items():
        text = "<search>" + "".join(tokens)
        spans = query_sequence_spans(text, [(8, 8 + len(query))])
        mask = query_token_mask(8 + starts_of(tokens), text, spans)
        total += math.exp(np.array(log_probs)[mask].sum())
    assert total == pytest.approx(1.0)


def test_discrete_entropy_of_known_counts():
    assert discrete_entropy(["a"] * 5) == 0.0
    assert discrete_entropy(list("abcd")) == pytest.approx(math.log(4))
    assert discrete_entropy(["a", "a", "b"]) == pytest.approx(math.log(3) - 2 / 3 * math.log(2))
    with pytest.raises(ValueError, match="no outcomes"):
        discrete_entropy([])


def test_miller_madow_adds_one_less_than_the_outcomes_over_twice_the_samples():
    assert discrete_entropy(["a", "a", "b"], miller_madow=True) == pytest.approx(discrete_entropy(list("aab")) + 1 / 6)


def test_the_plug_in_is_biased_by_about_an_eighth_of_a_nat_at_8_samples_of_3_kinds_and_miller_madow_mends_most():
    rows = np.random.default_rng(2).integers(0, 3, size=(4_000, 8))
    plug_in = np.mean([discrete_entropy(row.tolist()) for row in rows]) - math.log(3)
    corrected = np.mean([discrete_entropy(row.tolist(), miller_madow=True) for row in rows]) - math.log(3)
    assert plug_in == pytest.approx(-0.125, abs=0.02)  # (K - 1) / 2n
    assert abs(corrected) < 0.03


def test_cluster_entropy_weighs_clusters_by_the_probability_of_their_distinct_queries():
    # q1, q2 bring the same passage: .2 + .3 against .5
    items, clusters = ["q1", "q2", "q3", "q3"], ["x", "x", "y", "y"]
    log_probs = np.log([0.2, 0.3, 0.5, 0.5])
    assert cluster_entropy(items, clusters, log_probs) == pytest.approx(math.log(2))
    assert discrete_entropy(clusters) == pytest.approx(math.log(2))
    assert cluster_entropy(["q1", "q3"], ["x", "y"], np.log([0.2, 0.6])) == pytest.approx(
        -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    )
    assert cluster_entropy(["q"], ["x"], [-900.0]) == 0.0
    with pytest.raises(ValueError, match="the entropy of no items"):
        cluster_entropy([], [], [])


def test_a_token_without_a_character_belongs_to_the_query_that_begins_there_and_not_to_one_that_ended():
    # tokens at 0, 2 (empty), 2, 4 (empty), 4 of "aabbcc"; the query is "bb"
    assert query_token_mask([0, 2, 2, 4, 4], "aabbcc", [(2, 4)]).tolist() == [False, True, True, False, False]


def test_a_query_that_reaches_into_the_next_keeps_its_end():
    assert query_sequence_spans("abcdef", [(0, 4), (3, 5)]) == [(0, 4), (3, 6)]


def test_the_entropy_of_clusters_is_above_zero_and_in_nats():
    # masses e^-1 and e^-3 of three queries, two of which share a cluster: e^-1 + e^-1 against e^-3
    p = 2 / (2 + math.exp(-2))
    expected = -p * math.log(p) - (1 - p) * math.log(1 - p)
    assert cluster_entropy("abc", "xxy", [-1.0, -1.0, -3.0]) == pytest.approx(expected)
    assert cluster_entropy("ab", "xy", [-900.0, -1.0]) == 0.0, "the rarer query is as good as none"
