"""Objectives: shape of the rewards, estimate of the advantages, bonus, terms of the token loss. Pure functions."""

from __future__ import annotations

from . import published  # noqa: F401  registers the objectives that berrypick ships
from .bonuses import Batch, Bonus, OutcomeCounts, Shuffled, Ucb, UcbCon, UcbMean
from .diversity import Darling, DarlingAdditive, Lexical
from .equivalence import EquivalenceClassifier, equivalent_pairs, fit_classifier, load_classifier
from .estimates import CorrectOnly, DrGrpo, Estimate, Gdpo, Grpo, MaxRl, Rloo, UnsolvedOnly
from .groups import Groups, groups_of
from .losses import StepTokens, TokenBatch, clipped_policy_loss, token_log_probs
from .objective import Advantages, Objective, RlState
from .pass_at_k import PassAtK, PassMix
from .registry import OBJECTIVES, get_objective, register_objective
from .shapes import MaxAtK, MultiRlvr, Plain, Shape, Vpo
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
    "CorrectOnly",
    "Darling",
    "DarlingAdditive",
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
    "PassMix",
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
    "UnsolvedOnly",
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
