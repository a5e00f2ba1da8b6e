"""Similarity of a tabular policy's episodes: values by hand, a second computation, draws, truncation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from berrypick.envs.world.config import WorldConfig
from berrypick.envs.world.world import build_world
from berrypick.policies.tabular.kinds import KindWorld, kind_probabilities
from berrypick.policies.tabular.outcomes import list_episodes
from berrypick.policies.tabular.similarity import ENCODERS, Encoded, encode, sampled_similarity, truncated
from hypothesis import given, settings
from hypothesis import strategies as st


def opened(**knobs):
    """A small World: its questions, equal weights, all episodes, and the encoders."""
    config = WorldConfig(num_train=6, num_validation=0, num_test=0, seed=3, **knobs)
    world = KindWorld.of(build_world(config).questions("train"))
    episodes = list_episodes(world)
    weights = np.full(len(world.table), 1 / len(world.table))
    return world, episodes, encode(world, weights, episodes)


def means(encoded, episodes, logits):
    return encoded.mean_vectors(episodes.outcomes(kind_probabilities(logits)).chances)


def test_one_query_of_two_kinds_by_hand():
    world, episodes, encoded = opened(availability=(0.5, 0.5), hops=1, budget=1)
    found = {name: means(one, episodes, np.zeros(world.table_shape)) for name, one in encoded.items()}
    # two draws name the same kind with probability 1/2; else they share relation and entity, two words of three
    expected = {"records": 1 / 2, "words": 1 / 2 + 1 / 2 * 2 / 3, "orders": 1 / 2}
    # of two questions: the kind with probability 1/2 and the relation with 1/6, one word of three each
    floor = {"records": 0.0, "words": 1 / 2 / 3 + 1 / 6 / 3, "orders": 1 / 2}
    for name, one in encoded.items():
        assert one.similarity(found[name], found[name]) == pytest.approx(expected[name])
        assert one.floor(found[name], found[name]) == pytest.approx(floor[name])
    assert encoded["records"].above(found["records"], 0.49) == pytest.approx(1)
    assert encoded["records"].above(found["records"], 0.51) == 0


def test_policies_that_never_agree_have_no_record_in_common():
    world, episodes, encoded = opened(availability=(0.5, 0.5), hops=1, budget=1)
    first, second = (np.zeros(world.table_shape) + np.array(row) for row in ([50.0, 0.0], [0.0, 50.0]))
    one = encoded["records"]
    a, b = means(one, episodes, first), means(one, episodes, second)
    assert one.similarity(a, b) == pytest.approx(0, abs=1e-12)
    assert one.similarity(a, a) == pytest.approx(1)
    assert encoded["words"].similarity(
        means(encoded["words"], episodes, first), means(encoded["words"], episodes, second)
    ) == pytest.approx(2 / 3)


def walked(world, chances, question):
    """All episodes of a question as (probability, [(hop, kind), ...]), by plain recursion."""
    out = []

    def go(probability, hop, tried, left, asked):
        if hop == world.present.shape[1] or left == 0 or len(tried) == len(world.kinds):
            out.append((probability, asked))
            return
        mask = sum(1 << kind for kind in tried)
        for kind in range(len(world.kinds)):
            p = chances[world.table[question], hop, mask, left, kind]
            if p > 0:
                hit = world.present[question, hop, kind]
                go(p * probability, hop + hit, [] if hit else [*tried, kind], left - 1, [*asked, (hop, kind)])

    go(1.0, 0, [], world.budget, [])
    return out


def cosine(first, second):
    words = {*first, *second}
    dot = sum(first.get(word, 0) * second.get(word, 0) for word in words)
    return dot / math.sqrt(sum(v * v for v in first.values()) * sum(v * v for v in second.values()))


def said(asked, encoder):
    if encoder == "orders":
        return {tuple(kind for _, kind in asked): 1}
    out: dict = {}
    for hop, kind in asked:
        for word in [(hop, kind)] if encoder == "records" else [kind, ("relation", hop), ("entity", hop)]:
            out[word] = out.get(word, 0) + 1
    return out


@pytest.mark.parametrize("encoder", ENCODERS)
def test_means_over_all_pairs_are_those_of_a_second_computation(encoder):
    world, episodes, encoded = opened(availability=(0.6, 0.5, 0.4), hops=2, budget=3)
    one, generator = encoded[encoder], np.random.default_rng(0)
    policies = [kind_probabilities(generator.normal(size=world.table_shape)) for _ in range(2)]
    vectors = [one.mean_vectors(episodes.outcomes(chances).chances) for chances in policies]
    for first, second in ((0, 0), (0, 1)):
        total = 0.0
        for question in range(len(world.table)):
            played = [walked(world, policies[at], question) for at in (first, second)]
            total += sum(p * q * cosine(said(a, encoder), said(b, encoder)) for p, a in played[0] for q, b in played[1])
        assert one.similarity(vectors[first], vectors[second]) == pytest.approx(total / len(world.table))


def test_drawn_episodes_have_the_exact_similarity_within_four_errors():
    world, episodes, encoded = opened(availability=(0.6, 0.5, 0.4), hops=2, budget=3)
    chances = episodes.outcomes(kind_probabilities(np.zeros(world.table_shape))).chances
    one = encoded["records"]
    mean = one.mean_vectors(chances)
    drawn = [sampled_similarity(one, chances, questions=50, samples=20, seed=seed) for seed in range(30)]
    error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
    assert abs(np.mean(drawn) - one.similarity(mean, mean)) < 4 * error


def test_truncation_keeps_the_likeliest_kinds():
    rows = np.array([[0.65, 0.3, 0.05], [0.34, 0.33, 0.33], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    # .65 < .9 keeps the second; .65 + .3 is not below .9
    assert truncated(rows, top_p=0.9) == pytest.approx(np.array([[65 / 95, 30 / 95, 0], rows[1], rows[2], rows[3]]))
    assert truncated(rows, min_p=0.4) == pytest.approx(np.array([[65 / 95, 30 / 95, 0], rows[1], rows[2], rows[3]]))
    assert truncated(rows, min_p=0.05) == pytest.approx(rows)
    assert truncated(np.full((1, 3), 1 / 3), top_p=0.5)[0] == pytest.approx([0.5, 0.5, 0.0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 5.0))
def test_similarity_is_a_mean_cosine_and_two_policies_are_no_more_alike_than_the_mean_square_within(seed, spread):
    world, episodes, encoded = opened(availability=(0.6, 0.5, 0.4), hops=2, budget=3)
    generator = np.random.default_rng(seed)
    first, second = (generator.normal(0, spread, world.table_shape) for _ in range(2))
    for one in encoded.values():
        a, b = means(one, episodes, first), means(one, episodes, second)
        within = [one.similarity(a, a), one.similarity(b, b)]
        assert all(0 < value <= 1 + 1e-12 for value in within)
        assert -1e-12 <= one.similarity(a, b) <= math.sqrt(within[0] * within[1]) + 1e-12
        assert one.floor(a, b) == pytest.approx(one.floor(b, a))


def test_questions_are_drawn_by_their_weights():
    # the only question that is drawn has one episode; of the other, two samples differ with chance 1/2
    encoded = Encoded(np.tile(np.eye(2), (2, 1, 1)), np.zeros(2), np.array([0.0, 1.0]))
    chances = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert sampled_similarity(encoded, chances, questions=40, samples=4, seed=0) == pytest.approx(1)
    assert sampled_similarity(encoded, chances[::-1], questions=40, samples=4, seed=0) < 0.9
