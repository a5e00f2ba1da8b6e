"""Shapes, estimates and bonuses that the diversity tax compares and `policies/objectives` does not register yet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..policies.objectives.groups import Groups

__all__ = ["Lexical", "MaxAtK", "OutcomeBonus", "PassAtK"]


@dataclass(frozen=True)
class Lexical:
    """Reward times the share of a rollout's n-grams that occur in no sibling (DARLING's lexical control)."""

    n: int = 4

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]; a rollout without an n-gram gets 0."""
        shares = []
        for group in g.queries:
            grams = [_ngrams(" ".join(queries).split(), self.n) for queries in group]
            owners = Counter(gram for own in grams for gram in set(own))
            shares.append([sum(owners[gram] == 1 for gram in own) / len(own) if own else 0.0 for own in grams])
        return g.rewards * torch.tensor(shares, dtype=torch.float64)


def _ngrams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


@dataclass(frozen=True)
class MaxAtK:
    """Max@K (arXiv 2510.23393, PKPO 2505.15201): gradient weights of the unbiased best-of-k estimate."""

    k: int

    def __call__(self, g: Groups) -> Tensor:
        """Shaped rewards, [Q, G]: C(n, k)^-1 sum_j w_ij r_j over ascending ranks."""
        n, k = g.size, self.k
        weights = np.zeros((n, n))
        for i in range(1, n + 1):
            weights[i - 1, i - 1] = math.comb(i - 1, k - 1)
            for j in range(max(i + 1, k), n + 1):
                weights[i - 1, j - 1] = math.comb(j - 2, k - 2) if k > 1 else 0
        ordered, ranks = g.rewards.sort(dim=1, stable=True)
        shaped = ordered @ torch.from_numpy(weights.T / math.comb(n, k))
        return torch.zeros_like(g.rewards).scatter(1, ranks, _tie_means(ordered, shaped))


def _tie_means(ordered: Tensor, shaped: Tensor) -> Tensor:
    """Equal rewards share the mean of their weights, so that the order of a group does not matter."""
    out = shaped.clone()
    for row, values in zip(out, ordered):
        for value in values.unique():
            same = values == value
            row[same] = row[same].mean()
    return out


@dataclass(frozen=True)
class PassAtK:
    """Pass@k training (arXiv 2508.10751): closed-form advantages of right and wrong rollouts."""

    k: int
    epsilon: float = 1e-6

    def __call__(self, g: Groups, shaped: Tensor) -> Tensor:
        """Advantages, [Q, G]; zero where every k of the group hold a right rollout, or none does."""
        n, k = g.size, self.k
        rows = []
        for rewards in g.rewards.tolist():
            c = round(sum(rewards))
            mean = 1 - math.comb(n - c, k) / math.comb(n, k)
            spread = math.sqrt(mean * (1 - mean))
            if spread == 0:
                rows.append([0.0] * n)
                continue
            wrong = 1 - mean - (math.comb(n - c - 1, k - 1) / math.comb(n - 1, k - 1) if c < n else 0.0)
            rows.append([((1 - mean) if reward else wrong) / (spread + self.epsilon) for reward in rewards])
        return torch.tensor(rows, dtype=torch.float64)


@dataclass
class OutcomeBonus:
    """Outcome-based exploration (arXiv 2509.06941), added to the advantage after normalisation.

    "ucb_mean": n / (n - 1) (b - mean b) of b = min(1, N^-1/2); "ucb_con": b - b0; "batch": -(1/n) other rollouts with
    the same outcome. Counts N are of the whole run, read before this step's rollouts are added. Groups that are all
    right get no bonus.

    Attributes:
        kind: which.
        key: outcome that is counted.
        constant: b0.
        shuffled: a control: each group's bonuses fall on its rollouts at random.
    """

    kind: str
    key: str = "evidence"
    constant: float = 0.5
    shuffled: bool = False
    counts: Counter[tuple[str, Hashable]] = field(default_factory=Counter)

    def __call__(self, g: Groups) -> Tensor:
        """Bonuses, [Q, G]; counts this step's outcomes."""
        rows = []
        for question, outcomes in zip(g.question_ids, g.outcomes[self.key]):
            if self.kind == "batch":
                sizes = Counter(outcomes)
                rows.append([-(sizes[outcome] - 1) / g.size for outcome in outcomes])
                continue
            b = [min(1.0, max(self.counts[question, outcome], 1) ** -0.5) for outcome in outcomes]
            level = self.constant if self.kind == "ucb_con" else sum(b) / g.size
            scale = 1.0 if self.kind == "ucb_con" else g.size / (g.size - 1)
            rows.append([scale * (value - level) for value in b])
        for question, outcomes in zip(g.question_ids, g.outcomes[self.key]):
            self.counts.update((question, outcome) for outcome in outcomes)
        bonus = torch.tensor(rows, dtype=torch.float64)
        if self.shuffled:
            generator = np.random.default_rng((g.seed, 13))
            bonus = torch.from_numpy(generator.permuted(bonus.numpy(), axis=1))
        return torch.where((g.rewards > 0).all(1, keepdim=True), torch.zeros_like(bonus), bonus)
