"""The agents of the study: on which questions each is trained, from what start, and with what settings.

A replicate is a seed: it deals the training questions to SFT and to RL, so that RL never asks a question that SFT
showed, and it seeds demonstrations, rollouts and batches. The held-out questions are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from ...envs.data.splits import seeded_order
from ...envs.questions import Question
from ...envs.tasks.registry import Task, make_task
from ...policies.language.adapter import load_adapter
from ...policies.language.model import LanguageModelPolicy
from ...policies.policy_rules import is_adapter
from ...policies.training.rl_config import RlConfig
from ...policies.training.sft import SftConfig
from ...retrieval_index.errors import BerrypickError
from ..runs.preparation import open_trainee
from ..runs.recipes import CPU_MICRO_BATCH
from ..runs.training import train
from ..runs.training_config import EnvArgument, TrainConfig

__all__ = ["AGENTS", "DTYPE", "RULES", "SETS", "Agent", "Sizes", "task_of", "trained", "training_task"]

SETS: Mapping[str, str] = {
    "hotpotqa": "berrypick/HotpotQA-v0",
    "2wiki": "berrypick/2WikiMultiHopQA-v0",
    "musique": "berrypick/MuSiQue-v0",
}
"""Set -> environment. Agents are trained on the first; the others show what carries over."""

RULES: Mapping[str, EnvArgument] = {
    "template": "bare",
    "top_k": 2,
    "max_passage_words": 60,
    "max_turns": 4,
    "search_budget": 3,
    "reward": "em",
}
"""Of all episodes: three searches, two passages each, cut to 60 words."""

DTYPE = "bfloat16"
"""Format of forwards and backwards; weights and LoRA matrices are float32 while they train."""

LORA_RANK = 8


@dataclass(frozen=True)
class Sizes:
    """How much an agent is trained, and on which questions; the full sizes are the defaults.

    Attributes:
        model: the pretrained weights, as `open_policy` names them.
        held_out: questions of each set that no agent is trained on.
        rl_questions: training questions dealt to RL; the others are demonstrated.
        sft_steps: updates on `sft_batch` demonstrations.
        rl_steps: updates on `questions` groups of `group` rollouts.
        max_new_tokens: of a turn.
    """

    model: str = "smollm2"
    held_out: int = 300
    rl_questions: int = 240
    sft_steps: int = 60
    sft_batch: int = 8
    sft_rate: float = 1e-3
    rl_steps: int = 60
    questions: int = 4
    group: int = 8
    rl_rate: float = 3e-4
    max_new_tokens: int = 48


@dataclass(frozen=True)
class Agent:
    """One arm.

    Attributes:
        summary: what it is, for the page.
        demonstrator: of SFT; "" for an agent trained by RL.
        start: the agent whose weights RL starts from.
        objective: of RL.
        sft_factor: SFT updates, as a multiple of `Sizes.sft_steps`.
    """

    summary: str
    demonstrator: str = ""
    start: str = ""
    objective: str = ""
    sft_factor: float = 1.0


AGENTS: Mapping[str, Agent] = {
    "sft_diverse": Agent("SFT, up to four ways to ask each question", demonstrator="bridge:ways=4"),
    "sft_narrow": Agent("SFT, one way to ask each question", demonstrator="bridge:ways=1"),
    "grpo": Agent("GRPO from sft_diverse", start="sft_diverse", objective="grpo"),
    "pass_mix": Agent("half pass@1, half pass@4 credit, from sft_diverse", start="sft_diverse", objective="pass_mix"),
    "grpo_narrow": Agent("GRPO from sft_narrow", start="sft_narrow", objective="grpo"),
    "grpo_shuffled": Agent(
        "control: GRPO from sft_diverse on shuffled rewards", start="sft_diverse", objective="grpo_shuffled"
    ),
    "sft_more": Agent(
        "control: SFT like sft_diverse, longer by as many episodes as RL updates on",
        demonstrator="bridge:ways=4",
        sft_factor=5.0,
    ),
}


@lru_cache(maxsize=4)
def task_of(name: str, held_out: int) -> Task:
    """A set under the study's rules with its splits "train" and "holdout"; kept for the next cells of a process."""
    return make_task(SETS[name], holdout=held_out, **RULES)


def training_task(seed: int, phase: str, sizes: Sizes) -> Task:
    """HotpotQA with the questions that a replicate trains on in a phase, "sft" or "rl", as split "train".

    Raises:
        BerrypickError: the set has too few questions.
    """
    task = task_of("hotpotqa", sizes.held_out)
    order = seeded_order(task.split("train"), seed)
    if len(order) <= sizes.rl_questions:
        raise BerrypickError(
            f"{task.env_id} has {len(order)} training questions, and RL alone takes {sizes.rl_questions}; "
            "see docs/data.md for the data"
        )
    dealt: tuple[Question, ...] = tuple(order[: sizes.rl_questions] if phase == "rl" else order[sizes.rl_questions :])
    return replace(task, questions={**task.questions, "train": dealt})


def trained(name: str, seed: int, root: Path, sizes: Sizes) -> LanguageModelPolicy:
    """An agent of a replicate, ready to play: trained now, or loaded from an earlier call.

    Args:
        name: of `AGENTS`.
        seed: the replicate.
        root: folder of all agents of the study; processes may share it.
        sizes: how much it is trained.

    Raises:
        BerrypickError: weights or data are missing.
    """
    return load_adapter(_adapter(name, seed, root, sizes), dtype=DTYPE)


def _adapter(name: str, seed: int, root: Path, sizes: Sizes) -> Path:
    """The folder of an agent's LoRA matrices; trains the agent, and first the one it starts from, if need be."""
    agent, out = AGENTS[name], root / f"seed-{seed}" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.with_suffix(".lock")):
        if not is_adapter(out / "adapter"):
            start = _adapter(agent.start, seed, root, sizes) if agent.start else None
            _train(agent, seed, out, sizes, start)
    return out / "adapter"


def _train(agent: Agent, seed: int, out: Path, sizes: Sizes, start: Path | None) -> None:
    task = training_task(seed, "rl" if start else "sft", sizes)
    name = str(start.resolve()) if start else sizes.model
    trainee = open_trainee(name, seed=seed, dtype=DTYPE, device="auto", lora_rank=LORA_RANK)
    config = TrainConfig(
        env=SETS["hotpotqa"],
        env_args={**RULES, "holdout": sizes.held_out},
        policy=name,
        dtype=DTYPE,
        lora_rank=LORA_RANK,
        demonstrator=agent.demonstrator or "bridge",
        demonstrations=4,
        sft=SftConfig(
            steps=0 if start else round(sizes.sft_steps * agent.sft_factor),
            batch_size=sizes.sft_batch,
            learning_rate=sizes.sft_rate,
            max_tokens=CPU_MICRO_BATCH,
            seed=seed,
        ),
        rl=RlConfig(
            objective=agent.objective or "grpo",
            steps=sizes.rl_steps if start else 0,
            questions_per_step=sizes.questions,
            group_size=sizes.group,
            learning_rate=sizes.rl_rate,
            max_new_tokens=sizes.max_new_tokens,
            max_tokens=CPU_MICRO_BATCH,
            seed=seed,
        ),
        checkpoint_every=5,
    )
    resume = (out / "config.json").is_file()
    train(config, trainee.policy, task, out, resume=resume, track=())
