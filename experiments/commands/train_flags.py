"""The flags of `berrypick train` and `berrypick sweep` as data; the string below a field is its help text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .env_arguments import EnvArgs

__all__ = ["Sweep", "Train"]


@dataclass(frozen=True)
class Train:
    """Trains with SFT on scripted demonstrations, then with RL."""

    env: str
    """environment id, e.g. berrypick/World-v0"""
    out: Path
    """run folder"""
    env_arg: EnvArgs = ()
    """arguments of the environment, e.g. preset=priced index=lucene"""
    policy: str = "tiny"
    """initial weights: tiny, smollm2, a run folder, a folder of weights or a hub id; with vllm: in front, vLLM plays
    the rollouts"""
    objective: str = "grpo"
    """RL objective; berrypick list shows all"""
    steps: int = 40
    """RL steps"""
    sft_steps: Annotated[
        int | None,
        tyro.conf.arg(help_behavior_hint="(default: 520 for tiny on the World, which starts from nothing, else 0)"),
    ] = None
    """SFT steps before RL"""
    seed: int = 0
    """seed of the whole run"""
    demonstrator: str = "random_order"
    """scripted policy that SFT imitates; on corpora bridge, bridge:ways=4 or bridge:thoughts=true; or file:PATH, your
    own rollouts"""
    questions_per_step: int = 16
    """questions per RL step, one group each"""
    group_size: int = 8
    """rollouts per question"""
    learning_rate: Annotated[
        float | None, tyro.conf.arg(help_behavior_hint="(default: 1e-4 below 5 M parameters, else 1e-6)")
    ] = None
    """RL learning rate"""
    sft_learning_rate: Annotated[
        float | None, tyro.conf.arg(help_behavior_hint="(default: 4e-3 below 5 M parameters, else 2e-5)")
    ] = None
    """peak SFT learning rate"""
    sft_batch_size: int = 32
    """demonstrations per SFT step"""
    demonstrations: int = 1
    """demonstrations per training question; World demonstrates the 4,096 questions of another world instead; bridge
    repeats its different ones up to this number"""
    sft_packing: bool = False
    """put several demonstrations into one row; they do not attend to each other"""
    sft_validation: float = 0.0
    """share of the demonstrated questions held out for validation; SFT ends with the weights of the lowest validation
    loss"""
    sft_validate_every: int = 20
    """SFT steps between validations; each validation writes a checkpoint"""
    sft_patience: int = 0
    """end SFT after this many validations without a lower loss; 0 never ends it early"""
    max_new_tokens: int = 32
    """maximum number of tokens per turn"""
    max_tokens: int = 4096
    """padded tokens per micro-batch; lower it to save memory"""
    checkpoint_every: int = 10
    """RL steps between checkpoints; SFT writes one every ten times as many steps"""
    split: str = "train"
    """split that the training questions come from"""
    holdout: int = 0
    """hold out so many questions as split holdout and train on the others (corpora); 0 keeps the splits of the data"""
    train_questions: Annotated[str, tyro.conf.arg(help_behavior_hint="(default: all)")] = ""
    """number of training questions, or a file of questions on the same corpus to train on"""
    epochs: int = 1
    """passes over the rollouts of each step"""
    mini_batches: int = 1
    """optimizer updates per pass"""
    loss_mean: Literal["token", "sequence"] = "token"
    """average the loss over all policy tokens, or first over those of each rollout"""
    dynamic_sampling: int = 0
    """maximum number of extra rounds of questions that replace groups of equal rewards"""
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    """format to compute in; the weights stay float32; auto: bfloat16 where the processor has instructions for it"""
    device: str = "auto"
    """device of the weights: auto (this process's GPU, if there is one), cpu, cuda, cuda:1, ..."""
    fsdp: bool = False
    """shard weights, gradients and optimizer over the processes that accelerate or torchrun started"""
    lora_rank: int = 0
    """train LoRA matrices of this rank instead of all weights; 0 trains all weights"""
    track: tuple[str, ...] = ("tensorboard",)
    """also log metrics to tensorboard, wandb, mlflow or another tracker that accelerate knows"""
    on_collapse: Literal["warn", "stop"] = "warn"
    """at a sign of collapse, show an alarm, or also stop after a checkpoint"""
    resume: bool = False
    """continue the run in --out; with more --steps than before, RL goes on to that number"""


@dataclass(frozen=True)
class Sweep(Train):
    """Trains several objectives with several seeds, on Ray.

    Each objective and seed is one run of berrypick train, whose flags it takes.

    Interrupted runs resume, finished ones are not run again.
    """

    out: Path
    """folder of the sweep; all machines of a cluster must see it"""
    objective: tyro.conf.Suppress[str] = "grpo"
    seed: tyro.conf.Suppress[int] = 0
    resume: bool = False
    """changes nothing: a sweep always resumes"""
    objectives: tuple[str, ...] = ("grpo", "darling")
    """objectives with their options, e.g. grpo darling:floor=0.1 darling:floor=0.3"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """seeds of the training runs"""
    address: Annotated[str | None, tyro.conf.arg(help_behavior_hint="(default: start Ray on this machine)")] = None
    """address of a Ray cluster"""
    workers: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: one per CPU)")] = None
    """number of cells trained at a time on this machine"""
    json: bool = False
    """print one JSON document"""
