"""A synthetic query policy whose every measure is known, and the six pitfalls of measuring query entropy."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.envs.metrics.breadth import diff_at_k, union_coverage
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TokenRecord, TurnRecord
from berrypick.experiments.measures.paired import compare
from berrypick.experiments.measures.summary import question_table_of, summarize

KINDS = ["ledger", "charter", "scroll"]
PASSAGES = [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
P_FIRST = np.array([0.5, 0.3, 0.2])
"""Chance of each kind; all else the policy writes is certain."""


def question(number):
    world = {"kinds": KINDS, "hops": 2, "budget": 3, "present": [[0, 1, 2], [0]], "passages": PASSAGES}
    return QuestionRecord(
        id=f"q{number:03d}",
        text="?",
        answers=["miravo"],
        evidence=[[PASSAGES[0], ["b0"]]],
        metadata={"world": world},
    )


def entropy(p):
    p = np.asarray(p)
    return float(-(p * np.log(p)).sum())


def turn(kind, p):
    """One search; the kind is the only uncertain token, and it is merged with the closing bracket of the tag."""
    pieces = ["<search", f"> {KINDS[kind]}", " founder kizunba", " </search>"]
    text = "".join(pieces)
    span = (len("<search> "), len(text) - len(" </search>"))
    tokens = TokenRecord(
        ids=[1, 2, 3, 4],
        log_probs=[0.0, float(np.log(p[kind])), 0.0, 0.0],
        entropies=[0.0, entropy(p), 0.0, 0.0],
        char_starts=np.cumsum([0, *map(len, pieces)])[:-1].tolist(),
    )
    return TurnRecord(
        text=text,
        action="search",
        queries=[text[span[0] : span[1]]],
        query_spans=[span],
        hits=[[HitRecord(id=PASSAGES[0][kind], score=1.0)]],
        tokens=tokens,
    )


def rollouts(num_questions, num_samples, *, seed, p=P_FIRST, sampled=None, num_turns=1, later=None, **facts):
    """Episodes of the synthetic policy; `sampled` draws from another distribution than the recorded one."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(num_questions):
        for sample in range(num_samples):
            kinds = rng.choice(3, num_turns, p=p if sampled is None else sampled)
            turns = [turn(int(kind), p if at == 0 or later is None else later) for at, kind in enumerate(kinds)]
            records.append(
                EpisodeRecord(
                    question=question(number),
                    group_id=f"{number}",
                    sample_index=sample,
                    turns=turns,
                    em=0.0,
                    answer_norm="unknown",
                    policy_id="synthetic",
                    **facts,
                )
            )
    return records


@pytest.fixture(scope="module")
def measured():
    return summarize(rollouts(200, 16, seed=0), ks=(1,))["measures"]


def test_token_entropy_of_the_synthetic_policy_is_exact(measured):
    assert measured["query_token_entropy"]["value"] == pytest.approx(entropy(P_FIRST) / 2)  # over two query tokens
    assert measured["query_entropy"]["value"] == pytest.approx(entropy(P_FIRST))


@pytest.mark.parametrize("name", ["query_sequence_entropy", "kind_entropy", "semantic_query_entropy"])
def test_sampled_entropies_of_the_synthetic_policy_hold_the_truth_in_their_interval(measured, name):
    found = measured[name]
    assert found["value"] == pytest.approx(entropy(P_FIRST), abs=0.03)
    assert found["low"] - 0.02 < entropy(P_FIRST) < found["high"] + 0.02
    assert found["high"] - found["low"] < 0.1


def test_breadth_of_the_synthetic_policy_is_the_expected_union(measured):
    # three relevant records at hop 1, one at hop 2 that is never searched
    expected = sum(1 - (1 - P_FIRST) ** 16) / 4
    assert measured["breadth"]["value"] == pytest.approx(expected, abs=0.01)


