"""The language-model grid of the diversity tax: the tiny policy, six objectives, two conditions, resumable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..envs.tasks import Task, make_task
from ..policies.checkpoint import latest_checkpoint
from ..policies.language_model import LanguageModelPolicy, load_language_model
from ..policies.policy import Sampling
from ..policies.rl import RlConfig
from ..policies.sft import SftConfig
from .diversity_tax_arms import ARMS
from .evaluation import evaluate
from .run_folder import write_json
from .runner import Cell
from .summary import summarize
from .training import WORLD_DEMONSTRATIONS, TrainConfig, train

__all__ = ["CHECKPOINTS", "OBJECTIVES", "language_cells", "run_language_cell"]

ENV = "berrypick/World-v0"
PRESETS = ("free", "priced")
OBJECTIVES = {
    arm: ARMS[arm].objective.format(f"{ARMS[arm].middle[0]:g}")
    for arm in ("grpo", "dr_grpo", "darling", "batch", "entropy", "pass_at_k")
}
"""Arm -> registered objective at the strength that the tabular grid reads its claims at."""

CHECKPOINTS = (0, 10, 20, 40, 80, 200)
QUESTIONS, SAMPLES = 512, 16
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
                "sft_steps": 240,
                "steps": CHECKPOINTS[-1],
                "checkpoints": list(CHECKPOINTS),
                "questions": QUESTIONS,
                "samples": SAMPLES,
            },
        )
        for seed in range(num_seeds)
        for preset in PRESETS
        for arm, objective in OBJECTIVES.items()
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
        path = self._work / f"measures-{step:04d}.json"
        if not path.is_file():
            records = evaluate(
                self._policy,
                self._task,
                split="test",
                num_questions=self._config["questions"],
                num_samples=self._config["samples"],
                sampling=Sampling(max_new_tokens=32),
                seed=self._config["seed"],
                policy_id=f"{self._config['objective']}-{step}",
                checkpoint_step=step,
            )
            found = summarize(records, ks=KS)["measures"]
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
        {"checkpoints": {step: measures}}, names as in `summary.py`.
    """
    config = cell.config
    arguments = {"preset": config["preset"], "index": "bm25s"}
    task = make_task(ENV, **arguments)
    start = _imitated(config, arguments, work.parent.parent / "sft" / f"seed-{config['seed']:02d}")
    policy = load_language_model(str(start))
    view = _Evaluating(config, policy, task, work)
    if 0 in config["checkpoints"]:
        view.measure(0)
    rl = RlConfig(objective=config["objective"], steps=config["steps"], seed=config["seed"])
    run = TrainConfig(env=ENV, env_args=arguments, policy="sft", rl=rl)
    train(run, policy, task, work / "run", resume=(work / "run" / "config.json").is_file(), view=view)
    steps = [step for step in config["checkpoints"] if step <= config["steps"]]
    return {"checkpoints": {str(step): view.measure(step) for step in steps}}


def _imitated(config: Mapping[str, Any], arguments: dict[str, Any], out: Path) -> Path:
    """Checkpoint of the SFT policy of this preset and seed."""
    seed, steps = config["seed"], config["sft_steps"]
    run = TrainConfig(
        env=ENV,
        env_args=arguments,
        demonstrations=1,
        demonstration_args=WORLD_DEMONSTRATIONS,
        sft=SftConfig(steps=steps, copying_steps=steps // 3, seed=seed),
        rl=replace(RlConfig(), steps=0),
    )
    done = (out / "config.json").is_file()
    train(run, load_language_model("tiny", seed=seed), make_task(ENV, **arguments), out, resume=done)
    found = latest_checkpoint(out / "checkpoints")
    assert found is not None
    return found
