"""A tabular policy on the World: a softmax over kinds for each hop, trained by the same objectives in seconds.

It reads, copies and writes without fault, so what training does to it is what training does to the choice of kinds.
It chooses as a demonstrator does: kinds of a hop without repetition, the next hop at a hit, until the budget ends.
Success, breadth and entropy are exact; only training draws rollouts.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..envs.world import WorldConfig, build_world
from ..retrieval_index.errors import BerrypickError
from .objectives.groups import Groups
from .objectives.losses import StepTokens, TokenBatch
from .objectives.objective import Objective
from .objectives.registry import get_objective
from .rl_update import RlState
from .tabular_rollout import TabularTask, choice_log_probs, play, tabular_groups

__all__ = ["TabularCheckpoint", "TabularConfig", "TabularRun", "TabularTask", "measure", "train_tabular"]


@dataclass(frozen=True)
class TabularConfig:
    """One cell: an objective, a strength, a seed.

    Attributes:
        objective: a registered name, with options after a colon.
        preset: of the World.
        world: further arguments of `WorldConfig`, e.g. {"seed": 3, "num_train": 128}.
        tables: "question" has logits for each training question and hop and is measured on those questions; "shared"
            has logits for each hop alone, as a policy has that cannot know a question by its name, and is measured on
            the test questions.
        steps: updates.
        questions_per_step: groups an update; None takes all training questions.
        group_size: rollouts a question.
        learning_rate: of Adam on the logits.
        ks: the k of pass@k; the largest is also the group of breadth.
        checkpoints: steps at which the policy is measured; step 0 and the last always are.
    """

    objective: str = "grpo"
    preset: str = "priced"
    world: dict[str, Any] = field(default_factory=dict)
    tables: Literal["question", "shared"] = "shared"
    steps: int = 200
    questions_per_step: int | None = 16
    group_size: int = 8
    learning_rate: float = 0.02
    ks: tuple[int, ...] = (1, 2, 4, 8, 16)
    checkpoints: tuple[int, ...] = (10, 20, 40, 80, 120, 160)
    seed: int = 0


@dataclass(frozen=True)
class TabularCheckpoint:
    """Exact measures of the policy after `step` updates.

    Attributes:
        pass_at: k -> pass@k; a perfect executor's, so plan and actual are one.
        kind_entropy: H(kind tried first | question, hop), nats, mean over questions and hops.
        breadth: expected union coverage of a group of max(ks); questions with a hop that no kind holds are left out.
        queries: expected queries an episode.
    """

    step: int
    pass_at: dict[int, float]
    kind_entropy: float
    breadth: float
    queries: float


@dataclass(frozen=True)
class TabularRun:
    """A trained cell.

    Attributes:
        checkpoints: by step.
        rewards: mean training reward of each step.
        discovered: distinct right evidence paths of training questions met so far, after each step.
        logits: final, [rows, hops, kinds]; rows is 1 for shared tables.
    """

    config: TabularConfig
    checkpoints: tuple[TabularCheckpoint, ...]
    rewards: tuple[float, ...]
    discovered: tuple[int, ...]
    logits: NDArray[np.float64]

    @property
    def last(self) -> TabularCheckpoint:
        """After training."""
        return self.checkpoints[-1]


def train_tabular(config: TabularConfig) -> TabularRun:
    """Trains one cell from the uniform policy; a function of its configuration."""
    if config.tables not in ("question", "shared"):
        raise BerrypickError(f'tables must be "question" or "shared", got {config.tables!r}')
    world = build_world(WorldConfig.from_preset(config.preset, **config.world))
    train = TabularTask.of(world.questions("train"))
    test = train if config.tables == "question" else TabularTask.of(world.questions("test"))
    rows = train.num_questions if config.tables == "question" else 1
    logits = torch.zeros((rows, train.hops, train.kinds), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=config.learning_rate)
    state, reference = RlState(), logits.detach().clone()
    objective = get_objective(config.objective)
    wanted = {0, config.steps, *config.checkpoints}
    checkpoints = [measure(logits.detach().numpy(), test, config.ks, 0)]
    rewards: list[float] = []
    discovered: list[int] = []
    paths: set[tuple[str, Hashable]] = set()
    for step in range(config.steps):
        groups = _step(config, objective, train, logits, reference, optimizer, state, step)
        rewards.append(float(groups.rewards.mean()))
        paths |= _right_paths(groups)
        discovered.append(len(paths))
        if step + 1 in wanted:
            checkpoints.append(measure(logits.detach().numpy(), test, config.ks, step + 1))
    return TabularRun(config, tuple(checkpoints), tuple(rewards), tuple(discovered), logits.detach().numpy().copy())


def _step(
    config: TabularConfig,
    objective: Objective,
    task: TabularTask,
    logits: Tensor,
    reference: Tensor,
    optimizer: torch.optim.Optimizer,
    state: RlState,
    step: int,
) -> Groups:
    """One update; returns its rollouts."""
    count = min(config.questions_per_step or task.num_questions, task.num_questions)
    generator = np.random.default_rng((config.seed, step))
    chosen = np.sort(generator.permutation(task.num_questions)[:count])
    table_rows = chosen if len(logits) > 1 else np.zeros(count, np.int64)
    episodes = play(task, chosen, logits.detach().numpy()[table_rows], config.group_size, generator)
    groups = tabular_groups(task, chosen, episodes, seed=config.seed * 1_000_003 + step)
    base, bonus = objective.advantages(groups, state.counts)
    if objective.bonus is not None:
        state.counts.add(groups, objective.bonus.key)
    log_probs, entropies = choice_log_probs(logits, table_rows, episodes)
    with torch.no_grad():
        held, _ = choice_log_probs(reference, table_rows, episodes)
    # A choice of kind is a token; none of them writes the answer.
    advantages = (base + bonus)[episodes.question, episodes.rollout]
    tokens = StepTokens(log_probs.detach(), advantages, groups.seed)
    batch = TokenBatch(tokens, torch.arange(len(log_probs)), log_probs, entropies, held, None, dict(state.coefficients))
    loss, _ = objective.token_loss(batch)
    optimizer.zero_grad()
    loss.mean().backward()
    optimizer.step()
    for term in objective.terms:
        state.coefficients = term.next_coefficients(state.coefficients, float(entropies.detach().mean()))
    return groups


def _right_paths(groups: Groups) -> set[tuple[str, Hashable]]:
    return {
        (question, outcome)
        for question, outcomes, rewards in zip(groups.question_ids, groups.outcomes["evidence"], groups.rewards)
        for outcome, reward in zip(outcomes, rewards.tolist())
        if reward
    }


def measure(logits: NDArray[np.float64], task: TabularTask, ks: Sequence[int], step: int) -> TabularCheckpoint:
    """Exact measures by enumerating the orders of kinds: [rows, hops, kinds] logits on a task's questions.

    With order distribution D_h at hop h, the first hit comes at try j with chance
    sum_order D_h(order) 1[first hit at j]; the numbers of queries convolve over hops within the budget.
    """
    num, hops, kinds = task.num_questions, task.hops, task.kinds
    tables = np.broadcast_to(logits, (num, hops, kinds))
    orders = np.array(list(itertools.permutations(range(kinds))))
    chance = _order_chances(tables, orders)
    reach = np.zeros((num, task.budget + 1))
    reach[:, 0] = 1.0
    found = np.zeros((num, hops, kinds))
    queries = np.zeros(num)
    for hop in range(hops):
        present = task.present[:, hop][:, orders]  # [num, orders, try]
        first = present & (np.cumsum(present, axis=-1) == 1)
        after = np.zeros_like(reach)
        for spent in range(task.budget):
            left = min(kinds, task.budget - spent)
            weight = reach[:, spent, None] * chance[:, hop]
            for at in range(left):
                hit = weight * first[:, :, at]
                after[:, spent + at + 1] += hit.sum(1)
                for kind in range(kinds):
                    found[:, hop, kind] += hit[:, orders[:, at] == kind].sum(1)
            tries = np.where(first.any(-1), first.argmax(-1) + 1, kinds)
            queries += (weight * np.minimum(tries, left)).sum(1)
        reach = after
    success = reach.sum(1)
    whole = task.present.any(-1).all(-1)
    union = (1 - (1 - found) ** max(ks)).sum((1, 2))[whole] / task.present.sum((1, 2))[whole]
    first_kind = np.exp(tables - np.logaddexp.reduce(tables, axis=-1, keepdims=True))
    entropy = -(first_kind * np.log(np.maximum(first_kind, 1e-300))).sum(-1)
    return TabularCheckpoint(
        step,
        {k: float((1 - (1 - success) ** k).mean()) for k in ks},
        float(entropy.mean()),
        float(union.mean()) if whole.any() else float("nan"),
        float(queries.mean()),
    )


def _order_chances(tables: NDArray[np.float64], orders: NDArray[np.int64]) -> NDArray[np.float64]:
    """Chance of each order when kinds are drawn without repetition: [num, hops, orders] (Plackett-Luce)."""
    ordered = tables[:, :, orders]
    rest = np.flip(np.logaddexp.accumulate(np.flip(ordered, -1), axis=-1), -1)
    chances: NDArray[np.float64] = np.exp((ordered - rest).sum(-1))
    return chances
