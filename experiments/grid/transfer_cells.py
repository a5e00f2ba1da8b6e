"""Language-model cells that train on the questions their start can solve and are measured on those it cannot.

A World's questions are labelled once by the SFT policy, for all arms: *solved* if one of up to 64 rollouts succeeds,
*unsolved* if none of 64 does although some order of kinds would. RL sees solved questions only. No entity is shared
between questions, so what changes on unsolved ones was carried over by the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...envs.metrics.breadth import diff_at_k
from ...envs.questions import Question
from ...envs.tasks.registry import Task, make_task
from ...envs.world.facts import WorldFacts
from ...policies.policy import Policy
from ...retrieval_index.errors import BerrypickError
from ..runs.recipes import ENV, world_rl
from ..runs.run_folder import kept_json
from .condition import FIRST_WORLD, Condition
from .experiment import Cell, CellResult
from .language_bounds import SHARE
from .language_worlds import language_cell, play_groups, settings_of, world_folder
from .measuring import Limits

__all__ = ["TRANSFER_MEASURES", "TransferGrid", "label_questions", "outcome_values"]

K = 8
TRANSFER_MEASURES = (
    "distinct@8_unsolved", "distinct@8_solved", "answers@8_unsolved", "pass@1_unsolved", "pass@1_solved",
    "searches_unsolved", "searches_solved", "unsolved_questions", "solved_questions",
)  # fmt: skip
"""distinct@8: distinct evidence of 8 of the rollouts, unbiased; answers@8: distinct answers, "no answer" among them."""


@dataclass(frozen=True)
class TransferGrid:
    """The cells: the tiny policy in a World of its own for each replicate.

    Attributes:
        condition: the World and the proportions in which its demonstrator draws kinds; its number of questions is that
            of the pool that is labelled.
        arms: name -> spec of the objective.
        num_worlds: no more are run, whatever `--seeds` says.
        checkpoints: RL steps at which it is measured; 0 is the start.
        sft_steps: updates on demonstrations.
        label_rollouts: most rollouts for a label.
        samples: rollouts per question that is measured.
        solved_measured: number of solved questions that are measured.
        learning_rate: of RL.
    """

    condition: Condition
    arms: Mapping[str, str]
    num_worlds: int = 8
    checkpoints: tuple[int, ...] = (0, 40, 80)
    sft_steps: int = 520
    label_rollouts: int = 64
    samples: int = 16
    solved_measured: int = 64
    learning_rate: float = 1e-4

    @property
    def about(self) -> str:
        """What was trained and what its measures are, for the page."""
        return (
            f"A model of 0.8 M parameters that was trained from nothing, in {self.num_worlds} Worlds of its own, "
            f"after {self.checkpoints[-1]} RL steps on solved questions; {self.samples} rollouts a question. Of "
            f"{self.label_rollouts} rollouts of the start one at least solves a solved question and none an "
            "unsolved one. distinct@8: distinct evidence of 8 rollouts, unbiased; answers@8: distinct answers, "
            "none among them."
        )

    def cells(self, num_seeds: int) -> list[Cell]:
        """World by world; the arms of a world share SFT and labels."""
        settings = settings_of(self, "condition", "arms", "num_worlds")
        return [
            language_cell(self.condition, arm, seed, FIRST_WORLD + seed, {**settings, "objective": objective})
            for seed in range(min(num_seeds, self.num_worlds))
            for arm, objective in self.arms.items()
        ]

    def limits(self, condition: Condition) -> Mapping[str, Limits]:
        """No more outcomes than episodes, whichever questions turn out to be solved."""
        counts = ("distinct@8_unsolved", "distinct@8_solved", "answers@8_unsolved")
        return {**dict.fromkeys(counts, (1.0, float(K))), **dict.fromkeys(("pass@1_unsolved", "pass@1_solved"), SHARE)}

    def run(self, cell: Cell, work: Path) -> CellResult:
        """Trains and measures an arm."""
        # loads transformers, which tabular cells do without
        from ...policies.language.model import load_language_model
        from .language_runs import CheckpointView, imitated, resumed

        config = cell.config
        place = Condition.of(config["condition"])
        arguments = place.env_args(config["world_seed"], place.questions)
        task = make_task(ENV, **arguments)
        with world_folder(work, "sft", place.slug) as shared:
            start = imitated(
                arguments, task, shared, steps=config["sft_steps"], seed=config["seed"], demonstrator=place.start
            )
            policy = load_language_model(str(start))
            labels = kept_json(shared / "labels.json", lambda: label_questions(policy, task, config))
        if not labels["solved"]:
            raise BerrypickError(f"{cell.key}: the SFT policy solves no question; train it for more SFT steps")
        solvable = [task.split("train")[at] for at in labels["solved"]]
        measured = {
            "unsolved": [task.split("train")[at] for at in labels["unsolved"]],
            "solved": solvable[: config["solved_measured"]],
        }

        def measure(step: int) -> dict[str, float]:
            path = work / f"measures-{step:04d}.json"
            found: dict[str, float] = kept_json(
                path, lambda: _transfer_values(policy, task, measured, len(solvable), config)
            )
            return found

        view = CheckpointView(config["checkpoints"], measure)
        found = {0: measure(0)}
        steps = config["checkpoints"][-1]
        run = world_rl(
            arguments,
            start="sft",
            objective=config["objective"],
            steps=steps,
            seed=config["seed"],
            learning_rate=config["learning_rate"],
        )
        on_solved = replace(task, questions={**task.questions, "train": tuple(solvable)})
        resumed(run, policy, on_solved, work / "run", view)
        found |= {step: measure(step) for step in config["checkpoints"] if step}
        return {"checkpoints": {str(step): values for step, values in found.items()}}


def _transfer_values(
    policy: Policy, task: Task, questions: Mapping[str, Sequence[Question]], num_solved: int, config: Mapping[str, Any]
) -> dict[str, float]:
    """Those of `TRANSFER_MEASURES` that the "unsolved" and "solved" questions allow."""
    out = {"unsolved_questions": float(len(questions["unsolved"])), "solved_questions": float(num_solved)}
    for name, asked in questions.items():
        out |= {f"{what}_{name}": value for what, value in outcome_values(policy, task, asked, config).items()}
    return {name: out[name] for name in TRANSFER_MEASURES if name in out}


def label_questions(policy: Policy, task: Task, config: Mapping[str, Any]) -> dict[str, list[int]]:
    """Indices of the solved and the unsolved training questions.

    A question leaves as soon as it is solved, so most are played a few times. Questions with a hop that no kind covers
    are never played; the budget of the World is assumed to be at least its number of hops.
    """
    questions = task.split("train")
    facts = [WorldFacts.of(question) for question in questions]
    waiting = [at for at, fact in enumerate(facts) if fact is not None and all(fact.present)]
    solved: list[int] = []
    played, size = 0, K
    while waiting and played < config["label_rollouts"]:
        size = min(size, config["label_rollouts"] - played)
        seed = 10_007 + 1_000 * config["seed"] + played
        groups = play_groups(policy, task, [questions[at] for at in waiting], size, seed)
        won = [at for at, group in zip(waiting, groups) if any(episode.correct for episode in group)]
        solved += won
        waiting = [at for at in waiting if at not in set(won)]
        played, size = played + size, 2 * size
    return {"solved": sorted(solved), "unsolved": waiting}


def outcome_values(
    policy: Policy, task: Task, questions: Sequence[Question], config: Mapping[str, Any]
) -> dict[str, float]:
    """Measures of `samples` rollouts of each question, means over questions; empty without questions."""
    from ...policies.objectives.groups import groups_of

    if not questions:
        return {}
    groups = play_groups(policy, task, questions, config["samples"], 77 + config["seed"])
    outcomes = groups_of(groups).outcomes
    return {
        "distinct@8": float(np.mean([diff_at_k(row, K) for row in outcomes["evidence"]])),
        "answers@8": float(np.mean([diff_at_k(row, K) for row in outcomes["answer"]])),
        "pass@1": float(np.mean([episode.correct for group in groups for episode in group])),
        "searches": float(np.mean([len(episode.queries) for group in groups for episode in group])),
    }
