"""The arms of the diversity tax as losses of the table of kinds, each with its strengths and its control.

Advantages come from `policies/objectives`, what is not there yet from the same formulas here. Outcomes of bonuses are
kind signatures (`evidence`): on World all right answers of a question are equal, so answers cannot tell paths apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..policies.objectives.estimates import DrGrpo, Estimate, Grpo
from ..policies.objectives.losses import clipped_policy_loss
from ..policies.objectives.shapes import Darling, Plain, Shape
from .diversity_tax_advantages import Lexical, MaxAtK, OutcomeBonus, PassAtK
from .kind_table_training import Batch, Loss, TableConfig, groups_of_table

__all__ = ["ARMS", "Arm"]

CLIP = (0.2, 0.2)
KL_COV_FRACTION = 0.04
"""2e-3 of a language model's tokens, of which about one in twenty decides between kinds."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training.

    Attributes:
        summary: one line.
        strengths: what it is swept over, weakest diversity first; (0,) where it has none.
        strength_name: what the strength is.
        control: the arm it is compared with; "" for a control.
        loss: strength -> a fresh loss, which may keep counts.
        epochs: updates on each step's rollouts.
        imitation: imitates further demonstrations instead.
        no_learning: the learning rate is 0.
        rewards: replaces success as the reward.
    """

    summary: str
    loss: Callable[[float], Loss]
    control: str = "grpo"
    strengths: tuple[float, ...] = (0.0,)
    strength_name: str = ""
    epochs: int = 1
    imitation: bool = False
    no_learning: bool = False
    rewards: Callable[[Batch], Tensor] | None = None

    @property
    def middle(self) -> tuple[float]:
        """The strength that claims are read at."""
        return (self.strengths[len(self.strengths) // 2],)

    def table(self, config: TableConfig) -> TableConfig:
        """The run with this arm's epochs and learning rate."""
        rate = 0.0 if self.no_learning else config.learning_rate
        return replace(config, epochs=self.epochs, learning_rate=rate)


def _policy_loss(batch: Batch, advantages: Tensor) -> Tensor:
    loss, _ = clipped_policy_loss(batch.log_probs, batch.old_log_probs, advantages.reshape(-1)[batch.episode], CLIP)
    return loss


def _plain(shape: Shape, estimate: Estimate, *, texts: bool = False) -> Loss:
    def loss(batch: Batch) -> Tensor:
        g = groups_of_table(batch, texts=texts)
        return _policy_loss(batch, estimate(g, shape(g)))

    return loss


def _with_bonus(bonus: OutcomeBonus, weight: float) -> Loss:
    def loss(batch: Batch) -> Tensor:
        g = groups_of_table(batch, texts=False)
        return _policy_loss(batch, Grpo()(g, g.rewards) + weight * bonus(g))

    return loss


def _entropy(weight: float) -> Loss:
    """GRPO minus weight x entropy at each decision."""
    grpo = _plain(Plain(), Grpo())

    def loss(batch: Batch) -> Tensor:
        log_p = batch.all_log_probs
        entropy = -(log_p.exp() * log_p.masked_fill(log_p.isinf(), 0.0)).sum(-1)
        return grpo(batch) - weight * entropy

    return loss


def _kl_cov(weight: float) -> Loss:
    """KL-Cov (arXiv 2505.22617): decisions of highest covariance pay weight x |log p - log p old|, unclipped."""

    def loss(batch: Batch) -> Tensor:
        g = groups_of_table(batch, texts=False)
        advantages = Grpo()(g, g.rewards).reshape(-1)[batch.episode]
        plain, _ = clipped_policy_loss(batch.log_probs, batch.old_log_probs, advantages, CLIP)
        log_probs = batch.log_probs.detach()
        covariance = (advantages - advantages.mean()) * (log_probs - log_probs.mean())
        top = covariance.topk(max(1, round(KL_COV_FRACTION * len(covariance)))).indices
        difference = batch.log_probs - batch.old_log_probs
        unclipped = -difference.exp() * advantages + weight * difference.abs()
        return plain.scatter(0, top, unclipped[top])

    return loss


