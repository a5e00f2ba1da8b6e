"""Published vectors and identities of shapes, estimates and bonuses.

The vectors: n = 8, rewards [1,1,0,0,0,0,0,0], answers [A,A,B,B,B,C,D,E], no outcome seen before, k = 4.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest
import torch
from berrypick.policies.objectives import OBJECTIVES, Groups, OutcomeCounts, get_objective
from berrypick.policies.objectives.bonuses import Batch, Bonus, Shuffled, Ucb, UcbCon, UcbMean
from berrypick.policies.objectives.diversity import (
    Darling,
    DarlingAdditive,
    Lexical,
    cluster_diversity,
    linked_clusters,
)
from berrypick.policies.objectives.estimates import (
    CorrectOnly,
    DrGrpo,
    Estimate,
    Gdpo,
    Grpo,
    MaxRl,
    Rloo,
    UnsolvedOnly,
)
from berrypick.policies.objectives.objective import Objective, RlState, check_group_size
from berrypick.policies.objectives.pass_at_k import PassAtK, PassMix
from berrypick.policies.objectives.registry import register_objective
from berrypick.policies.objectives.shapes import MaxAtK, MultiRlvr, Plain, Shape, ShuffledRewards, Vpo
from berrypick.retrieval_index.errors import BerrypickError
from hypothesis import given, settings
from hypothesis import strategies as st

REWARDS = [1.0, 1, 0, 0, 0, 0, 0, 0]
ANSWERS = ["A", "A", "B", "B", "B", "C", "D", "E"]


def group(
    rewards: list[float],
    outcomes: list[str | None] | None = None,
    vectors: torch.Tensor | None = None,
    queries: list[tuple[str, ...]] | None = None,
) -> Groups:
    labels = outcomes or list(range(len(rewards)))
    return Groups(
        ("q",),
        torch.tensor([rewards], dtype=torch.float64),
        {key: [labels] for key in ("answer", "evidence", "retrieval", "query")},
        [queries or [(f"the heir of name{i}",) for i in range(len(rewards))]],
        None if vectors is None else vectors[None],
        seed=3,
    )


PUBLISHED = group(REWARDS, ANSWERS)


def row(values: torch.Tensor) -> list[float]:
    """One value for A, B, C, and that equal rollouts have equal values."""
    (flat,) = values.tolist()
    assert flat[0] == flat[1]
    assert flat[2] == flat[3] == flat[4]
    assert flat[5] == flat[6] == flat[7]
    return [flat[0], flat[2], flat[5]]


def seen() -> OutcomeCounts:
    counts = OutcomeCounts()
    counts.add(PUBLISHED, "answer")
    return counts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (Grpo()(PUBLISHED, PUBLISHED.rewards), (1.62019, -0.54006, -0.54006)),
        (Grpo(population=True)(PUBLISHED, PUBLISHED.rewards), (1.73205, -0.57735, -0.57735)),
        (Rloo()(PUBLISHED, PUBLISHED.rewards), (0.85714, -0.28571, -0.28571)),
        (Batch()(PUBLISHED, OutcomeCounts()), (-0.125, -0.25, 0)),
        (Ucb()(PUBLISHED, OutcomeCounts()), (1, 1, 1)),
        (Ucb()(PUBLISHED, seen()), (0.70711, 0.57735, 1)),
        (UcbMean()(PUBLISHED, seen()), (-0.06992, -0.21821, 0.26482)),
        (UcbCon(0.5)(PUBLISHED, seen()), (0.20711, 0.07735, 0.5)),
        (UcbCon(1.0)(PUBLISHED, seen()), (-0.29289, -0.42265, 0)),
        (cluster_diversity(PUBLISHED, "answer"), (0.85714, 0.71429, 1)),
        (DrGrpo()(PUBLISHED, Darling("answer")(PUBLISHED)), (0.64286, -0.21429, -0.21429)),
        (PassAtK(4)(PUBLISHED, PUBLISHED.rewards), (0.52223, -0.17408, -0.17408)),
        (MaxAtK(4)(PUBLISHED), (0.5, 0.357143, 0.357143)),
        (Grpo(epsilon=0)(PUBLISHED, MaxAtK(4)(PUBLISHED)), (1.62019, -0.54006, -0.54006)),
    ],
    ids=[
        "grpo",
        "grpo_population",
        "rloo",
        "batch",
        "ucb_before",
        "ucb_after",
        "ucb_mean",
        "ucb_con",
        "ucb_con_1",
        "div",
        "darling",
        "pass_at_4",
        "max_at_4",
        "max_at_4_z",
    ],
)
def test_published_vector(values: torch.Tensor, expected: tuple[float, ...]) -> None:
    assert row(values) == pytest.approx(expected, abs=1.5e-5)


def test_mean_batch_bonus_of_the_vector_is_minus_an_eighth() -> None:
    assert float(Batch()(PUBLISHED, OutcomeCounts()).mean()) == pytest.approx(-0.125)


@pytest.mark.parametrize(("dims", "expected"), [(2, 0.75), (3, 0.61111), (5, 0.45667)])
def test_vpo_scores_a_set_of_all_unit_vectors_with_the_harmonic_mean(dims: int, expected: float) -> None:
    uniform = torch.full((dims, dims), 1 / dims, dtype=torch.float64)
    single = torch.zeros(dims, dims, dtype=torch.float64)
    single[0, 0] = 1
    vectors = torch.stack([torch.eye(dims, dtype=torch.float64), uniform, single])
    g = group([0.0, 0.0, 0.0], vectors=vectors)
    ((full, copies, one),) = Vpo(num_weights=40_000)(g).tolist()
    assert full == pytest.approx(expected, abs=0.005)
    assert copies == pytest.approx(1 / dims, abs=1e-9)
    assert one == pytest.approx(1 / dims, abs=0.005)


def test_shuffled_rewards_are_the_group_s_own_and_favour_no_rollout() -> None:
    g = group(REWARDS)
    dealt = [dataclasses.replace(g, seed=seed) for seed in range(400)]
    rows = torch.cat([ShuffledRewards()(one) for one in dealt])
    assert bool((rows.sort(dim=1).values == torch.tensor(sorted(REWARDS), dtype=torch.float64)).all())
    assert rows.mean(0).tolist() == pytest.approx([0.25] * 8, abs=0.09)  # 4 standard errors
    assert torch.equal(ShuffledRewards()(dealt[7]), rows[7:8])


# ---- definitions against brute force


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0]), min_size=1, max_size=7), st.integers(1, 7))
def test_max_at_k_is_the_share_of_the_best_over_all_subsets(rewards: list[float], k: int) -> None:
    k = min(k, len(rewards))
    subsets = list(itertools.combinations(range(len(rewards)), k))
    expected = [
        sum(max(rewards[j] for j in subset) for subset in subsets if i in subset) / len(subsets)
        for i in range(len(rewards))
    ]
    assert MaxAtK(k)(group(rewards)).tolist()[0] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=7), st.integers(1, 7))
def test_pass_at_k_is_the_mean_advantage_over_all_groups_of_k(rewards: list[float], k: int) -> None:
    n, k = len(rewards), min(k, len(rewards))
    subsets = list(itertools.combinations(range(n), k))
    won = [float(any(rewards[j] for j in subset)) for subset in subsets]
    mean, spread = np.mean(won), np.std(won)
    expected = [
        0.0
        if spread == 0
        else np.mean([(w - mean) / (spread + 1e-6) for w, subset in zip(won, subsets) if i in subset])
        for i in range(n)
    ]
    got = PassAtK(k)(group(rewards), torch.tensor([rewards], dtype=torch.float64)).tolist()[0]
    assert got == pytest.approx(expected, abs=1e-9)


def test_vpo_is_the_mean_best_candidate_under_one_set_of_weights_a_group() -> None:
    vectors = torch.rand(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    swapped = vectors[[2, 0, 1]]
    values = Vpo()(group([0.0] * 3, vectors=vectors))[0]
    assert torch.equal(values[[2, 0, 1]], Vpo()(group([0.0] * 3, vectors=swapped))[0])
    doubled = vectors.repeat(1, 2, 1)
    torch.testing.assert_close(Vpo()(group([0.0] * 3, vectors=doubled))[0], values)


def test_vpo_with_one_dimension_is_grpo_on_the_best_candidate() -> None:
    vectors = torch.rand(6, 3, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    g = group([0.0] * 6, vectors=vectors)
    best = vectors.amax(dim=(1, 2))[None]
    objective = get_objective("vpo")
    torch.testing.assert_close(objective.advantages(g).base, Grpo(population=True)(g, best))


def test_multi_rlvr_sums_candidates_and_equals_vpo_times_m_where_all_dimensions_agree() -> None:
    shared = torch.rand(5, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).expand(5, 3, 4)
    g = group([0.0] * 5, vectors=shared.contiguous())
    torch.testing.assert_close(MultiRlvr()(g), 3 * Vpo()(g))
    summed, best = (get_objective(name).advantages(g).base for name in ("multi_rlvr", "vpo"))
    torch.testing.assert_close(summed, best, atol=1e-5, rtol=1e-5)


def test_gdpo_averages_standardised_dimensions() -> None:
    vectors = torch.tensor([[[1.0, 0.0]], [[0.0, 5.0]], [[0.0, 0.0]], [[1.0, 0.0]]], dtype=torch.float64)
    g = group([0.0] * 4, vectors=vectors)
    first, second = (Grpo()(g, vectors[None, :, 0, d]) for d in range(2))
    torch.testing.assert_close(Gdpo()(g, g.rewards), (first + second) / 2)


def test_gdpo_with_batch_norm_divides_by_the_spread_over_all_groups() -> None:
    vectors = torch.tensor([[[1.0], [0.0]], [[0.0], [0.0]]], dtype=torch.float64)[:, :, None, :]
    g = Groups(("a", "b"), torch.zeros(2, 2, dtype=torch.float64), vectors=vectors)
    # The first group's values are +-.5 / .7071; the second is flat. Over all four: mean 0, spread sqrt(1 / 3).
    assert Gdpo(epsilon=0)(g, g.rewards).flatten().tolist() == pytest.approx([0.5**0.5, -(0.5**0.5), 0, 0])
    assert Gdpo(epsilon=0, batch_norm=True)(g, g.rewards).flatten().tolist() == pytest.approx(
        [1.5**0.5, -(1.5**0.5), 0, 0]
    )
    flat = dataclasses.replace(g, vectors=torch.ones_like(vectors))
    assert not Gdpo(batch_norm=True)(flat, g.rewards).any()
    assert get_objective("gdpo:batch_norm=true").estimate == Gdpo(batch_norm=True)


def test_lexical_counts_the_ngrams_no_sibling_uses() -> None:
    queries = [("a b c d", "e"), ("a b c d",), ("x y",), ("a b c d e f",)]
    g = group([1.0, 1.0, 1.0, 2.0], queries=queries)
    # grams: {abcd, bcde}, {abcd}, {}, {abcd, bcde, cdef}
    assert Lexical()(g).tolist() == [[0.0, 0.0, 0.0, pytest.approx(2 / 3)]]
    assert Lexical(2)(g).tolist()[0][2] == 1.0
    # as published there is no floor and no exponent
    assert Lexical(floor=0.1)(g).tolist() == [[0.1, 0.1, 0.1, pytest.approx(2 / 3)]]  # a factor of 1/3, reward 2
    assert Lexical(floor=0.1, power=2)(g).tolist() == [[0.1, 0.1, 0.1, pytest.approx(2 / 9)]]
    assert torch.equal(get_objective("lexical").shape(g), get_objective("lexical:floor=0,power=1").shape(g))


def test_darling_with_all_distinct_clusters_is_the_reward() -> None:
    g = group([1.0, 0.5, 0.0, 1.0])
    assert torch.equal(Darling()(g), g.rewards)


def test_darling_of_one_cluster_is_a_tenth_and_moves_nothing() -> None:
    g = group([1.0] * 4, ["a"] * 4)
    assert Darling()(g).tolist() == [[pytest.approx(0.1)] * 4]
    assert float(get_objective("darling").advantages(g).base.abs().max()) == 0


def test_random_clusters_keep_the_sizes() -> None:
    g = group([1.0] * 8, ANSWERS)
    shuffled = Darling("answer", shuffle=True)(g)
    assert sorted(shuffled.tolist()[0]) == sorted(Darling("answer")(g).tolist()[0])
    assert not torch.equal(shuffled, Darling("answer")(g))


def test_one_false_positive_chains_two_clusters() -> None:
    near = {("a", "b"), ("b", "c")}
    labels = linked_clusters(["a", "x", "c", "b"], lambda p, q: (p, q) in near or (q, p) in near)
    assert labels[0] == labels[2] == labels[3] != labels[1]
    g = group([1.0] * 3, ["ab", "bc", "cd"])
    assert cluster_diversity(g, "answer", lambda p, q: bool(set(p) & set(q))).tolist() == [[0, 0, 0]]


def test_ucb_con_punishes_after_four_visits_at_a_half_and_any_repeat_at_one() -> None:
    counts = OutcomeCounts()
    values = []
    for _ in range(6):
        values.append(float(UcbCon(0.5)(group([0.0], ["a"]), counts)))
        assert float(UcbCon(1.0)(group([0.0], ["a"]), counts)) <= 0
        counts.add(group([0.0], ["a"]), "answer")
    assert [value >= 0 for value in values] == [True] * 5 + [False]
    assert counts.get("q", "a") == 6
    assert counts.get("other", "a") == 0


@pytest.mark.parametrize("bonus", [Ucb(), UcbCon(0.5), Batch()])
def test_no_answer_earns_no_positive_bonus(bonus: Bonus) -> None:
    assert float(bonus(group([0.0] * 3, [None, "a", "b"]), OutcomeCounts())[0, 0]) <= 0


def test_a_shuffled_bonus_has_the_same_values_in_each_group() -> None:
    values = Shuffled(Batch())(PUBLISHED, OutcomeCounts())
    assert sorted(values.tolist()[0]) == sorted(Batch()(PUBLISHED, OutcomeCounts()).tolist()[0])
    assert Shuffled(Batch("query")).key == "query"


def test_the_bonus_is_weighted_after_normalisation_and_silent_only_where_all_are_right() -> None:
    objective = get_objective("batch:weight=0.5")
    base, bonus = objective.advantages(PUBLISHED)
    torch.testing.assert_close(base, Grpo()(PUBLISHED, PUBLISHED.rewards))
    torch.testing.assert_close(bonus, 0.5 * Batch()(PUBLISHED, OutcomeCounts()))
    assert not objective.advantages(group([1.0] * 8, ANSWERS)).bonus.any()
    assert objective.advantages(group([0.0] * 8, ANSWERS)).bonus.any()


def test_counts_survive_json_whatever_the_outcome() -> None:
    import json

    labels = [frozenset({"b", "a"}), ("a", "b"), None, "a", frozenset(), frozenset({"a", "b"}), '"a"', ()]
    counts, again = OutcomeCounts(), OutcomeCounts()
    counts.add(group([0.0] * 8, labels), "evidence")
    again.load_state_dict(json.loads(json.dumps(counts.state_dict())))
    assert [again.get("q", label) for label in labels] == [2, 1, 1, 1, 1, 2, 1, 1]
    other = OutcomeCounts()
    other.add(group([0.0] * 8, labels[::-1]), "evidence")
    assert json.dumps(counts.state_dict()) == json.dumps(other.state_dict())


def test_epsilon_is_added_to_what_is_divided_by() -> None:
    g = group([1.0, 0.0])
    assert Grpo(epsilon=1.0)(g, g.rewards).tolist()[0] == pytest.approx([0.5 / (0.5**0.5 + 1), -0.5 / (0.5**0.5 + 1)])
    assert Grpo(epsilon=1.0, population=True)(g, g.rewards).tolist()[0] == pytest.approx([0.5 / 1.5, -0.5 / 1.5])
    assert MaxRl(epsilon=1.0)(g, g.rewards).tolist()[0] == pytest.approx([0.5 / 1.5, -0.5 / 1.5])


def test_sets_inside_an_outcome_count_as_one_in_any_order() -> None:
    paths = [(frozenset({"a", "b"}), "x"), (frozenset({"b", "a"}), "x"), (frozenset({"a"}), "x"), ("x",)]
    counts = OutcomeCounts()
    counts.add(group([0.0] * 4, paths), "evidence")
    assert [counts.get("q", path) for path in paths] == [2, 2, 1, 1]


def test_the_number_zero_is_an_outcome_and_no_answer_is_none() -> None:
    assert Ucb()(group([0.0] * 4, [0, 1, None, ""]), OutcomeCounts()).tolist() == [[1, 1, 0, 0]]


# ---- identities of all of them

CENTRED: list[Estimate] = [
    Grpo(),
    Grpo(population=True),
    DrGrpo(),
    Rloo(),
    PassAtK(3),
    PassAtK(3, divided=False),
    MaxRl(),
    Gdpo(),
    Gdpo(batch_norm=True),
    UnsolvedOnly(2),
]
ESTIMATES: list[Estimate] = [*CENTRED, PassMix(0.5, 3), CorrectOnly()]
SHAPES: list[Shape] = [
    Plain(),
    Darling("answer"),
    Darling("answer", same=lambda a, b: a == b),
    Darling("answer", power=2.5),
    DarlingAdditive(key="answer"),
    Lexical(2),
    Vpo(),
    MultiRlvr(),
    MaxAtK(),
    MaxAtK(3),
]
BONUSES: list[Bonus] = [Ucb(), UcbMean(), UcbCon(), Batch()]
GROUP = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from(["a", "b", "c d", None])), min_size=1, max_size=8
)


def random_group(items: list[tuple[float, str | None]]) -> Groups:
    vectors = torch.tensor([[[reward, len(label or "")]] for reward, label in items], dtype=torch.float64)
    return group([r for r, _ in items], [label for _, label in items], vectors, [(label or "",) for _, label in items])


@settings(max_examples=60, deadline=None)
@given(GROUP, st.randoms(use_true_random=False))
def test_everything_is_finite_and_follows_a_permutation_of_the_group(items: list, random) -> None:
    order = list(range(len(items)))
    random.shuffle(order)
    g, permuted = random_group(items), random_group([items[i] for i in order])
    functions = [
        *SHAPES,
        *(lambda x, e=e: e(x, x.rewards) for e in ESTIMATES),
        *(lambda x, b=b: b(x, seen()) for b in BONUSES),
    ]
    for function in functions:
        values = function(g)
        assert values.shape == (1, len(items))
        assert values.isfinite().all()
        torch.testing.assert_close(values[0, order], function(permuted)[0])


@settings(max_examples=40, deadline=None)
@given(GROUP)
def test_centred_estimates_and_ucb_mean_sum_to_zero(items: list) -> None:
    g = random_group(items)
    for estimate in CENTRED:
        assert float(estimate(g, g.rewards).sum()) == pytest.approx(0, abs=1e-5)
    assert float(UcbMean()(g, seen()).sum()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_group_of_equal_rewards_has_no_advantage(value: float) -> None:
    g = random_group([(value, "a")] * 5)
    for estimate in ESTIMATES:
        assert not estimate(g, g.rewards).any()


@pytest.mark.parametrize("n", [4, 8])
def test_max_at_k_is_grpo_on_binary_rewards_until_its_group_is_too_easy(n: int) -> None:
    for right, k in itertools.product(range(n + 1), range(2, n + 1)):
        g = group([1.0] * right + [0.0] * (n - right))
        got = Grpo(epsilon=0)(g, MaxAtK(k)(g))
        expected = Grpo(epsilon=0)(g, g.rewards) if n - right >= k else torch.zeros_like(g.rewards)
        torch.testing.assert_close(got, expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=8))
def test_batch_is_zero_exactly_for_outcomes_that_stand_alone(labels: list[str]) -> None:
    values = Batch()(group([0.0] * len(labels), labels), OutcomeCounts()).tolist()[0]
    assert [value == 0 for value in values] == [labels.count(label) == 1 for label in labels]
    shares = [labels.count(label) / len(labels) for label in set(labels)]
    assert np.mean(values) == pytest.approx(-(sum(share**2 for share in shares) - 1 / len(labels)))


# ---- names


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_registered_objective_gives_finite_advantages(name: str) -> None:
    objective = get_objective(name)
    assert objective.name == name
    assert objective.summary
    vectors = torch.rand(8, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    g = dataclasses.replace(group([1.0] + [0.0] * 7, ANSWERS), vectors=vectors[None])
    base, bonus = objective.advantages(g, OutcomeCounts())
    assert base.shape == bonus.shape == (1, 8)
    assert base.isfinite().all()
    assert base.any()


def test_options_reach_the_objective() -> None:
    objective = get_objective("ucb_con:weight=0.1,offset=1,key=evidence,on_answer=true")
    assert objective.bonus == UcbCon(1.0, "evidence")
    assert (objective.bonus_weight, objective.bonus_on_answer_tokens) == (0.1, True)
    assert objective.name == "ucb_con:weight=0.1,offset=1,key=evidence,on_answer=true"
    assert get_objective("max_at_k:k=5").shape == MaxAtK(5)
    assert get_objective("clip_higher").clip == (0.2, 0.28)
    assert get_objective("kl_cov").clip == (math.inf, math.inf)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grop", "did you mean grpo"),
        ("darling:flor=1", "option of objective darling 'flor'; did you mean floor"),
        ("darling:floor", "write floor=VALUE"),
        ("max_at_k:k=x", "k cannot be x; write for example k=2"),
        ("batch:on_answer=maybe", "on_answer cannot be maybe"),
        ("batch:key=color", "key must be one of answer"),
    ],
)
def test_a_wrong_spec_names_the_cure(spec: str, message: str) -> None:
    with pytest.raises(BerrypickError, match=message):
        get_objective(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grpo:epsilon=-1", "epsilon must be at least 0"),
        ("pass_at_k:k=0", "k must be at least 1"),
        ("pass_at_k:std=batch", "std must be one of group, none"),
        ("pass_mix:weight=1.5", "weight must lie in [0, 1]"),
        ("pass_mix:weight=nan", "weight must lie in [0, 1]"),
        ("pass_mix:k=0", "k must be at least 1"),
        ("unsolved_only:most=0", "most must be at least 1"),
        ("darling:power=-1", "power must be at least 0"),
        ("darling_additive:weight=-1", "weight must be at least 0"),
        ("darling_random:norm=same", "norm must be one of own, equal"),
        ("max_at_k:k=0", "k must be at least 1"),
        ("max_at_k:k=-1", "k must be at least 1"),
        ("lexical:n=0", "n must be at least 1"),
        ("lexical:floor=2", "floor must lie in [0, 1]"),
        ("lexical:power=-1", "power must be at least 0"),
        ("vpo:num_weights=0", "num_weights must be at least 1"),
        ("vpo:alpha=0", "alpha must be above 0"),
        ("darling:floor=-1", "floor must lie in [0, 1]"),
        ("darling_random:floor=nan", "floor must lie in [0, 1]"),
        ("ucb:weight=nan", "weight must be a finite number"),
        ("ucb_con:offset=inf", "offset must be a finite number"),
        ("entropy:coefficient=nan", "coefficient must be a finite number"),
        ("adaptive_entropy:target=-1", "target must be at least 0"),
        ("adaptive_entropy:delta=inf", "delta must be at least 0"),
        ("kl:beta=-1", "beta must be at least 0"),
        ("kl_k1:beta=nan", "beta must be at least 0"),
        ("kl_k1:beta=-0.5", "beta must be at least 0"),
        ("kl_cov:fraction=2", "fraction must lie in (0, 1]"),
        ("kl_cov:coefficient=-1", "coefficient must be at least 0"),
        ("clip_cov:fraction=0", "fraction must lie in (0, 1]"),
        ("clip_cov:low=6", "high must be above low"),
        ("clip_cov:low=5", "high must be above low"),
        ("clip_higher:low=-1", "both sides of clip must be at least 0"),
        ("clip_higher:high=nan", "both sides of clip must be at least 0"),
    ],
)
def test_an_option_outside_its_range_is_refused_with_the_range(spec: str, message: str) -> None:
    with pytest.raises(BerrypickError, match=f"{re.escape(f'objective {spec!r}: {message}')}.* got .*; change that"):
        get_objective(spec)


@pytest.mark.parametrize(
    ("name", "rewards", "message"),
    [
        ("pass_at_k", [0.5, 1.0], "rewards of 0 or 1"),
        ("pass_mix", [0.5, 1.0], "pass_mix needs rewards of 0 or 1; choose reward=em, or the objective max_at_k"),
        ("maxrl", [-1.0, 1.0], "at least 0"),
        ("gdpo", [0.0, 1.0], "vectors"),
    ],
)
def test_rewards_an_objective_cannot_take_are_refused(name: str, rewards: list[float], message: str) -> None:
    with pytest.raises(BerrypickError, match=message):
        get_objective(name).advantages(group(rewards))


@pytest.mark.parametrize(
    "name", ["pass_at_k", "max_at_k", "max_at_k:k=3", "pass_at_k:k=2,std=none", "pass_mix", "grpo"]
)
def test_groups_are_refused_exactly_where_no_reward_could_ever_move_anything(name: str) -> None:
    objective = get_objective(name)
    for size in range(2, 8):
        patterns = itertools.product([0.0, 1.0], repeat=size)
        moves = any(bool(objective.advantages(group(list(rewards))).base.any()) for rewards in patterns)
        if moves:
            check_group_size(objective, size)
        else:
            with pytest.raises(BerrypickError, match=f"needs groups of at least .* rollouts, got {size}"):
                check_group_size(objective, size)


# ---- small cases by hand


def test_parts_have_the_published_options_unless_told() -> None:
    assert Grpo() == Grpo(epsilon=1e-6, population=False)
    assert MaxRl() == MaxRl(epsilon=1e-6)
    assert Gdpo() == Gdpo(epsilon=1e-6, batch_norm=False)
    assert UnsolvedOnly() == UnsolvedOnly(most=1)
    assert PassAtK() == PassAtK(k=4, epsilon=1e-6, divided=True)
    assert PassMix() == PassMix(weight=0.5, k=4)
    assert Darling() == Darling("retrieval", 0.1, None, shuffle=False, power=1.0, equal_norm=False)
    assert DarlingAdditive() == DarlingAdditive(0.5, "retrieval")
    assert Lexical() == Lexical(n=4, floor=0.0, power=1.0)
    assert Vpo() == Vpo(num_weights=100, alpha=1.0)
    assert UcbCon() == UcbCon(offset=0.5, key="answer")
    plain = Objective("", "", Plain(), Grpo())
    assert plain == Objective("", "", Plain(), Grpo(), None, 0.2, False, (), (0.2, 0.2), 1)


def test_the_parts_of_the_shipped_objectives() -> None:
    assert get_objective("darling_random").shape == Darling(shuffle=True)
    assert get_objective("darling_random:norm=equal").shape == Darling(shuffle=True, equal_norm=True)
    assert get_objective("darling_oracle").shape == Darling("evidence")
    assert get_objective("vpo").estimate == get_objective("multi_rlvr").estimate == Grpo(population=True)
    assert get_objective("max_at_k").estimate == Grpo() and get_objective("max_at_k:centred=true").estimate == DrGrpo()
    assert get_objective("pass_at_k").estimate == PassAtK() != get_objective("pass_at_k:std=none").estimate
    assert get_objective("grpo").shape == Plain() and get_objective("grpo").estimate == Grpo()
    assert get_objective("clip_cov").clip == (1.0, 1.0) and get_objective("kl").clip == (0.2, 0.2)
    assert get_objective("clip_higher:low=0").clip == (0.0, 0.28)
    assert get_objective("kl_cov").min_updates == 2 and get_objective("kl").min_updates == 1
    assert get_objective("ucb").bonus_weight == 0.2 and not get_objective("ucb").bonus_on_answer_tokens


def test_options_at_the_ends_of_their_ranges_are_taken() -> None:
    assert Vpo(num_weights=1, alpha=0.5).alpha == 0.5
    assert Lexical(n=1, floor=1.0, power=0.0).n == 1
    assert (PassMix(1.0, 1).k, PassMix(0.0, 1).weight, PassAtK(1, 0.0).epsilon, MaxRl(0.0).epsilon) == (1, 0, 0, 0)
    assert DarlingAdditive(0.0).weight == Darling(floor=0.0, power=0.0).power == Gdpo(0.0).epsilon == 0
    for refused in (lambda: MaxRl(-1.0), lambda: Gdpo(-1.0), lambda: PassAtK(4, -1.0), lambda: Vpo(alpha=math.inf)):
        with pytest.raises(ValueError, match=r"epsilon must be at least 0|alpha must be above 0"):
            refused()


def test_pairs_of_rollouts_by_hand() -> None:
    counts = OutcomeCounts()
    for _ in range(4):
        counts.add(group([0.0], ["a"]), "answer")
    pair = group([1.0, 0.0], ["a", "b"])  # UCB: 4^-1/2 and 1; a rollout's own minus the other's
    assert Ucb()(pair, counts).tolist() == [[0.5, 1.0]]
    assert UcbMean()(pair, counts).tolist() == [[-0.5, 0.5]]
    assert UcbMean()(group([1.0], ["a"]), counts).tolist() == [[0.0]]
    assert Batch()(group([1.0, 0.0], ["a", "a"]), counts).tolist() == [[-0.5, -0.5]]
    assert cluster_diversity(pair, "answer").tolist() == [[1.0, 1.0]]
    assert cluster_diversity(group([1.0]), "answer").tolist() == [[0.0]]
    assert Darling("answer")(group([1.0], ["a"])).tolist() == [[0.1]]
    assert Rloo()(pair, pair.rewards).tolist() == [[1.0, -1.0]]
    assert DarlingAdditive(2.0, "answer")(pair).tolist() == [[3.0, 0.0]]


def test_without_an_outcome_a_bonus_minus_a_constant_is_at_most_0() -> None:
    assert UcbCon(0.25)(group([0.0, 0.0], [None, "a"]), OutcomeCounts()).tolist() == [[0.0, 0.75]]
    assert UcbCon(1.5)(group([0.0, 0.0], [None, "a"]), OutcomeCounts()).tolist() == [[-0.5, -0.5]]


def test_a_shuffled_bonus_favours_no_rollout() -> None:
    dealt = [dataclasses.replace(PUBLISHED, seed=seed) for seed in range(200)]
    rows = torch.cat([Shuffled(Batch())(one, OutcomeCounts()) for one in dealt])
    assert rows.mean(0).tolist() == pytest.approx([-0.125] * 8, abs=0.03)  # 4 standard errors
    both = dataclasses.replace(
        PUBLISHED, question_ids=("p", "q"), rewards=torch.zeros(2, 8), outcomes={"answer": [ANSWERS, ANSWERS[::-1]]}
    )
    values, plain = (bonus(both, OutcomeCounts()).sort(dim=1).values for bonus in (Shuffled(Batch()), Batch()))
    assert torch.equal(values, plain)


def test_counts_of_questions_and_of_equal_sets_do_not_depend_on_the_order() -> None:
    one, other = OutcomeCounts(), OutcomeCounts()
    first, second = (dataclasses.replace(group([0.0], ["a"]), question_ids=(name,)) for name in "pq")
    for counts, order in ((one, (first, second)), (other, (second, first))):
        for g in order:
            counts.add(g, "answer")
    assert list(one.state_dict()) == list(other.state_dict()) == ["p", "q"]
    # 0 and 8 fall on one place of a small set's table, so that the two sets list them in another order
    assert list(frozenset([0, 8])) != list(frozenset([8, 0]))
    one.add(group([0.0, 0.0], [frozenset([0, 8]), frozenset([8, 0])]), "answer")
    assert one.get("q", frozenset([0, 8])) == 2


def test_what_an_objective_remembers_survives() -> None:
    state, again = RlState(seen(), {"entropy": 0.25}), RlState()
    again.load_state_dict(state.state_dict())
    assert again.coefficients == {"entropy": 0.25} and again.counts.get("q", "B") == 3
    assert RlState().state_dict() == {"counts": {}, "coefficients": {}}


def test_a_classifier_is_asked_only_about_rollouts_that_are_not_linked_yet() -> None:
    asked = []

    def same(a: object, b: object) -> bool:
        asked.append((a, b))
        return True

    assert len(set(linked_clusters("abcd", same))) == 1
    assert asked == [("b", "a"), ("c", "a"), ("d", "a")]


def test_equal_random_factors_are_not_rescaled() -> None:
    g = group([1.0] * 3, ["a"] * 3)
    assert Darling("answer", shuffle=True, equal_norm=True)(g).tolist() == [[pytest.approx(0.1)] * 3]


def test_equal_rewards_have_no_advantage_however_they_are_rounded() -> None:
    for value in (0.0, 1.0, 0.1, -0.3, 1e-13):
        for size in (3, 6, 7):
            g = group([value] * size)
            assert not Grpo(epsilon=0)(g, g.rewards).any()
    small = group([3e-13, 0.0])
    half = math.sqrt(0.5)
    assert Grpo(epsilon=0)(small, small.rewards).tolist()[0] == pytest.approx([half, -half])


def test_gdpo_reads_the_first_candidate() -> None:
    vectors = torch.tensor([[[1.0], [0.0]], [[0.0], [5.0]]], dtype=torch.float64)
    g = group([0.0, 0.0], vectors=vectors)
    assert Gdpo(epsilon=0)(g, g.rewards).tolist()[0] == pytest.approx([0.5**0.5, -(0.5**0.5)])


@pytest.mark.parametrize(("size", "k"), [(1, 1), (2, 2), (3, 2), (5, 2), (6, 3), (7, 3), (8, 4)])
def test_the_best_of_half_the_group_at_least_two_is_the_default(size: int, k: int) -> None:
    g = group([1.0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0][:size])
    assert torch.equal(MaxAtK()(g), MaxAtK(k)(g))
    assert k == size or not torch.equal(MaxAtK()(g), MaxAtK(k + 1)(g))


def test_multi_rlvr_weighs_dimensions_alike_unless_told() -> None:
    g = group([0.0], vectors=torch.tensor([[[1.0, 0.5], [0.0, 1.0]]], dtype=torch.float64))
    assert MultiRlvr()(g).tolist() == [[1.25]]
    assert MultiRlvr((2.0, 0.0))(g).tolist() == [[2.0]]


def test_a_group_of_one_rollout_is_enough_for_an_objective_that_states_no_least() -> None:
    check_group_size(get_objective("grpo"), 1)


@pytest.mark.parametrize("name", ["", "two words", "a:b", "a,b", "a=b"])
def test_a_name_that_a_spec_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(BerrypickError, match="cannot name an objective"):
        register_objective(name, "never")(lambda: get_objective("grpo"))
    assert name not in OBJECTIVES


def test_options_are_read_as_the_default_s_type() -> None:
    assert get_objective("grpo:population=TRUE").estimate == Grpo(population=True)
    assert get_objective("grpo:population=false,epsilon=0.5").estimate == Grpo(0.5)
    assert get_objective("max_at_k:k=3,centred=true").shape == MaxAtK(3)
    for spec, message in [
        ("max_at_k:k=2.5", "k cannot be 2.5; write for example k=2"),
        ("grpo:population=1", "population cannot be 1; write for example population=False"),
        ("grpo:epsilon=small", "epsilon cannot be small; write for example epsilon=1e-06"),
    ]:
        with pytest.raises(BerrypickError, match=message):
            get_objective(spec)
