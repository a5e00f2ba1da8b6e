"""Records to measures: values a reader can work out by hand, and what is absent rather than zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.metrics.statistics import bootstrap_indices, bootstrap_mean
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TokenRecord, TurnRecord
from berrypick.envs.world.frontier import Frontier, FrontierPoint
from berrypick.experiments.measures.paired import compare
from berrypick.experiments.measures.summary import question_table_of, summarize

KINDS = ["ledger", "charter", "scroll"]
PASSAGES = [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


def question(name, present):
    world = {"kinds": KINDS, "hops": 2, "budget": 3, "present": present, "passages": PASSAGES}
    evidence = [[[PASSAGES[hop][kind] for kind in kinds] for hop, kinds in enumerate(present)]]
    return QuestionRecord(id=name, text="?", answers=["miravo"], evidence=evidence, metadata={"world": world})


def search(query, passage, *, entropy=None, log_prob=-0.5):
    text = f"<search>{query}</search>"
    tokens = None
    if entropy is not None:
        starts = [0, 8, 8 + len(query)]
        tokens = TokenRecord(
            ids=[1, 2, 3], log_probs=[-9.0, log_prob, -0.25], entropies=[9.0, entropy, 9.0], char_starts=starts
        )
    return TurnRecord(
        text=text,
        action="search",
        queries=[query],
        query_spans=[(8, 8 + len(query))],
        hits=[[HitRecord(id=passage, score=1.0)]] if passage else [[]],
        tokens=tokens,
    )


def episode(asked, sample, turns, answer="miravo", **facts):
    turns = [*turns, *([TurnRecord(text="<answer></answer>", action="answer")] if answer else [])]
    return EpisodeRecord(
        question=asked,
        group_id=asked.id,
        sample_index=sample,
        turns=turns,
        answer_norm=answer,
        em=float(answer == "miravo"),
        f1=0.0,
        terminated=answer is not None,
        policy_id="p",
        **facts,
    )


BOTH = question("q1", [[0], [1]])
LOST = question("q2", [[0], []])
RIGHT = [search("ledger founder x", "a0"), search("charter heir y", "b1")]


def test_plan_giving_up_and_execution_add_up_to_what_happened():
    groups = [
        episode(BOTH, 0, RIGHT),  # 1 = 1 - 0 - 0
        episode(BOTH, 1, RIGHT, answer="wrong"),  # read wrongly: execution
        episode(BOTH, 2, RIGHT[:1], answer="unknown"),  # gave up with two queries left: two of three kinds
        episode(BOTH, 3, [search("scroll founder x", "a2")] * 3, answer="unknown"),  # wasted budget
    ]
    measures = summarize(groups, ks=(1, 2))["measures"]
    # two queries left for a hop that one of three kinds holds: 2/3
    assert measures["pass@1_plan"]["value"] == pytest.approx((1 + 1 + 2 / 3 + 0) / 4)
    assert measures["give_up_loss"]["value"] == pytest.approx(2 / 3 / 4)
    assert measures["execution_loss"]["value"] == pytest.approx(1 / 4)
    assert measures["pass@1"]["value"] == pytest.approx(1 / 4)
    assert measures["gave_up"]["value"] == pytest.approx(1 / 4)
    parts = [measures[name]["value"] for name in ("pass@1_plan", "give_up_loss", "execution_loss", "pass@1")]
    assert parts[0] - parts[1] - parts[2] == pytest.approx(parts[3])
    assert measures["pass@2"]["value"] == pytest.approx(1 / 2)


def test_a_question_with_a_hop_that_no_kind_covers_is_left_out_of_breadth_and_counted():
    records = [episode(BOTH, 0, RIGHT), episode(LOST, 0, RIGHT[:1], answer="unknown")]
    report = summarize(records, ks=(1,))
    wilson = pytest.approx(1 / (1 + 1.96**2), abs=1e-4)  # one question that has 1 says little
    assert report["measures"]["breadth"] == {"value": 1.0, "low": wilson, "high": 1.0, "n": 1}
    assert report["left_out"]["breadth"] == 1
    assert report["measures"]["pass@1"]["n"] == 2
    assert "pass@1" not in report["left_out"]


def test_questions_are_in_the_order_of_their_ids_whatever_the_order_of_the_rollouts():
    first, second = BOTH.model_copy(update={"id": "b"}), BOTH.model_copy(update={"id": "a"})
    table = question_table_of([episode(first, 0, RIGHT), episode(second, 0, RIGHT[:1], answer="no")], ks=(1,))
    assert table.question_ids == ("a", "b") and table.columns["pass@1"].tolist() == [0.0, 1.0]


def test_token_entropy_counts_tokens_of_queries_alone_and_whole_queries_include_their_end():
    records = [
        episode(BOTH, 0, [search("ledger founder x", "a0", entropy=0.7, log_prob=-0.5)]),
        episode(BOTH, 1, [search("scroll founder x", "a2", entropy=0.3, log_prob=-1.5)] * 2),
    ]
    measures = summarize(records, ks=(1,))["measures"]
    assert measures["query_token_entropy"]["value"] == pytest.approx((0.7 + 2 * 0.3) / 3)
    assert measures["query_sequence_entropy"]["value"] == pytest.approx((0.75 + 2 * 1.75) / 3)
    assert measures["query_token_entropy_first_turn"]["value"] == pytest.approx(0.5)
    assert measures["query_sequence_entropy_first_turn"]["value"] == pytest.approx((0.75 + 1.75) / 2)


@pytest.mark.parametrize("facts", [{"temperature": 0.6}, {"top_p": 0.9}])
def test_sequence_entropy_of_samples_drawn_at_another_temperature_is_absent(facts):
    records = [episode(BOTH, 0, [search("ledger founder x", "a0", entropy=0.7)], **facts)]
    report = summarize(records, ks=(1,))
    assert "query_sequence_entropy" in report["absent"]
    assert "query_token_entropy" in report["measures"]


def test_measures_without_columns_or_samples_are_absent_and_never_zero():
    report = summarize([episode(BOTH, 0, RIGHT)], ks=(1, 8))
    assert report["absent"]["pass@8"] == "samples per question: 1"
    assert {"query_token_entropy", "policy_tokens", "distinct_passages_rarefied"} <= set(report["absent"])
    assert not set(report["absent"]) & set(report["measures"])


def test_distinct_passages_are_rarefied_to_equal_queries():
    four = [search("ledger founder x", "a0"), search("scroll founder x", "a2")] * 4
    table = question_table_of([episode(BOTH, 0, four)], ks=(1,))
    assert table.columns["distinct_passages"][0] == 2
    assert table.columns["distinct_passages_rarefied"][0] == 2
    twelve = question_table_of([episode(BOTH, 0, four), episode(BOTH, 1, four[:4])], ks=(1,))
    missed = 2 * math.comb(6, 8) / math.comb(12, 8)
    assert twelve.columns["distinct_passages_rarefied"][0] == pytest.approx(2 - missed)


def test_kind_entropy_is_conditional_and_information_stands_beside_it():
    asked = [question(f"q{i}", [[0], [1]]) for i in range(6)]
    hashed = [
        episode(q, s, [search(f"{KINDS[i % 3]} founder x", "a0")], answer="unknown")
        for i, q in enumerate(asked)
        for s in range(4)
    ]
    measures = summarize(hashed, ks=(1,))["measures"]
    assert measures["kind_entropy"]["value"] == 0.0
    assert measures["kind_information"]["value"] == pytest.approx(math.log(3) + 2 / 48)
    assert measures["kind_information"]["low"] <= measures["kind_information"]["value"]


def test_distance_to_the_frontier_is_vertical():
    front = Frontier(1, (FrontierPoint(0.0, 0.9, 0.0, {}), FrontierPoint(1.0, 0.7, 0.0, {})))
    report = summarize([episode(BOTH, 0, RIGHT)], ks=(1,), frontier=front)
    assert report["measures"]["frontier_distance"]["value"] == pytest.approx(0.7 - 1.0)


def test_the_distance_is_that_of_what_was_scored_and_not_of_what_was_planned():
    front = Frontier(1, (FrontierPoint(0.0, 0.9, 0.0, {}), FrontierPoint(1.0, 0.7, 0.0, {})))
    answer_only = [episode(BOTH, 0, [], answer="guess"), episode(LOST, 0, [], answer="guess")]
    measures = summarize(answer_only, ks=(1,), frontier=front)["measures"]
    # a perfect reader would still have found answers with the unused searches, but these rollouts found none
    assert measures["pass@1_plan"]["value"] > 0 and measures["pass@1"]["value"] == 0
    assert measures["frontier_distance"] == {"value": 0.9, "low": 0.9, "high": 0.9, "n": 2}


def test_the_distance_is_absent_where_a_question_is_not_graded():
    front = Frontier(1, (FrontierPoint(0.0, 0.9, 0.0, {}), FrontierPoint(1.0, 0.7, 0.0, {})))
    ungraded = episode(LOST, 0, RIGHT).model_copy(update={"em": None})
    report = summarize([episode(BOTH, 0, RIGHT), ungraded], ks=(1,), frontier=front)
    assert report["absent"]["frontier_distance"] == "pass@1 is not known for every question"
    assert "frontier_distance" not in report["measures"]


def test_comparisons_are_paired_and_at_equal_numbers_of_samples():
    first = [episode(BOTH, s, RIGHT) for s in range(2)]
    second = [episode(BOTH, s, RIGHT, answer="miravo" if s < 2 else "wrong") for s in range(8)]
    found = compare(first, second, ks=(1, 2))
    assert found["samples"] == 2
    assert found["differences"]["pass@1"]["value"] == 0.0  # the six later samples are not looked at
    assert found["differences"]["answers_distinct@2"]["value"] == 0.0
    assert (found["num_shared"], found["num_not_shared"]) == (1, 0)


def test_turns_that_failed_or_broke_the_rules_are_not_valid_and_queries_are_compared_across_rollouts():
    failed = search("ledger mother", None).model_copy(update={"error": "over budget", "hits": []})
    first = episode(BOTH, 0, [search("ledger founder", "a0"), failed, TurnRecord(text="hm", action="invalid")])
    second = episode(BOTH, 1, [search("ledger owner", "a0")])
    columns = question_table_of([first, second], ks=(1,)).columns
    assert columns["valid_actions"][0] == (2 / 4 + 2 / 2) / 2
    assert columns["searches"][0] == 1.0
    assert columns["query_similarity"][0] == pytest.approx(1 / 3), "one word of three is shared"


def test_pass_at_k_is_known_for_the_powers_of_two_up_to_eight():
    columns = question_table_of([episode(BOTH, sample, RIGHT) for sample in range(9)]).columns
    assert [name for name in columns if name.startswith("pass@") and "_" not in name] == [
        "pass@1", "pass@2", "pass@4", "pass@8",
    ]  # fmt: skip


def test_what_one_side_lacks_is_not_compared():
    plain = [episode(BOTH, n, RIGHT) for n in range(2)]
    with_tokens = [episode(BOTH, n, [search("ledger founder x", "a0", entropy=1.0)]) for n in range(2)]
    for first, second in ((plain, with_tokens), (with_tokens, plain)):
        differences = compare(first, second, ks=(1,))["differences"]
        assert "query_token_entropy" not in differences and "pass@1" in differences
    assert compare(with_tokens, with_tokens, ks=(1,))["differences"]["query_token_entropy"]["value"] == 0.0


def test_retrieval_clusters_of_different_indexes_are_not_compared():
    first = [episode(BOTH, n, RIGHT, index_id="one") for n in range(2)]
    second = [episode(BOTH, n, RIGHT, index_id="two") for n in range(2)]
    assert "semantic_query_entropy" in compare(first, first, ks=(1,))["differences"]
    assert "semantic_query_entropy" not in compare(first, second, ks=(1,))["differences"]
    also_without = [episode(BOTH, n, [*RIGHT, search("scroll heir y", None)], index_id="one") for n in range(2)]
    assert "semantic_query_entropy" in compare(first, also_without, ks=(1,))["differences"], "a query may find nothing"
    two = [HitRecord(id=name, score=1.0) for name in ("a0", "a1")]
    deeper = [episode(BOTH, n, [RIGHT[0].model_copy(update={"hits": [two]})], index_id="one") for n in range(2)]
    assert "semantic_query_entropy" not in compare(first, deeper, ks=(1,))["differences"], "two passages a query"


def test_a_single_rollout_per_question_has_no_entropy():
    report = summarize([episode(BOTH, 0, RIGHT)], ks=(1,))
    for key in ("semantic_query_entropy", "path_entropy"):
        assert key not in report["measures"] and report["absent"][key] == "samples per question: 1"


def test_first_queries_with_equal_results_are_one_semantic_cluster_in_any_order_of_hits():
    def two_hits(query, ids):
        return search(query, None).model_copy(update={"hits": [[HitRecord(id=i, score=1.0) for i in ids]]})

    records = [episode(BOTH, 0, [two_hits("x", "ab")]), episode(BOTH, 1, [two_hits("y", "ba")])]
    assert question_table_of(records, ks=(1,)).columns["semantic_query_entropy"][0] == 0.0


def test_rollouts_that_share_no_question_are_refused():
    from berrypick import BerrypickError

    with pytest.raises(BerrypickError, match="share no question"):
        compare([episode(BOTH, 0, RIGHT)], [episode(LOST, 0, RIGHT)], ks=(1,))


def test_information_draws_of_the_original_questions_are_the_information():
    from berrypick.envs.metrics.planning import kind_information, kind_information_draws

    rng = np.random.default_rng(0)
    kinds = [[tuple(rng.integers(0, 3, rng.integers(0, 3)).tolist()) for _ in range(5)] for _ in range(7)]
    for corrected in (False, True):
        draws = kind_information_draws(kinds, np.arange(7)[None], miller_madow=corrected)
        assert draws[0] == pytest.approx(kind_information(kinds, miller_madow=corrected).information)


def test_effective_diversity_counts_evidence_of_right_episodes_and_is_absent_without_one():
    other = [search("ledger founder x", "a0"), search("scroll heir y", "b2")]
    asked = question("q1", [[0], [1, 2]])
    records = [episode(asked, 0, RIGHT), episode(asked, 1, RIGHT), episode(asked, 2, other)]
    records.append(episode(asked, 3, other, answer="wrong"))
    columns = question_table_of(records, ks=(1,)).columns
    assert columns["effective_diversity"][0] == 2 / 4
    assert columns["effective_diversity_pairwise"][0] == 2 / 6
    assert columns["diversity_given_quality"][0] == pytest.approx(2 / 3)
    unknown = asked.model_copy(update={"evidence": []})
    nothing = question_table_of([episode(unknown, sample, RIGHT) for sample in range(2)], ks=(1,))
    assert "effective_diversity" in nothing.absent, "no evidence is known"
    unseen = [episode(asked, 0, [turn.model_copy(update={"hits": []}) for turn in RIGHT], unknown=["passages"])]
    assert "effective_diversity" in question_table_of([*unseen, *records[1:]], ks=(1,)).absent
    ungraded = [record.model_copy(update={"em": None}) for record in records[:1]]
    assert "effective_diversity" in question_table_of([*ungraded, *records[1:]], ks=(1,)).absent
    wrong = question_table_of([episode(asked, s, RIGHT, answer="wrong") for s in range(2)], ks=(1,))
    assert "diversity_given_quality" in wrong.absent
    assert wrong.columns["effective_diversity"][0] == 0.0


def test_a_world_without_passages_or_grades_says_what_is_missing():
    blind = [turn.model_copy(update={"hits": []}) for turn in RIGHT]
    report = summarize([episode(BOTH, 0, blind, unknown=["passages"])], ks=(1,))
    assert report["absent"]["pass@1_plan"] == report["absent"]["distinct_passages"]
    assert "kind_entropy" not in report["measures"] and "gave_up" not in report["measures"]
    ungraded = [episode(BOTH, n, RIGHT).model_copy(update={"em": value}) for n, value in enumerate((None, 0.0))]
    report = summarize(ungraded, ks=(1,))
    assert report["measures"]["pass@1_plan"]["value"] == 1 and report["measures"]["give_up_loss"]["value"] == 0
    assert report["absent"]["execution_loss"] == report["absent"]["pass@1"] != ""


def test_searches_are_executed_right_and_misses_are_followed_by_a_new_kind():
    wrong, miss = search("ledger founder x", "b1"), search("scroll founder x", "a2")
    again = [miss, miss, search("charter founder x", None)]
    measures = summarize([episode(BOTH, 0, [wrong]), episode(BOTH, 1, again)], ks=(1,))["measures"]
    # b1 is about the second fact; a2 twice about the first; nothing found. After the misses: scroll again, charter anew
    assert measures["executed_right"]["value"] == pytest.approx(2 / 4)
    assert measures["new_kind_after_miss"]["value"] == pytest.approx(1 / 2)
    cut = [episode(BOTH, n, [miss], answer=None) for n in range(2)]
    assert summarize(cut, ks=(1,))["measures"]["gave_up"]["value"] == 0, "it ran out of turns"
    assert summarize([episode(BOTH, 0, [miss])], ks=(1,))["measures"]["gave_up"]["value"] == 1


def test_the_interval_of_a_distance_resamples_questions_by_hand():
    front = Frontier(1, (FrontierPoint(0.0, 0.9, 0.0, {}), FrontierPoint(1.0, 0.7, 0.0, {})))
    report = summarize([episode(BOTH, 0, RIGHT), episode(LOST, 0, RIGHT[:1], answer="x")], ks=(1,), frontier=front)
    # pass@1 of a resample is 0, 1/2 or 1: F - pass@1 is .9, .8 - .5 or .7 - 1
    assert report["measures"]["frontier_distance"] == pytest.approx({"value": 0.3, "low": -0.3, "high": 0.9, "n": 2})


def test_the_interval_of_kind_information_is_that_of_200_resamples_around_the_value():
    from berrypick.envs.metrics.planning import kind_information_draws

    rng = np.random.default_rng(3)
    asked = [question(f"q{i}", [[0], [1]]) for i in range(9)]
    records = [
        episode(q, s, [search(f"{KINDS[kind]} founder x", "a0")], answer="unknown")
        for q in asked
        for s, kind in enumerate(rng.integers(0, 3, 4))
    ]
    found = summarize(records, ks=(1,))["measures"]["kind_information"]
    kinds = question_table_of(records, ks=(1,)).first_kinds
    draws = kind_information_draws(kinds, bootstrap_indices(9, num_resamples=2000)[:200], miller_madow=True)
    low, high = np.quantile(draws, [0.025, 0.975]) - draws.mean() + found["value"]
    assert (found["low"], found["high"], found["n"]) == pytest.approx((low, high, 9)) and low < high


def test_a_summary_counts_rollouts_and_is_of_seed_0():
    rng = np.random.default_rng(5)
    asked = [question(f"q{i}", [[0], [1]]) for i in range(12)]
    records = [
        episode(q, s, RIGHT, answer="miravo" if rng.random() < 0.5 else "x").model_copy(update={"policy_id": f"p{s}"})
        for q in asked
        for s in range(8)
    ]
    report = summarize(records)
    assert (report["policy_id"], report["num_questions"], report["num_episodes"], report["samples"]) == (
        "p0",
        12,
        96,
        8,
    )
    assert {"pass@1", "pass@2", "pass@4", "pass@8"} <= set(report["measures"])
    assert report["measures"] == summarize(records, seed=0)["measures"] != summarize(records, seed=1)["measures"]
    odd = summarize(records[:-1])
    assert odd["samples"] == 7 and isinstance(odd["samples"], int)
    assert odd["absent"]["pass@8"] == "samples per question: 7"
    first, second = records, [record.model_copy(update={"f1": rng.random()}) for record in records]
    differences = compare(first, second)["differences"]
    assert {"pass@1", "pass@2", "pass@4", "pass@8"} <= set(differences)
    assert differences == compare(first, second, seed=0)["differences"] != compare(first, second, seed=1)["differences"]
    # questions are in the order of their ids, whatever that of the file
    assert summarize(records[::-1])["measures"]["pass@1"] == report["measures"]["pass@1"]
    by_id = [np.mean([r.f1 for r in second if r.question.id == name]) for name in sorted(q.id for q in asked)]
    expected = bootstrap_mean(np.array(by_id), bootstrap_indices(12))
    found = differences["f1"]
    assert (found["value"], found["low"], found["high"]) == pytest.approx((expected.value, expected.low, expected.high))


def test_no_answer_is_an_answer_of_its_own_where_others_answered():
    records = [episode(BOTH, 0, RIGHT), episode(BOTH, 1, RIGHT, answer=None)]
    assert question_table_of(records, ks=(1,)).columns["answers_distinct@2"][0] == 2


def test_the_first_queries_decide_the_semantic_entropy():
    other = search("scroll heir y", "b2")
    records = [episode(BOTH, 0, [RIGHT[0], other]), episode(BOTH, 1, RIGHT)]
    assert question_table_of(records, ks=(1,)).columns["semantic_query_entropy"][0] == 0.0


def test_tokens_of_a_turn_that_did_not_search_are_no_query():
    turn = search("ledger founder x", "a0", entropy=0.5)
    said = turn.model_copy(update={"action": "answer", "hits": [], "queries": []})
    columns = question_table_of([episode(BOTH, 0, [turn, said])], ks=(1,)).columns
    assert columns["query_entropy"][0] == 0.5
    assert question_table_of([episode(BOTH, 0, [turn, turn])], ks=(1,)).columns["query_entropy"][0] == 0.5


def test_comparisons_take_the_first_samples_in_any_order_of_the_file():
    first = [episode(BOTH, s, RIGHT) for s in range(2)]
    second = [episode(BOTH, s, RIGHT, answer="miravo" if s < 2 else "wrong") for s in range(8)]
    lost = [episode(LOST, s, RIGHT) for s in range(2)]
    found = compare([*first, *lost], second[::-1], ks=(1,))
    assert found["differences"]["pass@1"]["value"] == 0.0
    assert (found["num_shared"], found["num_not_shared"], found["samples"]) == (1, 1, 2)


def test_a_measure_that_the_arms_have_of_different_questions_has_no_difference():
    def graded(*grades):
        return [episode(q, 0, RIGHT).model_copy(update={"em": grade}) for q, grade in zip((BOTH, LOST), grades)]

    differences = compare(graded(1.0, None), graded(None, 1.0), ks=(1,))["differences"]
    assert "pass@1" not in differences and "searches" in differences
    half = compare(graded(1.0, None), graded(0.0, 1.0), ks=(1,))["differences"]["pass@1"]
    assert (half["value"], half["n"]) == (-1.0, 1)
