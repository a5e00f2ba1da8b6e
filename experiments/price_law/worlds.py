"""Random Worlds: kinds, hops, availabilities, budget and cue drawn anew for each."""

from __future__ import annotations

import numpy as np

from ...envs.world.config import WorldConfig
from ..grid.condition import MANY_QUESTIONS

__all__ = ["PILOT", "random_world"]

PILOT = -8
"""Worlds PILOT to -1 are kept apart: the checks before registration read them, the law does not."""

_FIRST_SEED = 5000


def random_world(number: int, questions: int = MANY_QUESTIONS) -> WorldConfig:
    """World `number`: two hops of three to five kinds, or, one time in seven, three hops of three kinds.

    Availabilities are uniform in [.2, .9], the budget uniform from H to 2H queries, and one World in four has a cue of
    strength .8. Frontiers of more kinds at three hops take minutes and are left out.

    Args:
        number: at least `PILOT`.
        questions: number of training questions.
    """
    draws = np.random.default_rng((7, number - PILOT))
    hops = 3 if draws.random() < 1 / 7 else 2
    kinds = 3 if hops == 3 else int(draws.integers(3, 6))
    availability = tuple(round(float(a), 3) for a in draws.uniform(0.2, 0.9, kinds))
    return WorldConfig(
        preset="random",
        availability=availability,
        budget=int(draws.integers(hops, 2 * hops + 1)),
        hops=hops,
        cue=0.8 if draws.random() < 0.25 else 0.0,
        num_train=questions,
        num_validation=0,
        num_test=0,
        seed=_FIRST_SEED + number,
    )
