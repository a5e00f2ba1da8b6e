"""Estimates for pass@k, the chance that at least one of k rollouts succeeds. Rewards are 0 or 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...retrieval_index.errors import BerrypickError
from .estimates import Rloo
from .groups import Groups
from .ranges import at_least, share

__all__ = ["PassAtK", "PassMix"]


@dataclass(frozen=True)
class PassAtK:
    """Pass@k training (arXiv 2508.10751): the mean advantage of all k-subsets that contain a rollout, in closed form.

    With c of n correct, rho = 1 - C(n-c, k) / C(n, k) and sigma = sqrt(rho (1 - rho)), a right rollout gets
    (1 - rho) / sigma and a wrong one (1 - rho - C(n-c-1, k-1) / C(n-1, k-1)) / sigma. Rewards must be 0 or 1.

    Undivided, the advantage is M_i - rho, where M_i is the share of successes among the k-subsets that contain i. rho
    depends on i's own reward, which shortens the update but does not turn it: rho = k/n M_i + (1 - k/n) L_i, where L_i
    is the share among the k-subsets without i, so M_i - rho = (1 - k/n) (M_i - L_i). `PassMix` of weight 0 is
    k (M_i - L_i), that is k n / (n - k) times the undivided advantage, for k < n. `MaxAtK`, centred, is k / n times it.

    Attributes:
        k: rollouts of a subset.
        epsilon: added to sigma.
        divided: whether to divide by sigma, as published.
    """

    k: int = 4
    epsilon: float = 1e-6
    divided: bool = True

    def __post_init__(self) -> None:
        at_least(1, k=self.k)
        at_least(0, epsilon=self.epsilon)

    @property
    def least_group_size(self) -> int:
        """Smaller groups have one subset of k, so no rollout has an advantage."""
        return self.k + 1

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero if all or none of the k-subsets succeed. k is at most the group's size."""
        _require_binary(shaped, "pass_at_k")
        n, k = g.size, min(self.k, g.size)
        rows = []
        for row in shaped.tolist():
            wrong = n - int(sum(row))
            missed = math.comb(wrong, k) / math.comb(n, k)  # 1 - rho
            sigma = math.sqrt(missed * (1 - missed))
            if not sigma:  # all or none of the subsets succeed
                rows.append([0.0] * n)
                continue
            # chance that the other k - 1 rollouts of a wrong one's subset are wrong too
            others = math.comb(wrong - 1, k - 1) / math.comb(n - 1, k - 1)
            spread = sigma + self.epsilon if self.divided else 1.0
            rows.append([(missed if value else missed - others) / spread for value in row])
        return torch.tensor(rows, dtype=shaped.dtype)


@dataclass(frozen=True)
class PassMix:
    """weight x (credit for pass@1) + (1 - weight) x (credit for pass@k), both leave-one-out and unbiased.

    Derivation. n independent rollouts y_i of one question have rewards r_i and scores s_i = grad log pi(y_i). Losses
    average over rollouts, so a credit A_i is unbiased for J if E[mean_i A_i s_i] = grad J.

    1. For a set S of k rollouts, max(S) sum_{i in S} s_i is unbiased for grad pass@k. Averaged over the C(n, k) sets,
       s_i is multiplied by the sum of max(S) over the sets with i, divided by C(n, k): k / n times the mean M_i of
       max(S) over these sets. Hence A_i = k M_i; the factor k puts pass@k and pass@1 (k = 1, M_i = r_i) on one scale.
    2. E[s_i] = 0 and s_i is independent of the other rollouts, so whatever they alone determine can be subtracted.
       L_i, the share of successes among the k-sets without i, is such a baseline: A_i = k (M_i - L_i).
    3. Let w be the number of wrong rollouts among the others, T = C(w, k-1) / C(n-1, k-1) the chance that k - 1 of
       them are all wrong, and U = C(w, k) / C(n-1, k) the chance that k of them are. Then M_i = 1 - T + r_i T and
       L_i = 1 - U, so A_i = k (r_i T - (T - U)): a right rollout gets T, the chance that it alone saves its set, and
       T - U, the same chance for one of the other rollouts, is subtracted.

    k = 1 gives r_i minus the mean of the others, `Rloo`, so weight 1 is exactly `Rloo`. As L_i needs a set of k others,
    k = n goes without a baseline. For k < n the credits of a group sum to 0. After PKPO (arXiv 2505.15201), whose
    leave-one-out baselines also include sets of k - 1; see `PassAtK` for how it relates to the published pass@k
    training.

    Attributes:
        weight: of pass@1, from 0 to 1.
        k: rollouts of which one has to succeed; larger ones than the group are lowered to it.
    """

    weight: float = 0.5
    k: int = 4

    def __post_init__(self) -> None:
        share(weight=self.weight)
        at_least(1, k=self.k)

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero if a group has one rollout or its rewards are all equal."""
        _require_binary(shaped, "pass_mix")
        if g.size < 2:
            return torch.zeros_like(shaped)
        return self.weight * Rloo()(g, shaped) + (1 - self.weight) * _credit(shaped, min(self.k, g.size))


def _credit(rewards: Tensor, k: int) -> Tensor:
    """k (r_i T - (T - U)), [Q, G]; see `PassMix`."""
    n = rewards.shape[1]
    lone = [math.comb(wrong, k - 1) / math.comb(n - 1, k - 1) for wrong in range(n)]
    none = [math.comb(wrong, k) / math.comb(n - 1, k) for wrong in range(n)] if k < n else lone
    wrong = (1 - rewards).sum(dim=1, keepdim=True) - (1 - rewards)  # among the others, [Q, G]
    tried, missed = (torch.tensor(chances, dtype=rewards.dtype)[wrong.long()] for chances in (lone, none))
    return k * (rewards * tried - (tried - missed))


def _require_binary(rewards: Tensor, name: str) -> None:
    if not bool(((rewards == 0) | (rewards == 1)).all()):
        raise BerrypickError(f"{name} needs rewards of 0 or 1; choose reward=em, or the objective max_at_k")
