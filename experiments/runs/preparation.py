"""What a training run needs before it starts: the policy to train, who plays its rollouts, the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ...envs.tasks.registry import Task
from ...policies.language.lora import with_lora
from ...policies.language.model import LanguageModelPolicy
from ...policies.language.vllm_engine import VllmPolicy
from ...policies.open_policy import open_policy
from ...policies.training.players import Player
from ...retrieval_index.errors import BerrypickError
from .collapse_watch import OnCollapse
from .training import train
from .training_config import TrainConfig, TrainView

__all__ = ["Prepared", "Trainee", "open_trainee"]


class Prepared(NamedTuple):
    """A configuration with the policy, the task and the player that it names, ready to start."""

    config: TrainConfig
    policy: LanguageModelPolicy
    task: Task
    player: Player | None

    def start(
        self,
        out: Path,
        *,
        resume: bool = False,
        view: TrainView | None = None,
        track: Sequence[str] = (),
        on_collapse: OnCollapse = "warn",
    ) -> LanguageModelPolicy:
        """Trains in the folder `out`; see `train`."""
        return train(
            self.config,
            self.policy,
            self.task,
            out,
            resume=resume,
            view=view,
            track=track,
            player=self.player,
            on_collapse=on_collapse,
        )


class Trainee(NamedTuple):
    """A policy that can be trained.

    Attributes:
        player: plays its rollouts, if it does not play them itself.
    """

    policy: LanguageModelPolicy
    player: Player | None

    @property
    def num_parameters(self) -> int:
        """The model's size, LoRA matrices included."""
        return int(self.policy.model.num_parameters())


def open_trainee(name: str, *, seed: int, dtype: str, device: str, lora_rank: int) -> Trainee:
    """Opens a policy to train.

    Args:
        name: names weights as `open_policy` does; with "vllm:" in front, vLLM plays the rollouts.
        seed: of fresh weights and fresh LoRA matrices.
        dtype: format to compute in: "float32", "bfloat16" or "auto". The weights are float32.
        device: where the weights go, e.g. "auto".
        lora_rank: rank of the LoRA matrices that train instead of all weights; 0 trains all weights.

    Raises:
        BerrypickError: the policy has no weights, or cannot be opened.
    """
    opened = open_policy(name, seed=seed, dtype=dtype, device=device, trains=True)
    policy = opened.weights if isinstance(opened, VllmPolicy) else opened
    if not isinstance(policy, LanguageModelPolicy):
        raise BerrypickError(
            f"policy {name} cannot be trained; training needs weights: tiny, smollm2, a folder or a hub id"
        )
    if lora_rank:
        policy = with_lora(policy, lora_rank, seed=seed)
    return Trainee(policy, replace(opened, weights=policy) if isinstance(opened, VllmPolicy) else None)
