"""The flags of each command as data; `parser.py` says which function each of them runs.

The string below a field is its help text. The flags of `berrypick train` and `sweep` are in `train_flags.py`,
those of the commands that read rollouts in `rollout_flags.py`, those of experiments in `run_flags.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .env_arguments import EnvArgs

__all__ = [
    "Agent",
    "Classifier",
    "Demo",
    "Eval",
    "Explain",
    "List",
    "NoneByDefault",
    "Paths",
    "Play",
]

Paths = Annotated[
    tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PATH ...", help_behavior_hint="(at least one)")
]
_OptionalPath = Annotated[
    tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[ROLLOUTS]", help_behavior_hint="(default: none)")
]
_FirstByDefault = tyro.conf.arg(help_behavior_hint="(default: the first)")
NoneByDefault = tyro.conf.arg(help_behavior_hint="(default: none)")


@dataclass(frozen=True)
class Demo:
    """Trains and compares three objectives on the embedded world.

    It builds the index, trains with SFT and then RL, measures and reports.
    """

    out: Path = Path("runs/demo")
    """run folder"""
    seed: int = 0
    """seed of the whole run"""
    steps: int = 40
    """RL steps for each objective"""
    sft_steps: int = 520
    """SFT steps"""
    questions: int = 256
    """number of test questions"""
    samples: int = 8
    """rollouts per test question"""
    index: str = "lucene"
    """search back end: lucene (needs the lucene extra) or bm25s"""
    seeds: int = 1
    """number of seeds, each a whole run; above 1 also measures the training questions and pools the seeds"""
    resume: bool = False
    """continue an interrupted demo"""
    no_html: bool = False
    """do not write report.html into the run folder"""


@dataclass(frozen=True)
class Agent:
    """Trains a pretrained model to search real text, and measures it.

    It imitates scripted demonstrations on the question sets that are there, and is then measured on held-out questions
    beside itself without retrieval.
    """

    out: Path = Path("runs/agent")
    """run folder"""
    policy: str = "smollm2"
    """weights to start from: smollm2, a folder of weights or a hub id"""
    sets: tuple[str, ...] = ("hotpotqa", "2wikimultihopqa", "musique")
    """question sets to learn from and to be measured on: names below BERRYPICK_DATA or folders"""
    reading: tuple[str, ...] = ("wiki18_singlehop",)
    """question sets to learn from only"""
    holdout: int = 300
    """questions of each set that are held out"""
    questions: int = 100
    """held-out questions of each set to be measured on"""
    sft_steps: int = 100
    """updates on eight demonstrations each"""
    dtype: Literal["float32", "bfloat16", "auto"] = "auto"
    """format to compute in; auto: bfloat16 where the processor has instructions for it"""
    seed: int = 0
    """seed of the whole run"""
    resume: bool = False
    """continue an interrupted run"""


@dataclass(frozen=True)
class List:
    """Lists environments, policies, experiments, reward terms and objectives."""

    json: bool = False
    """print one JSON document"""


@dataclass(frozen=True)
class Play:
    """Lets you search by hand, shows a policy at work, or replays an episode.

    With --policy: each turn is shown when it has been played.

    With ROLLOUTS: Enter shows the next turn, b goes back, q quits.

    n and p show the next and the previous episode.
    """

    rollouts: _OptionalPath = None
    """rollouts file or run folder to replay an episode of"""
    episode: Annotated[int | None, _FirstByDefault] = None
    """number of the episode in ROLLOUTS, from 1"""
    question: Annotated[str, NoneByDefault] = ""
    """id of a question in ROLLOUTS: replays its first episode, or its --sample"""
    sample: Annotated[int | None, _FirstByDefault] = None
    """sample index of the episode of --question"""
    env: str = "berrypick/World-v0"
    """environment id"""
    env_arg: EnvArgs = ()
    """arguments of the environment"""
    split: Annotated[str, tyro.conf.arg(help_behavior_hint="(default: train, or one that has questions)")] = ""
    """split that the question comes from"""
    seed: int = 0
    """chooses the question, and seeds the policy's draws"""
    policy: Annotated[str, NoneByDefault] = ""
    """policy to watch, named as for berrypick eval"""
    ask: Annotated[str, tyro.conf.arg(help_behavior_hint="(default: one of the split)")] = ""
    """question of yours that the policy is asked"""
    temperature: float = 0.0
    """sampling temperature of the policy; 0 is greedy"""
    max_new_tokens: Annotated[
        int | None, tyro.conf.arg(help_behavior_hint="(default: as trained, where the policy says so, else 64)")
    ] = None
    """maximum number of tokens per turn of the policy"""
    device: str = "auto"
    """device of the weights, as for berrypick eval"""


@dataclass(frozen=True)
class Eval:
    """Plays a policy on a split, records the rollouts and measures them."""

    env: str
    """environment id"""
    policy: str
    """scripted policy, tiny, smollm2, run folder, folder of weights or hub id (each also behind vllm:), URL#MODEL of a
    completions endpoint, or chat:URL#MODEL of a chat endpoint"""
    out: Path
    """run folder; receives rollouts.jsonl and report.json"""
    env_arg: EnvArgs = ()
    """arguments of the environment"""
    split: str = "test"
    """split that the questions come from"""
    holdout: int = 0
    """play the questions that berrypick train --holdout N held out; 0 plays --split"""
    samples: int = 8
    """rollouts per question"""
    questions: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: all)")] = None
    """number of questions, drawn from the split with --seed"""
    first: bool = False
    """take the first --questions of the split instead of drawing them"""
    temperature: float = 1.0
    """sampling temperature; 0 is greedy"""
    top_p: float = 1.0
    """nucleus sampling: probability mass that tokens are drawn from"""
    max_new_tokens: Annotated[
        int | None, tyro.conf.arg(help_behavior_hint="(default: the preset's, else 32, or 512 for chat:)")
    ] = None
    """maximum number of tokens per turn"""
    preset: Annotated[str, NoneByDefault] = ""
    """search-r1: prompt, tags, top-k, turns and observation limit as published"""
    control: Annotated[str, NoneByDefault] = ""
    """replaces retrieval: empty, random, oracle (the question's evidence) or closed_book"""
    max_rows: int = 512
    """maximum number of episodes played at a time"""
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    """format to compute in; auto: bfloat16 where the processor has instructions for it"""
    device: str = "auto"
    """device of the weights: auto (the GPU, if there is one), cpu, cuda, cuda:1, ..."""
    seed: int = 0
    """seed of the rollouts"""
    resume: bool = False
    """continue an interrupted evaluation"""
    no_html: bool = False
    """do not write report.html into the run folder"""
    json: bool = False
    """print one JSON document"""


@dataclass(frozen=True)
class Explain:
    """Explains a measure: label, unit, meaning and how it is computed."""

    measure: Annotated[tyro.conf.Positional[str], tyro.conf.arg(help_behavior_hint="(default: lists all)")] = ""
    """key or label of a measure, e.g. pass@8 or "to frontier" """
    json: bool = False
    """print one JSON document"""


@dataclass(frozen=True)
class Classifier:
    """Learns from rollouts which queries are equivalent.

    The objective darling:classifier=DIR uses the result.
    """

    rollouts: Paths
    """run folders or rollouts files with several rollouts per question"""
    out: Path
    """new folder for the classifier"""
    encoder: str = "hashed"
    """encoder of the queries: hashed (words), minilm or a hub id"""
    held_out: float = 0.25
    """share of the questions that only measure the classifier"""
    seed: int = 0
    """seed of the split into learned and held-out questions"""
    json: bool = False
    """print one JSON document"""
