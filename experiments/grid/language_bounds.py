"""The least and the largest value that a language model could have, whatever it learned; exact in the population."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.outcomes import list_episodes
from ...policies.tabular.row_table import RowTable
from .comparison import POPULATION
from .condition import Condition
from .measuring import Limits, population_of
from .sequence_measures import SequenceMeasures
from .table_cells import FRONTIER_K, condition_frontier
from .table_training import training_world

__all__ = ["SHARE", "answerable_share", "frontier_limits", "population_limits"]

SHARE: Limits = (0.0, 1.0)
"""Of anything that is counted as a part of a whole."""

_READ = 16
"""Training questions that are made to learn how a World is played."""


def frontier_limits(condition: Condition) -> Mapping[str, Limits]:
    """Measure -> limits in a World with a frontier. A policy that answers nothing has 0."""
    front = condition_frontier(condition)
    return {
        "pass@1": (0.0, front.best_order.pass_at_1),
        f"pass@{FRONTIER_K}": (0.0, front.widest.pass_at_k),
        "breadth": SHARE,
        "kind_entropy": (0.0, math.log(len(condition.world_config().kinds))),
    }


def population_limits(condition: Condition, samples: int, sequences: int = 0) -> Mapping[str, Limits]:
    """Those of measures in the population, and of two that are counted in rollouts.

    Args:
        condition: a World with a frontier.
        samples: rollouts of a question.
        sequences: size of the group whose query sequences are counted; 0 counts none.
    """
    found = dict(frontier_limits(condition))
    if sequences:
        rows, world = _population(condition)
        found |= SequenceMeasures(sequences)(rows, world, np.zeros(world.table_shape)).bounds()
    return {
        **{f"{name}{POPULATION}": pair for name, pair in found.items()},
        "unique_query_ratio": SHARE,
        "wordings_per_path": (1.0, float(samples)),
    }


@lru_cache(maxsize=8)
def answerable_share(condition: Condition) -> float:
    """Share of the questions of a World that some order of kinds answers within the budget; luck is left out."""
    rows, world = _population(condition)
    even = kind_probabilities(np.zeros(world.table_shape))
    return float(rows.weights @ (list_episodes(population_of(rows, world)).outcomes(even).solved(1) > 0))


def _population(condition: Condition) -> tuple[RowTable, KindWorld]:
    config = condition.world_config(questions=_READ)
    return RowTable.population(config), training_world(config)
