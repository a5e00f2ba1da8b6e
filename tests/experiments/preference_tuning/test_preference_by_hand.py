"""Numbers of docs/preference_tuning.md by a second computation, which shares the World, the draws and nothing else."""

from __future__ import annotations

import json
import lzma
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.world import build_world
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.preference_tuning import EXPERIMENT, SKEWED

CELLS = Path(__file__).resolve().parents[3] / "results" / "preference_tuning" / "grid_cells.jsonl.xz"


class ByHand:
    """DPO in rounds, in plain Python: softmax gradients by their formula, a dictionary of states."""

    def __init__(self, present, budget, shares):
        self.present, self.budget = present, budget
        self.first, self.logits = np.log(shares), {}

    def chances(self, state, logits):
        weights = [
            0.0 if state[1] >> kind & 1 else float(np.exp(value))
            for kind, value in enumerate(logits.get(state, self.first))
        ]
        return [weight / sum(weights) for weight in weights]

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

    def gain(self, choices, reference):
        """log pi - log pi_ref of an episode."""
        now, then = (
            sum(np.log(self.chances(state, logits)[kind]) for state, kind in choices)
            for logits in (self.logits, reference)
        )
        return now - then

    def step(self, played, number, reference, beta, rate, seed):
        pairs = []
        for at, group in enumerate(played):
            mixed = [(a, b) for a in range(8) for b in range(8) if group[a][0] and not group[b][0]]
            if mixed:
                order = np.random.default_rng((seed * 100_003 + number, at)).permutation(len(mixed))
                better, worse = mixed[order[0]]
                pairs.append((group[better][1], group[worse][1]))
        push = {}
        for better, worse in pairs:
            margin = beta * (self.gain(better, reference) - self.gain(worse, reference))
            for sign, choices in ((1, better), (-1, worse)):
                for state, kind in choices:
                    push.setdefault(state, np.zeros(3))
                    slope = np.eye(3)[kind] - self.chances(state, self.logits)
                    push[state] += sign * slope / (1 + np.exp(margin)) / len(pairs)
        for state, value in push.items():
            self.logits[state] = self.logits.get(state, self.first) + rate * value

    def train(self, steps, seed, beta, rate, renew):
        order = np.random.default_rng((seed, 3, 0)).permutation(len(self.present))
        for number in range(steps):
            if number % renew == 0:
                reference = dict(self.logits)
            draws = np.random.default_rng((seed, 5, number)).random((128, self.budget))
            asked = order[number * 16 : number * 16 + 16]
            played = [
                [self.episode(question, draws[at * 8 + one], reference) for one in range(8)]
                for at, question in enumerate(asked)
            ]
            self.step(played, number, reference, beta, rate, seed)

    def paths(self, present, hop=0, tried=0, left=3, chance=1.0, path=()):
        """Path -> chance of an episode that finds the answer on it."""
        if hop == 2:
            return {path: chance}
        out = {}
        if left and tried != 7:
            for kind, p in enumerate(self.chances((hop, tried, left), self.logits)):
                if p:
                    after = (hop + 1, 0) if present[hop][kind] else (hop, tried | 1 << kind)
                    further = (*path, kind) if present[hop][kind] else path
                    for found, value in self.paths(present, *after, left - 1, chance * p, further).items():
                        out[found] = out.get(found, 0.0) + value
        return out


@pytest.mark.slow
def test_numbers_of_the_page_follow_from_a_second_computation():
    if not CELLS.is_file():
        pytest.skip("no committed results")
    rows = {row["key"]: row for row in map(json.loads, lzma.decompress(CELLS.read_bytes()).splitlines())}
    published = rows[EXPERIMENT.reproduced]["result"]["checkpoints"]["200"]
    config = Condition.of(SKEWED).world_config(1500, 4096)
    facts = [WorldFacts.required(question, "a test") for question in build_world(config).questions("train")]
    present = np.array([[[kind in hop for kind in range(3)] for hop in one.present] for one in facts])
    policy = ByHand(present, config.budget, (0.1, 0.3, 0.6))
    policy.train(200, seed=500, beta=0.1, rate=1.0, renew=20)
    availability, found = (0.8, 0.4, 0.2), dict.fromkeys(("valid", "effective", "pairwise"), 0.0)
    for pattern in product((False, True), repeat=6):
        weight = np.prod([a if there else 1 - a for a, there in zip(availability * 2, pattern)])
        masses = list(policy.paths((pattern[:3], pattern[3:])).values())
        found["valid"] += weight * sum(masses)
        found["effective"] += weight * sum(1 - (1 - mass) ** 8 for mass in masses) / 8
        found["pairwise"] += weight * (sum(masses) ** 2 - sum(mass**2 for mass in masses))
    assert found == pytest.approx({name: published[name] for name in found}, abs=1e-5)
