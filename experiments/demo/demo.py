"""The demo on the embedded world: index, SFT, RL arms, measures, report. Every part can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from ...envs.episode import Episode
from ...envs.record import EpisodeRecord
from ...envs.tasks.registry import Task, make_task
from ...policies.language.model import LanguageModelPolicy, load_language_model
from ...policies.policy import Sampling
from ...policies.training.checkpoint import latest_checkpoint
from ..measures.arms_report import measure_arms
from ..measures.paired import compare
from ..measures.rows import ArmsReport
from ..report.arms import Episodes
from ..report.closing import print_closing, report_console
from ..report.frontier_figure import draw_frontier
from ..report.live import LiveView
from ..report.page import report_closing, write_page
from ..report.terminal import final_screen
from ..runs.evaluation import evaluate
from ..runs.partial_rollouts import finished_rollouts
from ..runs.recipes import ENV, world_rl, world_sft
from ..runs.run_folder import hold_run_folder, write_json
from ..runs.training import train
from ..runs.training_config import TrainConfig

__all__ = ["ARMS", "DemoConfig", "demo_report", "print_demo", "run_demo"]

ARMS = {"GRPO": "grpo", "Dr. GRPO": "dr_grpo", "DARLING": "darling"}


@dataclass(frozen=True)
class DemoConfig:
    """Settings of the demo; see `berrypick demo --help`.

    Attributes:
        measure_training: also measure the reward on the fixed training questions, before and after RL.
    """

    seed: int = 0
    steps: int = 40
    sft_steps: int = 520
    questions: int = 256
    samples: int = 8
    index: str = "lucene"
    measure_training: bool = False

    @property
    def env_args(self) -> dict[str, str]:
        """The arguments of the environment."""
        return {"preset": "priced", "index": self.index}

    def sft(self) -> TrainConfig:
        """Configures SFT of untrained weights on random-order demonstrations for another World's questions."""
        return world_sft(self.env_args, steps=self.sft_steps, seed=self.seed)

    def rl(self, objective: str, start: Path) -> TrainConfig:
        """Configures RL that starts from the SFT weights."""
        return world_rl(self.env_args, start=str(start), objective=objective, steps=self.steps, seed=self.seed)


def run_demo(config: DemoConfig, out: Path, *, resume: bool, show: bool = True, page: bool = True) -> ArmsReport:
    """Trains and measures all arms, writes report.json and report.html, prints the screen and returns the report.

    Args:
        config: settings.
        out: run folder.
        resume: continue an interrupted demo.
        show: print the final screen.
        page: write report.html.
    """
    task = make_task(ENV, **config.env_args)
    with hold_run_folder(out, {"command": "demo", **asdict(config)}, resume=resume):
        arms, report = _train_and_measure(config, task, out)
        written, why = write_page([out], arms, report) if page else (None, "")
    if show:
        print_demo(report, report_console())
        print_closing(report_console(), report_closing([out], written, why))
    return report


def _train_and_measure(config: DemoConfig, task: Task, out: Path) -> tuple[Episodes, ArmsReport]:
    base = load_language_model("tiny", seed=config.seed)
    _measure("untrained", base, task, config, out)
    sft = _trained("SFT", config.sft(), base, task, out / "sft")
    _measure("SFT", sft, task, config, out)
    start = latest_checkpoint(out / "sft" / "checkpoints")
    assert start is not None
    for name, objective in ARMS.items():
        policy = load_language_model(str(start))
        policy = _trained(name, config.rl(objective, start.relative_to(out)), policy, task, out / objective)
        _measure(name, policy, task, config, out)
    arms = {name: finished_rollouts(_rollouts(out, name)) for name in ("untrained", "SFT", *ARMS)}
    report = demo_report(arms)
    if config.measure_training:
        report["training_reward"] = {name: _training_reward(out, name) for name in ("SFT", *ARMS)}
    write_json(out / "report.json", report)
    if find_spec("matplotlib"):
        draw_frontier([report], out / "figures", title="World, preset priced: held-out questions")
    return arms, report


def _trained(name: str, config: TrainConfig, policy: LanguageModelPolicy, task: Task, out: Path) -> LanguageModelPolicy:
    with LiveView(name, config.sft.steps + config.rl.steps) as view:
        return train(config, policy, task, out, resume=True, view=view)


def _rollouts(out: Path, name: str, split: str = "test") -> Path:
    folder = "eval" if split == "test" else f"eval_{split}"
    return out / folder / name.lower().replace(". ", "_") / "rollouts.jsonl"


def _training_reward(out: Path, name: str) -> float:
    records = finished_rollouts(_rollouts(out, name, "train"))
    return sum(record.reward or 0.0 for record in records) / len(records)


def _measure(name: str, policy: LanguageModelPolicy, task: Task, config: DemoConfig, out: Path) -> None:
    """Plays the test questions, and the training questions if the configuration asks for them."""
    _play_split(name, policy, task, config, _rollouts(out, name), "test")
    if config.measure_training and name != "untrained":
        _play_split(name, policy, task, config, _rollouts(out, name, "train"), "train")


def _play_split(name: str, policy: LanguageModelPolicy, task: Task, config: DemoConfig, file: Path, split: str) -> None:
    """Plays the first questions of a split, unless that evaluation exists already."""
    if file.is_file():
        return
    with LiveView(f"measure {name}", config.questions * config.samples) as view:

        def progress(done: int, batch: Sequence[Episode]) -> None:
            view.update(done, {"reward": sum(episode.reward for episode in batch) / len(batch)})

        evaluate(
            policy,
            task,
            split=split,
            num_questions=config.questions,
            num_samples=config.samples,
            sampling=Sampling(max_new_tokens=32),
            seed=config.seed,
            out=file.parent,
            policy_id=name,
            on_progress=progress,
        )


def demo_report(arms: dict[str, list[EpisodeRecord]]) -> ArmsReport:
    """Measures all arms and compares each RL arm with SFT, and DARLING with Dr. GRPO."""
    report = measure_arms(arms)
    pairs = [(name, "SFT") for name in ARMS] + [("DARLING", "Dr. GRPO")]
    report["differences"] = {f"{a} - {b}": compare(arms[b], arms[a]) for a, b in pairs if a in arms and b in arms}
    return report


def print_demo(report: ArmsReport, console: Console) -> None:
    """Prints the final screen."""
    final_screen(console, "berrypick demo: berrypick/World-v0, preset priced, held-out questions", report)
