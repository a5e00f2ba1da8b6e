"""Numbers of docs/hivemind.md by a second computation, which shares the World, the draws and nothing else."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.world import build_world
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.hivemind import EXPERIMENT
from berrypick.experiments.hivemind.claims import PLACES
from fixtures.published_system import published_rows


class ByHand:
    """Imitation, then GRPO, in plain Python: softmax gradients by their formula, a dictionary of states."""

    def __init__(self, present, budget):
        self.present, self.budget, self.logits = present, budget, {}

    def chances(self, state, logits):
        values = logits.get(state, np.zeros(3))
        weights = [0.0 if state[1] >> kind & 1 else math.exp(value) for kind, value in enumerate(values)]
        return np.array(weights) / sum(weights)

    def episode(self, question, draws, logits):
        hop, tried, choices = 0, 0, []
        for turn in range(self.budget):
            if hop == 2 or tried == 7:
                break
            state = (hop, tried, self.budget - turn)
            edges = np.cumsum(self.chances(state, logits))
            kind = int(np.searchsorted(edges, draws[turn] * edges[-1], side="right"))
            choices.append((state, kind))
            hop, tried = (hop + 1, 0) if self.present[question, hop, kind] else (hop, tried | 1 << kind)
        return hop == 2, choices

    def climb(self, weighted, rate):
        """Gradient ascent on the mean over episodes of weight times log-probability."""
        push = {}
        for weight, choices in weighted:
            for state, kind in choices:
                slope = np.eye(3)[kind] - self.chances(state, self.logits)
                push[state] = push.get(state, np.zeros(3)) + weight * slope / len(weighted)
        for state, value in push.items():
            self.logits[state] = self.logits.get(state, np.zeros(3)) + rate * value

    def imitate(self, steps, seed):
        for number in range(steps):
            generator = np.random.default_rng((seed, 11, number))
            asked = generator.integers(0, len(self.present), 16)
            draws = generator.random((128, self.budget))
            played = [self.episode(asked[at // 8], draws[at], {}) for at in range(128)]
            self.climb([(1.0, choices) for _, choices in played], 1.0)

    def grpo(self, steps, seed):
        order = np.random.default_rng((seed, 3, 0)).permutation(len(self.present))
        for number in range(steps):
            draws = np.random.default_rng((seed, 5, number)).random((128, self.budget))
            asked = order[number * 16 : number * 16 + 16]
            played = [self.episode(asked[at // 8], draws[at], self.logits) for at in range(128)]
            won = np.array([float(right) for right, _ in played]).reshape(16, 8)
            centred = won - won.mean(1, keepdims=True)
            advantages = (centred / (won.std(1, ddof=1, keepdims=True) + 1e-6)).reshape(-1)
            self.climb([(advantages[at], choices) for at, (_, choices) in enumerate(played)], 3.0)

    def episodes(self, present, hop=0, tried=0, left=3, chance=1.0, asked=()):
        """(chance, records asked for) of every episode of a question."""
        if hop == 2 or left == 0 or tried == 7:
            return [(chance, asked)]
        out = []
        for kind, p in enumerate(self.chances((hop, tried, left), self.logits)):
            if p:
                after = (hop + 1, 0) if present[hop][kind] else (hop, tried | 1 << kind)
                out += self.episodes(present, *after, left - 1, chance * p, (*asked, (hop, kind)))
        return out

    def alike(self, availability):
        """Mean cosine of the sets of records of two episodes, over all patterns of which records exist."""
        total = 0.0
        for pattern in product((False, True), repeat=6):
            weight = np.prod([a if there else 1 - a for a, there in zip(availability * 2, pattern)])
            played = self.episodes((pattern[:3], pattern[3:]))
            total += weight * sum(
                p * q * len({*a} & {*b}) / math.sqrt(len(a) * len(b)) for p, a in played for q, b in played
            )
        return total


@pytest.mark.slow
def test_numbers_of_the_page_follow_from_a_second_computation():
    published = published_rows("hivemind")[EXPERIMENT.reproduced]["result"]["checkpoints"]
    config = Condition.of(PLACES["priced"]).world_config(2101, 4096)
    facts = [WorldFacts.required(question, "a test") for question in build_world(config).questions("train")]
    present = np.array([[[kind in hop for kind in range(3)] for hop in one.present] for one in facts])
    policy = ByHand(present, config.budget)
    policy.imitate(200, seed=1101)
    assert policy.alike((0.6, 0.5, 0.4)) == pytest.approx(published["0"]["records"], abs=1e-5)
    policy.grpo(40, seed=1101)
    assert policy.alike((0.6, 0.5, 0.4)) == pytest.approx(published["40"]["records"], abs=1e-5)
