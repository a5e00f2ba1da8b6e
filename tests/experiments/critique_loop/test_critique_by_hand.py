"""Numbers of docs/critique_loop.md by a second computation, which shares the World, the draws and nothing else."""

from __future__ import annotations

import json
import lzma
import math
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.experiments.critique_loop import EXPERIMENT

CELLS = Path(__file__).resolve().parents[3] / "results" / "critique_loop" / "grid_cells.jsonl.xz"
AVAILABILITY, SHARES, KINDS, BUDGET, SLIP = (0.6, 0.4, 0.2), (0.7, 0.2, 0.1), range(3), 2, 0.15


class Table:
    """Choices counted once each and then as often as they were made; named kinds lose weight."""

    def __init__(self):
        self.counts, self.aversion = Counter(), 0.0

    def weights(self, state, tried, named):
        return {
            kind: (1 + self.counts[state, kind]) * math.exp(-self.aversion * (kind in named))
            for kind in KINDS
            if kind not in tried
        }


def drawn(weights, draw):
    """The kind of a number in [0, 1)."""
    draw *= sum(weights.values())
    for kind, weight in weights.items():
        if draw < weight:
            return kind
        draw -= weight
    return max(weights)


def play(present, weights_at, slip, draws, named=((), ())):
    """(right, choices with their states, void kinds searched at each hop) of an episode."""
    hop, tried, choices, void = 0, (), [], [set(), set()]
    for turn in range(BUDGET):
        state = (hop, frozenset(tried), BUDGET - turn)
        kind = drawn(weights_at(state, tried, named[hop]), draws[turn][0])
        choices.append((state, kind, named[hop]))
        if kind not in present[hop]:
            void[hop].add(kind)
        if draws[turn][1] < slip * AVAILABILITY[kind]:
            return False, choices, void
        if draws[turn][1] < slip or kind not in present[hop]:
            tried = (*tried, kind)
        else:
            hop, tried = hop + 1, ()
            if hop == 2:
                return True, choices, void
    return False, choices, void


def learn_aversion(table, retries):
    """By bisection of the slope of the likelihood."""
    low, high = -20.0, 20.0
    for _ in range(60):
        table.aversion = (low + high) / 2
        slope = 0.0
        for _, choices, _ in retries:
            for state, kind, named in choices:
                weights = table.weights(state, state[1], named)
                slope += sum(weights.get(one, 0.0) for one in named) / sum(weights.values()) - (kind in named)
        low, high = (table.aversion, high) if slope > 0 else (low, table.aversion)


def chance_of_success(table, present):
    """Of one attempt, by following every choice and reading."""

    def follow(hop, tried, left):
        if hop == 2:
            return 1.0
        if not left or len(tried) == 3:
            return 0.0
        weights = table.weights((hop, frozenset(tried), left), tried, ())
        total = 0.0
        for kind, weight in weights.items():
            hit = (1 - SLIP) if kind in present[hop] else 0.0
            missed = 1 - SLIP * AVAILABILITY[kind] - hit
            total += weight * (hit * follow(hop + 1, (), left - 1) + missed * follow(hop, (*tried, kind), left - 1))
        return total / sum(weights.values())

    return follow(0, (), BUDGET)


def draws_of(seed, what, size):
    return np.random.default_rng((seed, what, 0)).random((size, BUDGET, 2)).tolist()


