"""Flags of `berrypick train`; the run itself is `train_command.py`, which needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .env_arguments import EnvArgs

__all__ = ["Train"]


@dataclass(frozen=True)
class Train:
    """SFT on scripted demonstrations, then RL."""

    env: str
    """environment id, e.g. berrypick/World-v0"""
    out: Path
    """run folder"""
    env_arg: EnvArgs = ()
    """arguments of the environment, e.g. preset=priced index=lucene"""
    policy: str = "tiny"
    """where the weights start: tiny, smollm2, a run folder, a folder of weights, a hub id; vllm:ONE OF THEM lets vLLM
    play the rollouts"""
    objective: str = "grpo"
    """RL objective, see berrypick list"""
    steps: int = 40
    """RL steps"""
    sft_steps: int = 0
    """SFT steps before RL"""
    seed: int = 0
    """of the whole run"""
    demonstrator: str = "random_order"
    """scripted policy that SFT imitates (oracle on corpora)"""
    questions_per_step: int = 16
    """groups a step"""
    group_size: int = 8
    """rollouts a question"""
    learning_rate: float | None = None
    """of RL; by default 1e-4 for models below 5 M parameters, else 1e-6"""
    sft_learning_rate: float | None = None
    """peak, of SFT; by default 4e-3 for models below 5 M parameters, else 2e-5"""
    sft_batch_size: int = 32
    """demonstrations an SFT step"""
    demonstrations: int = 1
    """demonstrations a training question (World: of another world's 4,096 questions)"""
    sft_packing: bool = False
    """several demonstrations to a row, apart from each other"""
    sft_validation: float = 0.0
    """share of the demonstrated questions held out; SFT ends with the weights of the lowest loss on them"""
    sft_validate_every: int = 20
    """updates between validations, each a checkpoint"""
    sft_patience: int = 0
    """validations without a lower loss that end SFT early; 0 never"""
    max_new_tokens: int = 32
    """most tokens of one turn"""
    max_tokens: int = 4096
    """padded tokens of a micro-batch; lower it to save memory"""
    checkpoint_every: int = 10
    """steps between checkpoints"""
    split: str = "train"
    """training questions"""
    epochs: int = 1
    """passes over each step's rollouts"""
    mini_batches: int = 1
    """optimizer updates a pass"""
    loss_mean: Literal["token", "sequence"] = "token"
    """over all policy tokens, or first over each rollout's"""
    dynamic_sampling: int = 0
    """rounds of further questions that replace groups of equal rewards"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """of the weights"""
    device: str = "auto"
    """auto (this process's GPU, if any), cpu, cuda, cuda:1, ..."""
    fsdp: bool = False
    """shard weights, gradients and optimizer over the processes that accelerate or torchrun started"""
    lora_rank: int = 0
    """train LoRA matrices of this rank instead of all weights"""
    track: tuple[str, ...] = ("tensorboard",)
    """where metrics also go: tensorboard, wandb, mlflow and others that accelerate knows"""
    resume: bool = False
    """go on with the run in --out"""

    def run(self) -> int:
        """Trains."""
        from ...policies.open_policy import require_training

        require_training("berrypick train")
        from .train import run_train

        run_train(self)
        return 0
