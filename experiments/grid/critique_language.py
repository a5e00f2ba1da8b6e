"""The critique loop with language models: retries follow a comment in the prompt, rounds retrain from one base.

The base of a World is the tiny policy after SFT on another World: on a demonstrator's episodes, and on retries after
comments, most of which avoid the kinds that the comment names. A round plays questions of the World, accepts as
`critique_round` does, and fine-tunes the base on what was accepted and on as many of the base's demonstrations. What is
hard is fixed once, by rollouts of the base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...envs.episode import Episode
from ...envs.tasks.registry import Task, make_task
from ...policies.policy import Policy, Sampling
from ...retrieval_index.files import whole_folder
from ..runs.recipes import ENV, WORLD_DEMONSTRATIONS, copying_steps
from ..runs.run_folder import kept_json
from .commented import commented_demonstrations
from .condition import FIRST_WORLD, Condition
from .critique_episodes import accepted_shares, hard_questions
from .experiment import Cell, CellResult
from .language_bounds import SHARE, answerable_share
from .language_worlds import check_base, language_cell, play_groups, settings_of, world_folder
from .measuring import Limits

if TYPE_CHECKING:
    from ...policies.language.model import LanguageModelPolicy
    from ...policies.training.critique import Critic

__all__ = ["CRITIQUE_LANGUAGE_MEASURES", "CritiqueGrid"]

CRITIQUE_LANGUAGE_MEASURES = (
    "hard_share", "hard_share_change", "coverage", "coverage_hard", "accepted", "signatures", "repaired", "pass@1",
    "pass@8", "pass@1_hard", "pass@8_hard", "tested", "tested_blind", "test_gain",
)  # fmt: skip
"""As of tables, see `CRITIQUE_MEASURES`, on test questions of the World; tested_blind: with a retry that is told
nothing, test_gain: tested - tested_blind."""

_SAMPLING = Sampling(max_new_tokens=32)
LEAST = 32
"""Demonstrations beside the accepted episodes, where these are fewer."""


@dataclass(frozen=True)
class CritiqueGrid:
    """The cells: the tiny policy in a World of its own for each replicate.

    Attributes:
        condition: the World, and the shares in which its demonstrator draws kinds.
        arms: name -> (critic of `CRITICS`, whether comments are shuffled).
        num_worlds: no more are run, whatever `--seeds` says.
        first_world: World seed of replicate 0.
        questions: to train on, and as many to test.
        attempts: first attempts at each.
        rounds: of self-training.
        base_steps: SFT steps of the base.
        round_steps: of a round; each begins with the base.
        learning_rate: peak, of a round.
        label_rollouts: of the base on each question, which say what is hard.
        samples: attempts at each test question, of which pass@8 is read.
        least: pass@1 that the base must have on test questions, see `check_base`.
    """

    condition: Condition
    arms: Mapping[str, tuple[str, bool]]
    num_worlds: int = 8
    first_world: int = FIRST_WORLD
    questions: int = 256
    attempts: int = 5
    rounds: int = 3
    base_steps: int = 520
    round_steps: int = 40
    learning_rate: float = 1e-3
    label_rollouts: int = 16
    samples: int = 8
    least: float = 0.2

    @property
    def about(self) -> str:
        """What was trained and what its measures are, for the page."""
        return (
            f"A model of 0.8 M parameters that was trained from nothing, in {self.num_worlds} Worlds of its own, "
            f"after {self.rounds} rounds of self-training from one base. Rollouts on test questions of these "
            "Worlds; hard ones are the quarter of the solvable ones that the base answers least. critique: right "
            "with a retry after a comment; tested blind: with a retry that is told nothing; critique over two: the "
            "first less the second (of tables, less two attempts)."
        )

    def cells(self, num_seeds: int) -> list[Cell]:
        """World by world; the arms of a world share the base."""
        kept = settings_of(self, "condition", "arms", "num_worlds", "first_world", "least")
        return [
            language_cell(
                self.condition, arm, seed, self.first_world + seed, {**kept, "critic": critic, "shuffled": shuffled}
            )
            for seed in range(min(num_seeds, self.num_worlds))
            for arm, (critic, shuffled) in self.arms.items()
        ]

    def limits(self, condition: Condition) -> Mapping[str, Limits]:
        """Shares, and a gain that is largest where no blind retry helps and smallest where only blind ones do."""
        most = answerable_share(condition)
        return {"hard_share": SHARE, "pass@1_hard": SHARE, "pass@1": (0.0, most), "test_gain": (-most, most)}

    def run(self, cell: Cell, work: Path) -> CellResult:
        """Trains and measures an arm.

        Raises:
            BerrypickError: the base is worse than `least`.
        """
        return _run(cell, work, self.least)


def _run(cell: Cell, work: Path, least: float) -> CellResult:
    # loads transformers, which tabular cells do without
    from ...policies.language.episode_rows import rows_of
    from ...policies.language.model import load_language_model
    from ...policies.training.critique import CRITICS, CritiqueConfig, critique_round
    from ...policies.training.sft import SftConfig
    from ...policies.training.sft_fit import fit_sft

    config = cell.config
    place = Condition.of(config["condition"])
    arguments = {**place.env_args(config["world_seed"], config["questions"]), "num_test": config["questions"]}
    task = make_task(ENV, **arguments)
    demonstrations = commented_demonstrations(
        make_task(ENV, **{**arguments, **WORLD_DEMONSTRATIONS}), place.start, config["seed"]
    )
    with world_folder(work, "base", place.slug) as shared:
        base = _base(shared / "model", demonstrations, config)
        first = load_language_model(str(base))
        labels = kept_json(shared / "labels.json", lambda: _labels(first, task, config))
    hard = {split: hard_questions(task.split(split), np.array(labels[split])) for split in ("train", "test")}
    start = kept_json(
        shared / "start.json", lambda: _tested(first, task, hard["test"], CRITICS["void_records"], config)
    )
    check_base(start["pass@1"], least, "CritiqueGrid.base_steps")
    checkpoints, policy, first_share = {"0": start}, first, float("nan")
    order = np.random.default_rng((config["seed"], 51)).permutation(len(demonstrations))
    for number in range(config["rounds"]):
        settings = CritiqueConfig(
            num_samples=config["attempts"], shuffled=config["shuffled"], sampling=_SAMPLING,
            seed=1_000 * config["seed"] + number,
        )  # fmt: skip
        played = critique_round(
            policy, CRITICS[config["critic"]], task.split("train"), task.spec, task.searcher, settings
        )
        beside = [demonstrations[at] for at in order[: max(LEAST, len(played.accepted))]]
        policy = load_language_model(str(base))
        steps = SftConfig(
            steps=config["round_steps"], learning_rate=config["learning_rate"], seed=10 * config["seed"] + number
        )
        fit_sft(policy, rows_of(policy, [*played.accepted, *beside]), steps)
        found = accepted_shares(played, task.split("train"), hard["train"])
        first_share = found["hard_share"] if number == 0 else first_share
        found["hard_share_change"] = found["hard_share"] - first_share
        last = (
            number == config["rounds"] - 1
        )  # tests take as long as a round: only the first and the last policy has them
        tested = _tested(policy, task, hard["test"], CRITICS["void_records"], config) if last else {}
        checkpoints[str(number + 1)] = {**found, **tested}
    return {"checkpoints": checkpoints}


def _base(folder: Path, demonstrations: Sequence[Episode], config: Mapping[str, Any]) -> Path:
    """The folder of the base's weights; trains it if it is not there."""
    from ...policies.language.episode_rows import rows_of
    from ...policies.language.model import load_language_model
    from ...policies.training.sft import SftConfig
    from ...policies.training.sft_fit import fit_sft

    if not folder.is_dir():
        policy, steps = load_language_model("tiny", seed=config["seed"]), config["base_steps"]
        settings = SftConfig(steps=steps, copying_steps=copying_steps("tiny", steps), seed=config["seed"])
        fit_sft(policy, rows_of(policy, demonstrations), settings)
        with whole_folder(folder, "free some space or choose another --out") as work:
            policy.save(work)
    return folder


