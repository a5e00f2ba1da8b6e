"""What all cells of language models do: start from a World's SFT policy, and measure at chosen steps of RL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...envs.tasks.registry import Task
from ...policies.language.model import LanguageModelPolicy, load_language_model
from ...policies.training.checkpoint import latest_checkpoint
from ..runs.phase import Phase
from ..runs.recipes import world_sft
from ..runs.training import train
from ..runs.training_config import EnvArgument, TrainConfig, TrainView

__all__ = ["CheckpointView", "imitated", "resumed"]


def imitated(
    arguments: Mapping[str, EnvArgument],
    task: Task,
    out: Path,
    *,
    steps: int,
    seed: int,
    demonstrator: str = "random_order",
    policy: LanguageModelPolicy | None = None,
) -> Path:
    """The last checkpoint of the SFT policy of a World; trains it, or finishes its training, if need be.

    Args:
        arguments: of the World.
        task: the World.
        out: run folder of SFT; whoever shares it locks it.
        steps: SFT steps.
        seed: of weights, demonstrations and batches.
        demonstrator: the scripted policy that is imitated.
        policy: fresh weights; by default those of the tiny policy.
    """
    run = world_sft(arguments, steps=steps, seed=seed, demonstrator=demonstrator)
    fresh = policy or load_language_model("tiny", seed=seed)
    resumed(run, fresh, task, out)
    found = latest_checkpoint(out / "checkpoints")
    assert found is not None
    return found


def resumed(
    run: TrainConfig, policy: LanguageModelPolicy, task: Task, out: Path, view: TrainView | None = None
) -> None:
    """Trains the policy in a run folder, or finishes what an interrupted cell began there."""
    train(run, policy, task, out, resume=(out / "config.json").is_file(), view=view)


@dataclass(frozen=True)
class CheckpointView:
    """A training view that shows nothing and measures the policy at chosen steps.

    Attributes:
        steps: of RL.
        measure: called with the step; it keeps what it finds.
    """

    steps: Collection[int]
    measure: Callable[[int], object]

    def begin(self, step: int, phase: Phase) -> None:
        """Shows nothing."""

    def update(self, step: int, metrics: dict[str, float], episode_text: str | None = None) -> None:
        """Measures the policy if this step is a checkpoint."""
        if step in self.steps:
            self.measure(step)
