"""Self-training of tables: episodes that were kept become counts of choices, and a table is fitted to the counts.

Every table here is a softmax over choices in some state. The mean log-likelihood of kept episodes depends on them only
through how often each choice was made in each state, so that fitting needs no episodes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .choices import choice_probabilities, count_choices
from .kinds import Decisions, open_choices

__all__ = ["choice_counts", "fit_choices", "search_choices"]

Array = NDArray[np.float64]


def search_choices(table_shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which kinds can be chosen in each state, bool, to be broadcast to `KindWorld.table_shape`."""
    _, hops, _, _, num_kinds = table_shape
    out: NDArray[np.bool_] = open_choices(hops, num_kinds)[None, :, :, None, :]
    return out


def choice_counts(played: Decisions, kept: NDArray[np.bool_], table_shape: tuple[int, ...]) -> Array:
    """How often each kind was chosen in each state by the episodes that were kept.

    Args:
        played: episodes.
        kept: bool [episodes].
        table_shape: of the policy's logits.

    Returns:
        float64, `table_shape`.
    """
    made = played.live & kept[:, None]
    rows = (int(np.prod(table_shape[:-1])), table_shape[-1])
    return count_choices(rows, (played.states[made], played.kinds[made])).reshape(table_shape)


def fit_choices(
    logits: Array,
    counts: Array,
    size: float,
    *,
    rate: float,
    steps: int,
    allowed: NDArray[np.bool_] | None = None,
) -> Array:
    """Gradient ascent on the mean log-likelihood of kept episodes, from some logits; these are not changed.

    Args:
        logits: float64 [..., choices].
        counts: of each choice, same shape.
        size: number of episodes, by which the log-likelihood is divided; with 0 nothing is learnt.
        rate: learning rate.
        steps: updates, each on all episodes.
        allowed: bool, what can be chosen, see `search_choices`.
    """
    out = logits.copy()
    if size <= 0:
        return out
    wanted, visits = counts / size, counts.sum(-1, keepdims=True) / size
    for _ in range(steps):
        out += rate * (wanted - visits * choice_probabilities(out, allowed))
    return out
