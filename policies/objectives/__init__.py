"""Objectives: shape of the rewards, estimate of the advantages, bonus, terms of the token loss. Pure functions."""

from __future__ import annotations

from . import published  # noqa: F401  registers the objectives that berrypick ships
from .bonuses import Batch, Bonus, OutcomeCounts, Shuffled, Ucb, UcbCon, UcbMean
from .equivalence import EquivalenceClassifier, equivalent_pairs, fit_classifier, load_classifier
from .estimates import DrGrpo, Estimate, Gdpo, Grpo, MaxRl, PassAtK, Rloo
from .groups import Groups, groups_of
from .losses import StepTokens, TokenBatch, clipped_policy_loss, token_log_probs
from .objective import Advantages, Objective, RlState
from .registry import OBJECTIVES, get_objective, register_objective
from .shapes import Darling, Lexical, MaxAtK, MultiRlvr, Plain, Shape, Vpo
from .terms import AdaptiveEntropy, ClipCov, Entropy, KlCov, KlK1, KlK3, TokenTerm
from .trl import objective_trainer
from .verl import REWARD_ONLY, register_in_verl, verl_estimator

__all__ = [
    "OBJECTIVES",
    "REWARD_ONLY",
    "AdaptiveEntropy",
    "Advantages",
    "Batch",
    "Bonus",
    "ClipCov",
    "Darling",
    "DrGrpo",
    "Entropy",
    "EquivalenceClassifier",
    "Estimate",
    "Gdpo",
    "Groups",
    "Grpo",
    "KlCov",
    "KlK1",
    "KlK3",
    "Lexical",
    "MaxAtK",
    "MaxRl",
    "MultiRlvr",
    "Objective",
    "OutcomeCounts",
    "PassAtK",
    "Plain",
    "RlState",
    "Rloo",
    "Shape",
    "Shuffled",
    "StepTokens",
    "TokenBatch",
    "TokenTerm",
    "Ucb",
    "UcbCon",
    "UcbMean",
    "Vpo",
    "clipped_policy_loss",
    "equivalent_pairs",
    "fit_classifier",
    "get_objective",
    "groups_of",
    "load_classifier",
    "objective_trainer",
    "register_in_verl",
    "register_objective",
    "token_log_probs",
    "verl_estimator",
]