def _imitate_successes(batch: Batch) -> Tensor:
    """Rejection-sampling fine-tuning: maximum likelihood of the rollouts that succeeded."""
    return -batch.log_probs * batch.rewards.reshape(-1)[batch.episode]


def _coin(batch: Batch) -> Tensor:
    draws = np.random.default_rng((batch.seed, 17)).integers(0, 2, tuple(batch.rewards.shape))
    return torch.from_numpy(draws.astype(np.float64))


_FLOORS = (0.3, 0.1, 0.03)
_WEIGHTS = (0.1, 0.2, 0.4)
_KS = (2.0, 4.0, 6.0)

ARMS: dict[str, Arm] = {
    "grpo": Arm("GRPO", lambda _: _plain(Plain(), Grpo()), control=""),
    "dr_grpo": Arm("GRPO without the division, control of methods without it", lambda _: _plain(Plain(), DrGrpo()), ""),
    "darling": Arm(
        "DARLING, clusters by what was retrieved",
        lambda floor: _plain(Darling("retrieval", floor), DrGrpo()),
        "dr_grpo",
        _FLOORS,
        "floor",
    ),
    "darling_oracle": Arm(
        "DARLING, clusters by evidence path: trains on the metric",
        lambda floor: _plain(Darling("evidence", floor), DrGrpo()),
        "dr_grpo",
        _FLOORS,
        "floor",
    ),
    "lexical": Arm(
        "reward times the share of n-grams that no sibling wrote",
        lambda n: _plain(Lexical(int(n)), DrGrpo(), texts=True),
        "dr_grpo",
        (2.0, 4.0, 6.0),
        "n",
    ),
    "ucb_mean": Arm(
        "GRPO plus centred UCB bonus on outcomes",
        lambda c: _with_bonus(OutcomeBonus("ucb_mean"), c),
        strengths=_WEIGHTS,
        strength_name="c",
    ),
    "ucb_con": Arm(
        "GRPO plus UCB bonus minus a constant",
        lambda c: _with_bonus(OutcomeBonus("ucb_con"), c),
        strengths=_WEIGHTS,
        strength_name="c",
    ),
    "batch": Arm(
        "GRPO minus repeats within the group",
        lambda c: _with_bonus(OutcomeBonus("batch"), c),
        strengths=_WEIGHTS,
        strength_name="c",
    ),
    "entropy": Arm("GRPO plus entropy", _entropy, strengths=(0.01, 0.03, 0.1), strength_name="weight"),
    "kl_cov": Arm(
        "KL-Cov on two updates a step",
        _kl_cov,
        "grpo_two_updates",
        (0.3, 1.0, 3.0),
        "coefficient",
        epochs=2,
    ),
    "max_at_k": Arm(
        "Max@K reward, then GRPO", lambda k: _plain(MaxAtK(int(k)), Grpo()), strengths=_KS, strength_name="k"
    ),
    "pass_at_k": Arm("pass@k training", lambda k: _plain(Plain(), PassAtK(int(k))), strengths=_KS, strength_name="k"),
    "grpo_two_updates": Arm("GRPO with two updates a step", lambda _: _plain(Plain(), Grpo()), "", epochs=2),
    "batch_shuffled": Arm(
        "control: batch bonus of shuffled rollouts",
        lambda c: _with_bonus(OutcomeBonus("batch", shuffled=True), c),
        strengths=(0.2,),
        strength_name="c",
    ),
    "random_reward": Arm("control: a coin for a reward", lambda _: _plain(Plain(), Grpo()), rewards=_coin),
    "no_learning": Arm("control: learning rate 0", lambda _: _plain(Plain(), Grpo()), no_learning=True),
    "more_sft": Arm("control: as many demonstrations as rollouts", lambda _: _imitate_successes, imitation=True),
    "rejection_sampling": Arm("control: imitates its own successes", lambda _: _imitate_successes),
}
