"""The language-model grid of the diversity tax: the tiny policy, six objectives, two conditions, resumable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...envs.tasks.registry import Task, make_task
from ...policies.language.model import LanguageModelPolicy, load_language_model
from ...policies.policy import Sampling
from ...policies.training.checkpoint import latest_checkpoint
from ...policies.training.rl import RlConfig
from ...policies.training.sft import SftConfig
from ..measures.summary import summarize
from ..runs.evaluation import evaluate
from ..runs.recipes import WORLD_DEMONSTRATIONS
from ..runs.run_folder import write_json
from ..runs.training import train
from ..runs.training_config import TrainConfig
from .arms import ARMS
from .experiment import Cell

__all__ = ["CHECKPOINTS", "LANGUAGE_SEEDS", "OBJECTIVES", "language_cells", "run_language_cell"]

ENV = "berrypick/World-v0"
PRESETS = ("free", "priced")
OBJECTIVES = {
    arm: ARMS[arm].objective.format(f"{ARMS[arm].middle[0]:g}")
    for arm in ("grpo", "dr_grpo", "darling", "batch", "entropy", "pass_at_k")
}
"""Arm -> registered objective at the strength that the tabular grid reads its claims at."""

CHECKPOINTS = (0, 10, 20, 40, 80, 200)
LANGUAGE_SEEDS = 8
SFT_STEPS = 520
QUESTIONS, SAMPLES = 512, 16
MAX_ROWS = 512
KS = (1, 2, 4, 8, 16)


def language_cells(num_seeds: int) -> list[Cell]:
    """One cell an objective, condition and seed; 96 with 8 seeds."""
    return [
        Cell(
            f"language/{preset}/{arm}/seed-{seed:02d}",
            {
                "policy": "language model",
                "preset": preset,
                "arm": arm,
                "objective": objective,
                "seed": seed,
                "sft_steps": SFT_STEPS,
                "steps": CHECKPOINTS[-1],
                "checkpoints": list(CHECKPOINTS),
                "questions": QUESTIONS,
                "samples": SAMPLES,
            },
        )
        for seed in range(num_seeds)
        for arm, objective in OBJECTIVES.items()
        for preset in PRESETS  # innermost: two workers begin with different starts, none waits for the other's SFT
    ]


class _Evaluating:
    """Measures the policy at chosen RL steps while it trains; what is on disk already is not measured again."""

    def __init__(self, config: Mapping[str, Any], policy: LanguageModelPolicy, task: Task, work: Path) -> None:
        self._config, self._policy, self._task, self._work = config, policy, task, work

    def begin(self, done: int) -> None:
        """Nothing is shown."""

    def update(self, step: int, metrics: dict[str, float], episode_text: str | None = None) -> None:
        """Measures at the steps that are wanted."""
        if step in self._config["checkpoints"]:
            self.measure(step)

    def measure(self, step: int) -> dict[str, float]:
        """Values of the policy as it is now, or as they were measured at this step."""
        name = f"{self._config['objective']}-{step}"
        return _measured(self._work / f"measures-{step:04d}.json", self._policy, self._task, self._config, name, step)


def _measured(
    path: Path,
    policy: LanguageModelPolicy,
    task: Task,
    config: Mapping[str, Any],
    name: str,
    step: int,
    *,
    greedy: bool = False,
) -> dict[str, float]:
    """The measures in a file, which is made where there is none yet."""
    if not path.is_file():
        records = evaluate(
            policy,
            task,
            split="test",
            num_questions=config["questions"],
            num_samples=1 if greedy else config["samples"],
            sampling=Sampling(temperature=0.0 if greedy else 1.0, max_new_tokens=32),
            seed=config["seed"],
            policy_id=name,
            checkpoint_step=step,
            max_rows=MAX_ROWS,
        )
        found = summarize(records, ks=(1,) if greedy else KS)["measures"]
        write_json(path, {name: estimate["value"] for name, estimate in found.items()})
    return _read(path)


def _read(path: Path) -> dict[str, float]:
    values: dict[str, float] = json.loads(path.read_text())
    return values


def run_language_cell(cell: Cell, work: Path) -> dict[str, Any]:
    """SFT, shared by the objectives of a seed, then RL with an evaluation at every checkpoint.

    Args:
        cell: from `language_cells`.
        work: the cell's own folder; an interrupted cell goes on from its newest checkpoint.

    Returns:
        {"checkpoints": {step: measures}, "temperatures": {"0": measures of one greedy episode a question}}, names as
        in `summary.py`.
    """
    config = cell.config
    arguments = {"preset": config["preset"], "index": "bm25s"}
    task = make_task(ENV, **arguments)
    shared = work.parent.parent / "sft" / f"seed-{config['seed']:02d}"
    shared.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(shared.with_suffix(".lock")):  # the objectives of a seed may run side by side
        policy = load_language_model(str(_imitated(config, arguments, shared)))
        first = _measured(shared / "measures-0000.json", policy, task, config, "sft", 0)
    view = _Evaluating(config, policy, task, work)
    rl = RlConfig(objective=config["objective"], steps=config["steps"], seed=config["seed"])
    run = TrainConfig(env=ENV, env_args=arguments, policy="sft", rl=rl)
    train(run, policy, task, work / "run", resume=(work / "run" / "config.json").is_file(), view=view)
    steps = [step for step in config["checkpoints"] if 0 < step <= config["steps"]]
    greedy = _measured(
        work / "greedy.json", policy, task, config, f"{config['objective']}-greedy", steps[-1], greedy=True
    )
    return {
        "checkpoints": {"0": first, **{str(step): view.measure(step) for step in steps}},
        "temperatures": {"0": greedy},
    }


def _imitated(config: Mapping[str, Any], arguments: dict[str, Any], out: Path) -> Path:
    """Checkpoint of the SFT policy of this preset and seed."""
    seed, steps = config["seed"], config["sft_steps"]
    run = TrainConfig(
        env=ENV,
        env_args=arguments,
        demonstrations=1,
        demonstration_args=WORLD_DEMONSTRATIONS,
        sft=SftConfig(steps=steps, copying_steps=steps // 4, seed=seed),
        rl=replace(RlConfig(), steps=0),
    )
    done = (out / "config.json").is_file()
    train(run, load_language_model("tiny", seed=seed), make_task(ENV, **arguments), out, resume=done)
    found = latest_checkpoint(out / "checkpoints")
    assert found is not None
    return found
