"""What the shares of formats do if no format is better: the null that trained policies are held against.

Nothing is searched and no table is trained: groups are wins and losses, dealt to formats regardless of which is which.
Only how often a group is mixed is taken from a trained policy, since a group of equals moves nothing. It shares no code
with `formats.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["neutral_drift"]

Array = NDArray[np.float64]


def neutral_drift(
    shares: Array,
    chances: Mapping[int, Array],
    weights: Array,
    *,
    steps: int,
    groups: int,
    size: int,
    rate: float,
    checkpoints: Collection[int],
    seed: int,
) -> dict[int, Array]:
    """Step -> shares of the formats, float64 [paths, formats], under GRPO with rewards that say nothing of formats.

    A group of n rollouts with w wins gives a winner the advantage (1 - w/n) / s and a loser -(w/n) / s, where s is the
    spread of its rewards, s^2 = w (n - w) / (n (n - 1)). The formats of its winners and of its losers are two
    multinomial draws from the same shares.

    Args:
        shares: float64 [formats], at the start.
        chances: step -> float64 [paths, questions], the chance to win; a step without one has that of the last before.
        weights: float64 [questions], how often a group is of the question.
        steps: number of updates.
        groups: of an update.
        size: n.
        rate: of gradient ascent on the logits of the formats.
        checkpoints: steps that are returned.
        seed: of all draws.
    """
    generator = np.random.default_rng((seed, 23))
    now = chances[0]
    logits = np.repeat(np.log(shares)[None], len(now), axis=0)
    out = {}
    for step in range(steps + 1):
        now = chances.get(step, now)
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        if step in checkpoints:
            out[step] = p
        if step == steps:
            break
        asked = generator.choice(len(weights), (len(now), groups), p=weights / weights.sum())
        wins = generator.binomial(size, np.clip(np.take_along_axis(now, asked, 1), 0.0, 1.0))
        mixed = (wins > 0) & (wins < size)
        spread = np.sqrt(np.where(mixed, wins * (size - wins) / (size * (size - 1)), 1.0))
        up, down = np.where(mixed, (1 - wins / size) / spread, 0.0), np.where(mixed, wins / size / spread, 0.0)
        won, lost = (generator.multinomial(count, p[:, None, :]) for count in (wins, size - wins))
        push = (up[..., None] * won - down[..., None] * lost).sum(1)
        logits = logits + rate * push / (groups * size)
    return out
