"""Arms: ways of training, as registered objectives with strengths and controls.

The outcomes that bonuses count are kind signatures (`evidence`): on World all right answers of a question are equal, so
answers cannot distinguish paths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...policies.tabular.losses import objective_loss
from ...policies.tabular.training import Batch, Loss, TableConfig
from ...retrieval_index.errors import UnknownNameError

__all__ = ["ARMS", "Arm", "pick_arms"]

KL_COV_FRACTION = 0.04
"""2e-3 of a language model's tokens, of which about one in twenty decides between kinds."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training.

    Attributes:
        summary: one line.
        objective: a spec of `get_objective` with "{}" for the strength.
        control: the arm it is compared with; "" for a control.
        strengths: what it is swept over, weakest diversity first; (0,) where it has none.
        strength_name: what the strength is called.
        epochs: updates per step on the same rollouts.
        imitation: imitates further demonstrations instead of RL.
        loss_of: makes the loss of a strength, which replaces the objective's.
        renew: steps for which the same policy plays, see `train_table`.
        rate: multiplies the learning rate.
        no_learning: sets the learning rate to 0.
        rewards: replaces success as the reward.
        sets: episodes continue to search for further answers; only Worlds with conflicting answers have such arms.
        collinear: replaces every dimension of a reward vector by their mean.
        own_tables: a table for each training question; only where values are those on the training questions.
        candidates: episodes end with this many candidate answers, which may repeat; only in Worlds with as many
            answers as kinds. 0 for episodes that end at the first answer found.
        group_size: rollouts of a question; 0 is the experiment's.
        demonstrator: the proportions in which kinds are drawn by whom the arm imitates, such as "shares-7-2-1"; by
            default it is the condition's start. An arm of RL with a demonstrator imitates it before its first step.
    """

    summary: str
    objective: str
    control: str = "grpo"
    strengths: tuple[float, ...] = (0.0,)
    strength_name: str = ""
    epochs: int = 1
    imitation: bool = False
    loss_of: Callable[[float], Loss] | None = None
    renew: int = 1
    rate: float = 1.0
    no_learning: bool = False
    rewards: Callable[[Batch], Tensor] | None = None
    sets: bool = False
    collinear: bool = False
    own_tables: bool = False
    candidates: int = 0
    group_size: int = 0
    demonstrator: str = ""

    @property
    def middle(self) -> tuple[float]:
        """The strength that claims are read at."""
        return (self.strengths[len(self.strengths) // 2],)

    def table(self, config: TableConfig) -> TableConfig:
        """The training run with this arm's epochs, learning rate and group size."""
        rate = 0.0 if self.no_learning else config.learning_rate * self.rate
        size = self.group_size or config.group_size
        return replace(config, epochs=self.epochs, learning_rate=rate, group_size=size)

    def loss(self, strength: float) -> Loss:
        """A fresh loss: a bonus that counts outcomes starts from zero."""
        if self.loss_of is not None:
            return self.loss_of(strength)
        return objective_loss(self.objective.format(f"{strength:g}"), collinear=self.collinear)


def _imitate_successes(batch: Batch) -> Tensor:
    """Rejection-sampling fine-tuning: maximum likelihood of the rollouts that succeeded."""
    return -batch.log_probs * batch.rewards.reshape(-1)[batch.episode]


def _imitating_successes(strength: float) -> Loss:
    """The same loss at any strength."""
    return _imitate_successes


def _coin(batch: Batch) -> Tensor:
    draws = np.random.default_rng((batch.seed, 17)).integers(0, 2, tuple(batch.rewards.shape))
    return torch.from_numpy(draws.astype(np.float64))


_FLOORS = (0.3, 0.1, 0.03)
_WEIGHTS = (0.1, 0.2, 0.4)
_KS = (2.0, 4.0, 6.0)
_POWERS = (0.5, 2.0, 8.0)

_GRPO = "grpo"

