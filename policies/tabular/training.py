"""Trains the tabular policy: imitation of a demonstrator, then RL with any loss over its decisions.

One decision is one token. The losses of all decisions are summed, divided by the number of episodes and minimised by
plain gradient descent on the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .kinds import Decisions, KindWorld, kind_probabilities, open_choices, play
from .table_config import TableConfig

__all__ = ["Batch", "Loss", "TableConfig", "demonstration_order", "imitate", "log_probs_of", "train_table"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Batch:
    """The episodes of one step, with all that losses need.

    Attributes:
        world: the questions.
        questions: int [Q], indices of the step's questions.
        decisions: Q x G episodes, ordered by question.
        rewards: float64 [Q, G].
        log_probs: [decisions], of the kinds chosen, with gradient.
        old_log_probs: [decisions], under the logits that played; the reference of DPO.
        all_log_probs: [decisions, kinds], -inf for kinds already tried.
        episode: int64 [decisions], index of each decision's episode.
        seed: of the step.
        updates: on these episodes.
    """

    world: KindWorld
    questions: NDArray[np.int64]
    decisions: Decisions
    rewards: Tensor
    log_probs: Tensor
    old_log_probs: Tensor
    all_log_probs: Tensor
    episode: Tensor
    seed: int
    updates: int = 1


Loss = Callable[[Batch], Tensor]
"""Maps a batch to the loss of each decision, [decisions], or of other parts; training minimises their sum."""


def demonstration_order(start: str, num_kinds: int, seed: int) -> tuple[int, ...] | None:
    """The order of kinds that a narrow demonstrator always tries; None for a diverse one, whose order is random.

    The narrow order depends on the seed: num_kinds! consecutive seeds demonstrate every order once, so that a mean over
    seeds favours no order.
    """
    if start == "diverse":
        return None
    orders = list(permutations(range(num_kinds)))
    return orders[seed % len(orders)]


def imitate(
    logits: Tensor,
    world: KindWorld,
    order: tuple[int, ...] | None,
    config: TableConfig,
    *,
    first_step: int,
    num_steps: int,
    seed: int,
    shares: Sequence[float] = (),
) -> None:
    """SFT in place: maximum likelihood of scripted demonstrations, in `num_steps` steps from `first_step`.

    The demonstrator draws untried kinds in proportion to `shares`, or follows `order`, or draws them all alike.
    """
    shape = world.table_shape
    demonstrator = np.zeros(shape)
    if shares:
        demonstrator[...] = np.log(shares)
    elif order is not None:
        # gaps so large that the softmax puts all mass on the first untried kind of the order
        demonstrator[..., list(order)] = -1e3 * np.arange(len(order))
    chances = kind_probabilities(demonstrator)
    for step in range(first_step, first_step + num_steps):
        generator = np.random.default_rng((seed, 11, step))
        questions = generator.integers(0, len(world.table), config.questions_per_step)
        played = _play_groups(world, chances, questions, config.group_size, generator)
        _, chosen, _ = log_probs_of(logits, world, played)
        _descend(logits, -chosen.sum() / len(played.success), config.sft_learning_rate)


def train_table(
    logits: Tensor,
    world: KindWorld,
    loss: Loss,
    config: TableConfig,
    *,
    seed: int,
    rewards: Callable[[Batch], Tensor] | None = None,
    sets: bool = False,
    renew: int = 1,
) -> dict[int, Array]:
    """Trains logits in place by RL.

    Args:
        logits: float64, `world.table_shape`, requires grad.
        world: the training questions.
        loss: to minimise.
        config: of the run.
        seed: of questions and rollouts; runs with equal seeds have the same questions and the same random numbers.
        rewards: returns rewards [Q, G] to use instead of success.
        sets: whether rollouts are sets of answers, see `play`.
        renew: steps for which the same policy plays: it is renewed, to the trained one, every so many steps.

    Returns:
        Logits at each checkpoint.
    """
    saved = {}
    player: Tensor | None = None
    for step in range(config.steps + 1):
        if step in config.checkpoints:
            saved[step] = logits.detach().numpy().copy()
        if step == config.steps:
            break
        if renew > 1 and step % renew == 0:
            player = logits.detach().clone()
        batch = _batch(logits, world, config, seed, step, sets, player)
        if rewards is not None:
            batch = replace(batch, rewards=rewards(batch))
        for epoch in range(config.epochs):
            if epoch:
                all_log_probs, chosen, _ = log_probs_of(logits, world, batch.decisions)
                batch = replace(batch, log_probs=chosen, all_log_probs=all_log_probs)
            _descend(logits, loss(batch).sum() / batch.rewards.numel(), config.learning_rate)
    return saved


def _batch(
    logits: Tensor, world: KindWorld, config: TableConfig, seed: int, step: int, sets: bool, player: Tensor | None
) -> Batch:
    """The rollouts of a step; without a player of its own the policy in training plays."""
    count = min(config.questions_per_step, len(world.table))
    epoch, offset = divmod(step, len(world.table) // count)
    order = np.random.default_rng((seed, 3, epoch)).permutation(len(world.table))
    questions = order[offset * count : (offset + 1) * count]
    generator = np.random.default_rng((seed, 5, step))
    playing = logits.detach() if player is None else player
    played = _play_own(playing.numpy(), world, questions, config.group_size, generator, sets)
    all_log_probs, chosen, episode = log_probs_of(logits, world, played)
    rewards = torch.from_numpy(played.success.reshape(count, -1).astype(np.float64))
    step_seed = seed * 100_003 + step
    old = chosen.detach() if player is None else log_probs_of(player, world, played)[1]
    return Batch(world, questions, played, rewards, chosen, old, all_log_probs, episode, step_seed, config.epochs)


def _play_own(
    logits: Array,
    world: KindWorld,
    questions: NDArray[np.int64],
    group_size: int,
    generator: np.random.Generator,
    sets: bool,
) -> Decisions:
    """Plays groups of the questions, whose tables alone are turned into probabilities: there may be thousands."""
    used, place = np.unique(world.table[questions], return_inverse=True)
    table = np.zeros_like(world.table)
    table[questions] = place.reshape(-1)
    few = replace(world, table=table, num_tables=len(used))
    chances = kind_probabilities(logits[used], repeats=world.candidates > 0)
    played = _play_groups(few, chances, questions, group_size, generator, sets=sets)
    at = np.unravel_index(played.states, few.table_shape[:-1])
    states = np.ravel_multi_index((used[at[0]], *at[1:]), world.table_shape[:-1])
    return replace(played, states=np.where(played.live, states, 0))


def _play_groups(
    world: KindWorld,
    chances: Array,
    questions: NDArray[np.int64],
    group_size: int,
    generator: np.random.Generator,
    *,
    sets: bool = False,
) -> Decisions:
    asked = np.repeat(questions, group_size)
    return play(world, chances, asked, generator.random((len(asked), world.budget)), sets=sets)


def log_probs_of(logits: Tensor, world: KindWorld, played: Decisions) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities at each decision, under some logits.

    Returns:
        Of all kinds [decisions, kinds], of the kinds chosen [decisions], and the decisions' episodes int64 [decisions].
    """
    num_kinds = len(world.kinds)
    episode, turn = np.nonzero(played.live)
    states = torch.from_numpy(played.states[episode, turn])
    kinds = torch.from_numpy(played.kinds[episode, turn])
    _, hops, sets, _ = np.unravel_index(states.numpy(), world.table_shape[:-1])
    choices = open_choices(world.table_shape[1], num_kinds, repeats=world.candidates > 0)
    open_kinds = torch.from_numpy(choices[hops, sets])
    rows = logits.reshape(-1, num_kinds)[states].masked_fill(~open_kinds, -torch.inf)
    all_log_probs = torch.log_softmax(rows, -1)
    return all_log_probs, all_log_probs.gather(-1, kinds[:, None]).squeeze(-1), torch.from_numpy(episode)


def _descend(logits: Tensor, loss: Tensor, learning_rate: float) -> None:
    (gradient,) = torch.autograd.grad(loss, logits)
    with torch.no_grad():
        logits -= learning_rate * gradient
