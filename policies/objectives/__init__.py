"""Objectives: shape of the reward, estimate of the advantage, bonus, terms of the token loss. Pure functions."""

from . import published
from .bonuses import OutcomeCounts
from .groups import Groups, groups_of
from .objective import Advantages, Objective
from .registry import OBJECTIVES, get_objective, register_objective

__all__ = [
    "OBJECTIVES",
    "Advantages",
    "Groups",
    "Objective",
    "OutcomeCounts",
    "get_objective",
    "groups_of",
    "published",
    "register_objective",
]
