"""A tabular policy on the World: trained by the same objectives in seconds, measured exactly."""

from __future__ import annotations

from .kinds import KindWorld, kind_probabilities, play
from .runs import TabularConfig, TabularRun, train_tabular
from .values import exact_values

__all__ = ["KindWorld", "TabularConfig", "TabularRun", "exact_values", "kind_probabilities", "play", "train_tabular"]