ARMS: dict[str, Arm] = {
    "grpo": Arm("GRPO", _GRPO, ""),
    "dr_grpo": Arm("GRPO without the division, control of methods without it", "dr_grpo", ""),
    "darling": Arm("DARLING, clusters by what was retrieved", "darling:floor={}", "dr_grpo", _FLOORS, "floor"),
    "darling_oracle": Arm(
        "DARLING, clusters by evidence path: trains on the metric",
        "darling_oracle:floor={}",
        "dr_grpo",
        _FLOORS,
        "floor",
    ),
    "lexical": Arm(
        "reward times the share of n-grams that no sibling wrote", "lexical:n={}", "dr_grpo", (2.0, 4.0, 6.0), "n"
    ),
    "ucb_mean": Arm("GRPO plus centred UCB", "ucb_mean:weight={},key=evidence", _GRPO, _WEIGHTS, "c"),
    "ucb_con": Arm("GRPO plus UCB minus a constant", "ucb_con:weight={},key=evidence", _GRPO, _WEIGHTS, "c"),
    "batch": Arm("GRPO minus repeats within the group", "batch:weight={},key=evidence", _GRPO, _WEIGHTS, "c"),
    "entropy": Arm("GRPO plus entropy", "entropy:coefficient={}", _GRPO, (0.01, 0.03, 0.1), "weight"),
    "kl_cov": Arm(
        "KL-Cov on two updates a step",
        f"kl_cov:fraction={KL_COV_FRACTION},coefficient={{}}",
        "grpo_two_updates",
        (0.3, 1.0, 3.0),
        "coefficient",
        epochs=2,
    ),
    "max_at_k": Arm("Max@K reward, then GRPO", "max_at_k:k={}", _GRPO, _KS, "k"),
    "pass_at_k": Arm("pass@k training", "pass_at_k:k={}", _GRPO, _KS, "k"),
    "max_at_k_centred": Arm("Max@K reward, centred only", "max_at_k:centred=true,k={}", "dr_grpo", _KS, "k"),
    "pass_at_k_undivided": Arm("pass@k training without the division", "pass_at_k:std=none,k={}", "dr_grpo", _KS, "k"),
    "pass_mix": Arm(
        "unbiased mixture of pass@1 and pass@4",
        "pass_mix:k=4,weight={}",
        "dr_grpo",
        (0.9, 0.7, 0.5, 0.3, 0.1),
        "weight of pass@1",
    ),
    "maxrl": Arm("MaxRL: centred and divided by the group's mean", "maxrl", "dr_grpo"),
    "correct_only": Arm("Dr. GRPO on right rollouts only", "correct_only", "dr_grpo"),
    "unsolved_only": Arm(
        "Dr. GRPO on groups with few right rollouts", "unsolved_only:most={}", "dr_grpo", (4.0, 2.0, 1.0), "most right"
    ),
    "darling_power": Arm("DARLING, diversity to a power", "darling:power={}", "dr_grpo", _POWERS, "exponent"),
    "darling_random_equal": Arm(
        "control of DARLING to a power: random clusters, updates as long",
        "darling_random:norm=equal,power={}",
        "dr_grpo",
        _POWERS,
        "exponent",
    ),
    "grpo_two_updates": Arm("GRPO with two updates a step", _GRPO, "", epochs=2),
    "batch_shuffled": Arm(
        "control: batch bonus of shuffled rollouts", "batch_shuffled:weight={},key=evidence", _GRPO, (0.2,), "c"
    ),
    "random_reward": Arm("control: a coin for a reward", _GRPO, rewards=_coin),
    "no_learning": Arm("control: learning rate 0", _GRPO, no_learning=True),
    "more_sft": Arm("control: as many demonstrations as rollouts", _GRPO, imitation=True),
    "rejection_sampling": Arm("control: imitates its own successes", _GRPO, loss_of=_imitating_successes),
    "grpo_sets": Arm("GRPO on sets of answers, rewarded if one is right", _GRPO, "grpo", sets=True),
    "multi_rlvr": Arm("Multi-RLVR: the sum over a set's answers", "multi_rlvr", "grpo", sets=True),
    "vpo": Arm("VPO: the best answer of a set under random weights", "vpo", "multi_rlvr", sets=True),
    "vpo_collinear": Arm(
        "control: VPO with reward dimensions that are all equal", "vpo", "grpo_sets", sets=True, collinear=True
    ),
}
"""Arms with `sets` are for Worlds with conflicting answers, next to the others."""


def pick_arms(*names: str) -> dict[str, Arm]:
    """Arms of `ARMS` by name, each followed by its control if that is not among them."""
    out: dict[str, Arm] = {}
    for name in names:
        if name not in ARMS:
            raise UnknownNameError("arm", name, ARMS)
        out[name] = ARMS[name]
    for arm in tuple(out.values()):
        if arm.control:
            out.setdefault(arm.control, ARMS[arm.control])
    return out