def test_pitfall_1_histories_differ_so_the_first_turn_which_all_share_is_measured_apart():
    one = rollouts(20, 8, seed=1, num_turns=1)
    three = rollouts(20, 8, seed=1, num_turns=3, later=np.array([0.98, 0.01, 0.01]))
    difference = compare(one, three, ks=(1,))["differences"]
    assert difference["query_token_entropy"]["value"] < -0.1  # other states, not another policy at the first turn
    assert difference["query_token_entropy_first_turn"]["value"] == pytest.approx(0)


def test_pitfall_2_samples_at_another_temperature_bias_the_sequence_entropy_so_it_is_withheld():
    cold = P_FIRST**2 / (P_FIRST**2).sum()  # temperature .5
    unmarked = summarize(rollouts(200, 16, seed=2, sampled=cold), ks=(1,))["measures"]["query_sequence_entropy"]
    assert unmarked["high"] < entropy(P_FIRST) - 0.03
    marked = summarize(rollouts(20, 4, seed=2, sampled=cold, temperature=0.5), ks=(1,))
    assert "query_sequence_entropy" in marked["absent"]


def test_pitfall_3_queries_are_found_by_characters_where_tokens_merge_with_the_tag():
    # "> ledger" starts before the query; by token ids of "<search>" and "</search>" it would be lost
    record = rollouts(1, 1, seed=3)[0]
    assert record.turns[0].tokens.char_starts[1] < record.turns[0].query_spans[0][0]
    assert question_table_of([record], ks=(1,)).columns["query_entropy"][0] == pytest.approx(entropy(P_FIRST))


def test_pitfall_4_equivalence_of_queries_depends_on_the_index_and_on_the_number_of_passages():
    base = rollouts(10, 8, seed=4, index_id="one")
    other_index = rollouts(10, 8, seed=4, index_id="two")
    deeper = [
        r.model_copy(update={"turns": [t.model_copy(update={"hits": [h * 2 for h in t.hits]}) for t in r.turns]})
        for r in base
    ]
    assert "path_entropy" in compare(base, base, ks=(1,))["differences"]
    for changed in (other_index, deeper):
        differences = compare(base, changed, ks=(1,))["differences"]
        assert not {"path_entropy", "semantic_query_entropy", "distinct_passages"} & set(differences)
        assert "breadth" in differences


def test_pitfall_5_distinct_counts_grow_with_samples_so_arms_are_compared_at_equal_ones():
    few, many = rollouts(40, 4, seed=5), rollouts(40, 16, seed=6)
    raw = [summarize(r, ks=(1,))["measures"]["distinct_passages"]["value"] for r in (few, many)]
    assert raw[1] - raw[0] > 0.5  # one policy
    found = compare(few, many, ks=(1,))
    assert found["samples"] == 4
    assert found["differences"]["distinct_passages"]["low"] < 0 < found["differences"]["distinct_passages"]["high"]


def test_pitfall_6_answers_on_unsolved_questions_are_noise_so_coverage_stands_beside_them():
    noise, found = [f"word{i}" for i in range(8)], ["miravo"] * 8
    evidence = [[frozenset({"a0", "a1", "a2"}), frozenset({"b0"})]]
    assert diff_at_k(noise, 8) == 8 > diff_at_k(found, 8)
    assert union_coverage(evidence, [frozenset()] * 8) == 0.0
    measures = summarize(rollouts(4, 8, seed=7), ks=(1,))["measures"]
    assert {"answers_distinct@8", "breadth", "path_coverage"} <= set(measures)


def test_the_plug_in_misses_by_far_more_than_the_correction_misses():
    table = question_table_of(rollouts(300, 8, seed=8), ks=(1,))
    corrected = table.columns["kind_entropy"].mean()
    plug_in = corrected - np.mean([(len(set(kinds)) - 1) / 16 for kinds in table.first_kinds])
    assert entropy(P_FIRST) - plug_in > 0.1
    assert abs(entropy(P_FIRST) - corrected) < (entropy(P_FIRST) - plug_in) / 2.5
