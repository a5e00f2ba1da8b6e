"""A tabular policy that also chooses a query format, once an episode, and is trained on sampled groups.

The format is a factor of its own: one softmax over formats, shared by all questions, beside the table of kinds. In a
World where all formats find the same, its expected gradient is 0, and what moves it is the sampling of groups. Several
runs are trained side by side; they share questions and start, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...envs.questions import Question
from ...envs.world.config import WorldConfig
from ...envs.world.facts import WorldFacts
from ...envs.world.failing_formats import fails
from .choices import choice_probabilities
from .kinds import Decisions, KindWorld, kind_probabilities, play
from .training import TableConfig

__all__ = ["FormatLogits", "FormatRun", "FormatWorld", "standardise", "train_formats"]

Array = NDArray[np.float64]

EPSILON = 1e-6
"""Added to the spread of a group, as objective grpo does."""


@dataclass(frozen=True, slots=True)
class FormatWorld:
    """The training questions of a World with several query formats.

    Attributes:
        world: the questions, with one table of kinds.
        found: bool [formats, questions, hops, kinds], whether a query in the format finds the fact.
        shares: float64 [formats], of the demonstrators; all above 0.
    """

    world: KindWorld
    found: NDArray[np.bool_]
    shares: Array

    @classmethod
    def of(cls, config: WorldConfig, questions: Sequence[Question]) -> FormatWorld:
        """Reads questions of a World without cue; formats of share 0 are left out."""
        world = KindWorld.of(questions)
        forms = [form for form, share in enumerate(config.query_formats) if share > 0]
        chances = [*config.format_failures, *[0.0] * len(config.query_formats)]
        found = np.stack([world.present] * len(forms))
        for row, form in zip(found, forms):
            for number, question in enumerate(questions if chances[form] else ()):
                ids = WorldFacts.required(question, "a choice of formats").passages
                row[number] &= [[not fails(key, form, chances[form]) for key in hop] for hop in ids]
        return cls(world, found, np.array([config.query_formats[form] for form in forms]))


@dataclass(frozen=True, slots=True)
class FormatRun:
    """How the policy is trained, beside its `TableConfig`.

    Attributes:
        beta: weight of the divergence from the start in the loss (k3, as in GRPO), on the choice of the format and on
            each choice of a kind.
        shuffled: deals the rewards of a group to its rollouts at random: updates as long that say nothing.
        runs: trained side by side.
    """

    beta: float = 0.0
    shuffled: bool = False
    runs: int = 1


@dataclass(frozen=True, slots=True)
class FormatLogits:
    """The policies of all runs: `formats` float64 [runs, formats]; `kinds` float64 [runs, hops, sets, left, kinds]."""

    formats: Array
    kinds: Array


def train_formats(
    world: FormatWorld, start: Array, table: TableConfig, run: FormatRun, *, seed: int
) -> dict[int, FormatLogits]:
    """RL step -> policies, at the checkpoints of `table`.

    Args:
        world: the training questions.
        start: float64 [1, hops, sets, left, kinds], logits of the kinds; formats start at their shares.
        table: the training run; of its epochs, one.
        run: what is trained.
        seed: of questions and rollouts.
    """
    first = FormatLogits(np.tile(np.log(world.shares), (run.runs, 1)), np.repeat(start, run.runs, axis=0))
    now, saved = first, {}
    for step in range(table.steps + 1):
        if step in table.checkpoints:
            saved[step] = now
        if step < table.steps:
            now = _updated(world, now, first, table, run, seed, step)
    return saved


def _updated(
    world: FormatWorld, now: FormatLogits, first: FormatLogits, table: TableConfig, run: FormatRun, seed: int, step: int
) -> FormatLogits:
    """The policies after one step: groups are played, and both factors follow the gradient of GRPO with its KL term."""
    questions = _questions(len(world.world.table), table.questions_per_step, seed, step)
    generator = np.random.default_rng((seed, 19, step))
    per_run = len(questions) * table.group_size
    shape = (run.runs, per_run)
    format_chances = choice_probabilities(now.formats)
    edges = format_chances.cumsum(-1)
    forms = (generator.random(shape)[..., None] * edges[:, None, -1:] >= edges[:, None]).sum(-1)
    forms = np.minimum(forms, len(world.shares) - 1)
    asked = np.tile(np.repeat(questions, table.group_size), run.runs)
    tables = np.repeat(np.arange(run.runs), per_run)
    played_world = replace(world.world, present=world.found[forms.ravel(), asked], table=tables, num_tables=run.runs)
    kind_chances = kind_probabilities(now.kinds)
    draws = generator.random((len(asked), world.world.budget))
    played = play(played_world, kind_chances, np.arange(len(asked)), draws)
    rewards = played.success.reshape(-1, table.group_size).astype(np.float64)
    if run.shuffled:
        rewards = generator.permuted(rewards, axis=1)
    advantages = standardise(rewards).reshape(shape)

    rate = table.learning_rate / per_run
    chosen = np.take_along_axis(format_chances, forms, 1)
    before = np.take_along_axis(choice_probabilities(first.formats), forms, 1)
    weights = advantages - run.beta * (1 - before / chosen)
    pushed = np.zeros_like(now.formats)
    for form in range(pushed.shape[1]):
        pushed[:, form] = (weights * (forms == form)).sum(1) - weights.sum(1) * format_chances[:, form]
    kinds = _kind_push(played, kind_chances, kind_probabilities(first.kinds), advantages.ravel(), run.beta)
    return FormatLogits(now.formats + rate * pushed, now.kinds + rate * kinds)


def _kind_push(played: Decisions, chances: Array, before: Array, advantages: Array, beta: float) -> Array:
    """Gradient with respect to the logits of the kinds, summed over decisions; shape of `chances`."""
    episode, turn = np.nonzero(played.live)
    states, kinds = played.states[episode, turn], played.kinds[episode, turn]
    num_kinds = chances.shape[-1]
    rows = chances.reshape(-1, num_kinds)
    weights = advantages[episode] - beta * (1 - before.reshape(-1, num_kinds)[states, kinds] / rows[states, kinds])
    chosen = np.bincount(states * num_kinds + kinds, weights, rows.size).reshape(rows.shape)
    out: Array = (chosen - chosen.sum(1, keepdims=True) * rows).reshape(chances.shape)
    return out


def standardise(rewards: Array) -> Array:
    """Advantages of GRPO, [groups, rollouts]: centred, over the spread (n - 1) of the group; 0 in a group of equals."""
    centred = rewards - rewards.mean(1, keepdims=True)
    spread = rewards.std(1, ddof=1, keepdims=True)
    out: Array = np.where(spread > 0, centred / (spread + EPSILON), 0.0)
    return out


def _questions(count: int, wanted: int, seed: int, step: int) -> NDArray[np.int64]:
    """The questions of a step: those that other arms of the seed are asked, see `train_table`."""
    wanted = min(count, wanted)
    epoch, offset = divmod(step, count // wanted)
    order = np.random.default_rng((seed, 3, epoch)).permutation(count)
    return order[offset * wanted : (offset + 1) * wanted]
