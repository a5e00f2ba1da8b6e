"""A search agent trained on real text: the recipe of `berrypick agent`, its screen and its model card."""

from .recipe import FLOORS, RULES, AgentRecipe, run_agent

__all__ = ["FLOORS", "RULES", "AgentRecipe", "run_agent"]
