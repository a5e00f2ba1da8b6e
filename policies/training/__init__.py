"""Training procedures: SFT, RL, preference tuning, critique, multi-agent; checkpoints and several processes."""

from __future__ import annotations

from .checkpoint import latest_checkpoint, load_checkpoint, reference_model, save_checkpoint
from .critique import CRITICS, CritiqueConfig, CritiqueRound, critique_round
from .distributed import ONE_PROCESS, Processes, join_processes
from .group_metrics import group_metrics
from .multiagent import Debate, DebateConfig, debate, split_data
from .players import OwnWeights, Player
from .preference import DpoConfig, dpo_update, preference_pairs
from .rl import questions_of_step, rl_optimizer, rl_rollout
from .rl_config import RlConfig
from .rl_update import RlState, rl_update
from .sft import SftConfig, sft_batch, sft_optimizer, sft_update
from .sft_fit import EarlyStop, SftFit, SftStep, accepted_episodes, fit_sft, sft_steps, validation_loss
from .update_step import NonFiniteLossError

__all__ = [
    "CRITICS",
    "ONE_PROCESS",
    "CritiqueConfig",
    "CritiqueRound",
    "Debate",
    "DebateConfig",
    "DpoConfig",
    "EarlyStop",
    "NonFiniteLossError",
    "OwnWeights",
    "Player",
    "Processes",
    "RlConfig",
    "RlState",
    "SftConfig",
    "SftFit",
    "SftStep",
    "accepted_episodes",
    "critique_round",
    "debate",
    "dpo_update",
    "fit_sft",
    "group_metrics",
    "join_processes",
    "latest_checkpoint",
    "load_checkpoint",
    "preference_pairs",
    "questions_of_step",
    "reference_model",
    "rl_optimizer",
    "rl_rollout",
    "rl_update",
    "save_checkpoint",
    "sft_batch",
    "sft_optimizer",
    "sft_steps",
    "sft_update",
    "split_data",
    "validation_loss",
]
