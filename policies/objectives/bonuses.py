"""The bonus layer: exploration added to the advantage after normalisation.

Outcome-based exploration (arXiv 2509.06941). Adding a bonus to the reward, before the z-norm, is another algorithm:
exploration alone then gives groups of wrong answers gradients of unit variance. Differs from the paper: an outcome can
be the answer, as there, or the evidence found or the queries asked.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .groups import Groups
from .ranges import finite

__all__ = ["Batch", "Bonus", "OutcomeCounts", "Shuffled", "Ucb", "UcbCon", "UcbMean"]


class OutcomeCounts:
    """How often each outcome of each question was seen over the whole run; never reset.

    Bonuses only read it. The trainer adds the outcomes of a step once, after all bonuses of the step.
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    def get(self, question_id: str, outcome: Hashable) -> int:
        """How often the outcome was seen before this step."""
        return self._counts.get(question_id, {}).get(_as_text(outcome), 0)

    def add(self, g: Groups, key: str) -> None:
        """Counts the outcome of each rollout once."""
        for question_id, outcomes in zip(g.question_ids, g.outcomes[key], strict=True):
            counts = self._counts.setdefault(question_id, {})
            for outcome in outcomes:
                text = _as_text(outcome)
                counts[text] = counts.get(text, 0) + 1

    def state_dict(self) -> dict[str, Any]:
        """The counts as JSON-serialisable values, sorted so that equal counts give equal bytes."""
        return {question: dict(sorted(counts.items())) for question, counts in sorted(self._counts.items())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self._counts = {question: dict(counts) for question, counts in state.items()}


def _as_text(outcome: Hashable) -> str:
    if isinstance(outcome, frozenset):
        return "{" + ",".join(sorted(map(_as_text, outcome))) + "}"
    if isinstance(outcome, tuple):
        return "(" + ",".join(map(_as_text, outcome)) + ")"
    return json.dumps(outcome)


class Bonus(Protocol):
    """Turns outcomes into exploration advantages; must not change the counts."""

    @property
    def key(self) -> str:
        """Which outcome to count and compare, a key of `Groups.outcomes`."""
        ...

    def __call__(self, g: Groups, counts: OutcomeCounts) -> Tensor:
        """Unweighted bonuses, float64 [Q, G]."""
        ...


@dataclass(frozen=True)
class Ucb:
    """min(1, N^-1/2), where N counts how often the outcome was seen before this step; 0 without an outcome."""

    key: str = "answer"

    def __call__(self, g: Groups, counts: OutcomeCounts) -> Tensor:
        """Bonuses, [Q, G]."""
        return torch.where(_nothing(g, self.key), torch.zeros((), dtype=torch.float64), _novelty(g, counts, self.key))


@dataclass(frozen=True)
class UcbMean:
    """UCB minus the mean UCB of the other rollouts, which is n / (n - 1) (b_i - mean). Sums to 0 in a group.

    The UCB of a rollout without an outcome is 0.
    """

    key: str = "answer"

    def __call__(self, g: Groups, counts: OutcomeCounts) -> Tensor:
        """Bonuses, [Q, G]; zero if a group has one rollout."""
        plain = Ucb(self.key)(g, counts)
        return (plain - plain.mean(dim=1, keepdim=True)) * (g.size / max(g.size - 1, 1))


@dataclass(frozen=True)
class UcbCon:
    """UCB minus a constant: 0.5 penalises outcomes seen more than four times; 1 only penalises, never rewards."""

    offset: float = 0.5
    key: str = "answer"

    def __post_init__(self) -> None:
        finite(offset=self.offset)

    def __call__(self, g: Groups, counts: OutcomeCounts) -> Tensor:
        """Bonuses, [Q, G]; never above 0 without an outcome."""
        value = _novelty(g, counts, self.key) - self.offset
        return torch.where(_nothing(g, self.key), value.clamp_max(0), value)


@dataclass(frozen=True)
class Batch:
    """-1/n times the number of other rollouts with the same outcome; no memory. As published, n and not n - 1."""

    key: str = "answer"

    def __call__(self, g: Groups, counts: OutcomeCounts) -> Tensor:
        """Bonuses, [Q, G], at most 0."""
        rows = [
            [-(outcomes.count(own) - 1) / g.size for own in outcomes] for outcomes in map(list, g.outcomes[self.key])
        ]
        return torch.tensor(rows, dtype=torch.float64)


@dataclass(frozen=True)
class Shuffled:
    """Control of a bonus: its values, permuted at random within each group."""

    inner: Bonus

    @property
    def key(self) -> str:
        """The key of the bonus it controls."""
        return self.inner.key

    def __call__(self, g: Groups, counts: OutcomeCounts) -> Tensor:
        """Bonuses, [Q, G]."""
        values = self.inner(g, counts)
        order = np.random.default_rng((g.seed, 17)).permuted(np.tile(np.arange(g.size), (len(values), 1)), axis=1)
        return values.gather(1, torch.from_numpy(order))


def _novelty(g: Groups, counts: OutcomeCounts, key: str) -> Tensor:
    """min(1, N^-1/2) of each rollout's outcome, float64 [Q, G]."""
    rows = [
        [max(counts.get(question, outcome), 1) ** -0.5 for outcome in outcomes]
        for question, outcomes in zip(g.question_ids, g.outcomes[key], strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def _nothing(g: Groups, key: str) -> Tensor:
    """Which rollouts have no outcome (no answer, no evidence, no query), bool [Q, G]."""
    return torch.tensor([[not outcome and outcome != 0 for outcome in outcomes] for outcomes in g.outcomes[key]])
