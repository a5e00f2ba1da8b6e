"""Numbers of docs/multiagent_finetuning.md by a second computation: the same World and draws, and nothing else."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.world import build_world
from berrypick.experiments.grid.condition import Condition
from berrypick.experiments.multiagent_finetuning import EXPERIMENT, TUNES

CELLS = Path(__file__).resolve().parents[3] / "results" / "multiagent_finetuning" / "grid_cells.jsonl.xz"
SEED, BUDGET, SIZE, STEPS, RATE, ROUNDS = 800, 3, 512, 12, 3.0, 5


def softmax(logits, tried=0):
    weights = [0.0 if tried >> at & 1 else float(np.exp(value)) for at, value in enumerate(logits)]
    return [weight / sum(weights) for weight in weights]


def draw(chances, number):
    edges = np.cumsum(chances)
    return int(np.searchsorted(edges, number * edges[-1], side="right"))


class Model:
    """A policy as a dictionary: ("search", hop, tried, left), ("read", kind) or ("decide", situation) -> logits."""

    def __init__(self, search, reading, decide):
        self.rows = {("read", kind): row for kind, row in enumerate(reading)}
        for hop, tried, left in product(range(2), range(7), range(1, BUDGET + 1)):
            self.rows["search", hop, tried, left] = search[0, hop, tried, left]
        for at, row in enumerate(decide):
            self.rows["decide", at] = row

    def chances(self, state):
        if state[0] == "decide":  # nobody copies where there is nothing to copy
            return softmax(self.rows[state], 0 if state[1] % 3 else 0b010)
        return softmax(self.rows[state], state[2] if state[0] == "search" else 0)

    def play(self, present, numbers):
        """(answer, choices): 0 for no answer, 1 for the right one."""
        hop, tried, choices = 0, 0, []
        for turn in range(BUDGET):
            if tried == 7:
                break
            state = ("search", hop, tried, BUDGET - turn)
            kind = draw(self.chances(state), numbers[turn])
            choices.append((state, kind))
            if not present[hop][kind]:
                tried |= 1 << kind
                continue
            if hop == 1:
                clause = draw(self.chances(("read", kind)), numbers[BUDGET])
                return 1 + clause, [*choices, (("read", kind), clause)]
            hop, tried = 1, 0
        return 0, choices

    def fitted(self, data, size=None):
        """After `STEPS` steps up the mean log-likelihood of the data, a list of lists of choices."""
        after = Model.__new__(Model)
        after.rows = dict(self.rows)
        counts = Counter(choice for episode in data for choice in episode)
        visits = Counter(state for episode in data for state, _ in episode)
        size = len(data) if size is None else size
        for _ in range(STEPS if size else 0):
            push = {}
            for state, count in visits.items():
                wanted = np.array([counts[state, at] for at in range(len(after.rows[state]))])
                push[state] = (wanted - count * np.array(after.chances(state))) / size
            for state, value in push.items():
                after.rows[state] = after.rows[state] + RATE * value
        return after

    def sequences(self, present, hop=0, tried=0, left=BUDGET, chance=1.0, done=()):
        """(queries, kind read or None) -> chance."""
        if hop == 2 or not left or tried == 7:
            return {(done, done[-1] if hop == 2 else None): chance}
        out = {}
        for kind, p in enumerate(self.chances(("search", hop, tried, left))):
            if p:
                after = (hop + 1, 0) if present[hop][kind] else (hop, tried | 1 << kind)
                out |= self.sequences(present, *after, left - 1, chance * p, (*done, kind))
        return out

    def answers(self, present):
        out = np.zeros(5)
        for (_, kind), chance in self.sequences(present).items():
            if kind is None:
                out[0] += chance
            else:
                out[1:] += chance * np.array(self.chances(("read", kind)))
        return out


def winners(votes):
    counts = Counter(vote for vote in votes if vote)
    best = [answer for answer in range(1, 5) if counts[answer] == max(counts.values(), default=0)] if counts else [0]
    return [(answer in best) / len(best) for answer in range(5)]


def situation(said, agent):
    """Its code and the answers that could be copied."""
    own, others = said[agent], Counter(answer for at, answer in enumerate(said) if at != agent and answer)
    support = others.pop(own, 0) if own else 0
    top = max(others.values(), default=0)
    return ((own > 0) * 3 + support) * 3 + top, [float(others[answer] == top > 0) for answer in range(5)]


def start():
    """Generators and critics, who begin alike."""
    reading = np.log([(0.6, 0.2, 0.1, 0.1)] * 3)
    decide = np.zeros((18, 3))
    for code in range(18):
        own, support, rival = code // 9, code // 3 % 3, code % 3
        ours = own * (1 + support)
        if rival:
            decide[code] = np.log(
                (0.8, 0.1, 0.1) if ours > rival else (0.5, 0.2, 0.3) if ours == rival else (0.2, 0.5, 0.3)
            )
        else:
            decide[code] = np.log((0.8, 0.1, 0.1) if own else (0.1, 0.1, 0.8))
    out = []
    for agent in range(3):
        random = np.random.default_rng((SEED, 41, agent))
        parts = [0.7 * random.standard_normal(shape) for shape in ((1, 2, 8, 4, 3), (3, 4), (18, 3))]
        out.append(Model(parts[0], reading + parts[1], decide + parts[2]))
    return out, list(out)


def one_round(generators, critics, present, number):
    seed = (SEED, 47, number)
    randoms = [np.random.default_rng((*seed, 0, agent)) for agent in range(3)]
    first = []
    for model, random in zip(generators, randoms):
        numbers = random.random((len(present), BUDGET + 1))
        first.append([model.play(*pair) for pair in zip(present, numbers)])
    last, learnt = [], []
    for agent, (model, random) in enumerate(zip(critics, randoms)):
        size = len(present)
        acts, picks, again = random.random(size), random.random(size), random.random((size, BUDGET + 1))
        answers, choices = [], []
        for at, one in enumerate(present):
            code, offered = situation([first[other][at][0] for other in range(3)], agent)
            act, own = draw(model.chances(("decide", code)), acts[at]), first[agent][at][0]
            made, answer = [(("decide", code), act)], own
            if act == 1:
                answer = draw(offered, picks[at])
            elif act == 2:
                found, played = model.play(one, again[at])
                answer, made = found or own, made + played
            answers.append(answer)
            choices.append(made)
        last.append(answers)
        learnt.append(choices)
    random = np.random.default_rng((*seed, 1))
    labels = [draw(winners([row[at] for row in last]), n) for at, n in enumerate(random.random(len(present)))]
    random = np.random.default_rng((*seed, 2))
    new = []
    for agent in range(3):
        agrees = [bool(label) and first[agent][at][0] == label for at, label in enumerate(labels)]
        agrees_last = [bool(label) and last[agent][at] == label for at, label in enumerate(labels)]
        repaired = [at for at in range(len(labels)) if agrees_last[at] and not agrees[at]]
        kept = [at for at in range(len(labels)) if agrees_last[at] and agrees[at]]
        wanted = int(random.binomial(len(repaired), 0.5))
        items = [learnt[agent][at] for at in [*repaired, *random.permutation(kept)[:wanted]]]
        generator = generators[agent].fitted([first[agent][at][1] for at in range(len(labels)) if agrees[at]])
        # episodes of critics count among those that looked, decisions among all that are learnt
        looks = [[choice for choice in made if choice[0][0] != "decide"] for made in items if made[0][1] == 2]
        critic = critics[agent].fitted(looks)
        critic.rows |= {
            state: row
            for state, row in critics[agent].fitted([made[:1] for made in items]).rows.items()
            if state[0] == "decide"
        }
        new.append((generator, critic))
    right = [label == 1 for label in labels if label]
    return [one for one, _ in new], [one for _, one in new], float(np.mean(right))


@pytest.mark.slow
def test_numbers_of_the_page_follow_from_a_second_computation():
    if not CELLS.is_file():
        pytest.skip("no committed results")
    rows = {row["key"]: row for row in map(json.loads, lzma.decompress(CELLS.read_bytes()).splitlines())}
    published = rows[EXPERIMENT.reproduced]["result"]["checkpoints"][str(ROUNDS)]
    config = Condition.of(TUNES).world_config(1000 + SEED, 4096)
    facts = [WorldFacts.required(question, "a test") for question in build_world(config).questions("train")]
    present = [[[kind in hop for kind in range(3)] for hop in one.present] for one in facts]
    order = np.random.default_rng((SEED, 43)).permutation(len(present))
    generators, critics = start()
    for number in range(ROUNDS):
        asked = [present[at] for at in order[number * SIZE : (number + 1) * SIZE]]
        generators, critics, accuracy = one_round(generators, critics, asked, number)
        assert accuracy == pytest.approx(published[f"labels_accuracy@round{number + 1}"], abs=2e-6)
    found = dict.fromkeys(("pass@1", "pass@8", "vote_first", "difference"), 0.0)
    for pattern in product((False, True), repeat=6):
        weight = np.prod([a if there else 1 - a for a, there in zip((0.6, 0.5, 0.4) * 2, pattern)])
        there = (pattern[:3], pattern[3:])
        answers, played = ([getattr(one, what)(there) for one in generators] for what in ("answers", "sequences"))
        found["pass@1"] += weight * np.mean([one[1] for one in answers])
        found["pass@8"] += weight * np.mean([1 - (1 - one[1]) ** 8 for one in answers])
        for votes in product(range(5), repeat=3):
            chance = np.prod([one[vote] for one, vote in zip(answers, votes)])
            found["vote_first"] += weight * chance * winners(votes)[1]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            keys = {*played[one], *played[other]}
            gaps = sum(abs(played[one].get(key, 0) - played[other].get(key, 0)) for key in keys)
            found["difference"] += weight * gaps / 6
    assert found == pytest.approx({name: published[name] for name in found}, abs=1e-5)