@pytest.fixture(scope="module")
def first_round():
    """(start, table after a round of critique, questions, accepted episodes of each) in the World 1700."""
    config = WorldConfig(
        preset="tight_clauses", availability=AVAILABILITY, hops=2, budget=BUDGET, clauses=4, num_train=4096,
        num_validation=0, num_test=0, seed=1700,
    )  # fmt: skip
    questions = [WorldFacts.of(question).present for question in build_world(config).questions("train")]
    seed, shown = 700, questions[:1024]

    def demonstrates(state, tried, named):
        heeds = set(named) if len(set(named) | set(tried)) < 3 else ()
        return {kind: SHARES[kind] * (1e-22 if kind in heeds else 1) for kind in KINDS if kind not in tried}

    start = Table()
    demos = [play(one, demonstrates, 0, draw) for one, draw in zip(shown, draws_of(seed, 44, 1024))]
    for _, choices, _ in demos:
        start.counts.update((state, kind) for state, kind, _ in choices)
    failed = [at for at, demo in enumerate(demos) if not demo[0]]
    obeys = np.random.default_rng((seed, 46)).random(len(failed)) < 0.9
    retries = []
    for at, obeyed, draw in zip(failed, obeys, draws_of(seed, 45, len(failed))):
        void = demos[at][2]
        right, choices, _ = play(shown[at], demonstrates, 0, draw, void if obeyed else ((), ()))
        retries.append((right, [(state, kind, void[state[0]]) for state, kind, _ in choices], None))
    learn_aversion(start, retries)

    first = [
        play(questions[at // 5], start.weights, SLIP, draw) for at, draw in enumerate(draws_of(seed, 41, 5 * 4096))
    ]
    solved = {at // 5 for at, one in enumerate(first) if one[0]}
    waiting = [at for at in range(len(first)) if at // 5 not in solved]
    accepted = [(at // 5, one) for at, one in enumerate(first) if one[0]]
    repaired = {}
    for at, draw in zip(waiting, draws_of(seed, 42, len(waiting))):
        again = play(questions[at // 5], start.weights, SLIP / 2, draw, first[at][2])
        if again[0]:
            repaired.setdefault(at // 5, again)
    accepted += repaired.items()
    after = Table()
    after.counts = Counter(start.counts)
    for _, (_, choices, _) in accepted:
        after.counts.update((state, kind) for state, kind, _ in choices)
    return start, after, questions, Counter(at for at, _ in accepted)


def subsets():
    return [frozenset(kind for kind, there in zip(KINDS, bits) if there) for bits in product((0, 1), repeat=3)]


def hard_part(start):
    """Question -> (weight in the population, how far it is among the hardest quarter of the solvable ones)."""
    chance = {one: math.prod(a if kind in one else 1 - a for kind, a in enumerate(AVAILABILITY)) for one in subsets()}
    weight = {pair: chance[pair[0]] * chance[pair[1]] for pair in product(subsets(), repeat=2)}
    solvable = sorted((pair for pair in weight if all(pair)), key=lambda pair: chance_of_success(start, pair))
    rest, part = sum(weight[pair] for pair in solvable) / 4, dict.fromkeys(weight, 0.0)
    for pair in solvable:
        part[pair] = min(1.0, rest / weight[pair])
        rest -= part[pair] * weight[pair]
    return weight, part


def test_the_first_round_of_critique_counted_again(first_round):
    if not CELLS.is_file():
        pytest.skip("no committed results")
    rows = (json.loads(line) for line in lzma.decompress(CELLS.read_bytes()).splitlines())
    found = next(row["result"]["checkpoints"] for row in rows if row["key"] == EXPERIMENT.reproduced)
    start, after, questions, accepted = first_round
    weight, part = hard_part(start)
    share = sum(count * part[questions[at]] for at, count in accepted.items()) / sum(accepted.values())
    assert found["1"]["hard_share"] == pytest.approx(share, abs=2e-6)
    hard = sum(weight[pair] * part[pair] for pair in weight)
    for step, table in (("0", start), ("1", after)):
        of_hard = sum(weight[pair] * part[pair] * chance_of_success(table, pair) for pair in weight) / hard
        every = sum(weight[pair] * chance_of_success(table, pair) for pair in weight)
        assert found[step]["pass@1_hard"] == pytest.approx(of_hard, abs=2e-6)
        assert found[step]["pass@1"] == pytest.approx(every, abs=2e-6)
    assert found["0"]["aversion"] == pytest.approx(start.aversion, abs=2e-6)