def _labels(policy: Policy, task: Task, config: Mapping[str, Any]) -> dict[str, list[float]]:
    """Split -> how often the base solves each question."""
    questions = [*task.split("train"), *task.split("test")]
    groups = play_groups(policy, task, questions, config["label_rollouts"], 10_007 + config["seed"])
    solved = [float(np.mean([episode.correct for episode in group])) for group in groups]
    number = len(task.split("train"))
    return {"train": solved[:number], "test": solved[number:]}


def _tested(
    policy: LanguageModelPolicy, task: Task, hard: NDArray[np.float64], critic: Critic | None, config: Mapping[str, Any]
) -> dict[str, float]:
    """Values on the test questions: of some attempts at each, and of a retry of the first where that is wrong."""
    from ...policies.training.critique import with_comment

    assert critic is not None
    questions = task.split("test")
    groups = play_groups(policy, task, questions, config["samples"], 77 + config["seed"])
    right = np.array([[episode.correct for episode in group] for group in groups], np.float64)
    wrong = [group[0] for group in groups if not group[0].correct]
    told = [with_comment(episode.question, critic(episode)) for episode in wrong]
    blind = [replace(episode.question, id=f"{episode.question.id}#blind") for episode in wrong]
    again = [group[0].correct for group in play_groups(policy, task, [*told, *blind], 1, 178 + config["seed"])]
    solved = {
        name: float(right[:, 0].mean() + sum(part) / len(questions))
        for name, part in (("tested", again[: len(told)]), ("tested_blind", again[len(told) :]))
    }
    weights = hard / hard.sum() if hard.any() else hard
    return {
        "pass@1": float(right.mean()),
        "pass@8": float(right.max(1).mean()),
        "pass@1_hard": float(weights @ right.mean(1)),
        "pass@8_hard": float(weights @ right.max(1)),
        **solved,
        "test_gain": solved["tested"] - solved["tested_blind"],
    }
