"""Cells of language models: a World each, SFT and then RL of the tiny policy, measured on the way; all resumable.

The World is the unit: a replicate has a World of its own, whose questions no other replicate sees. SFT is trained once
for each World and shared by its arms and learning rates. A cell keeps the state tables of its checkpoints, from which
every value in the population follows, and the tables of its questions at the end, so that no later analysis needs the
weights. A control also keeps the envelope that anybody has for free: its end sampled colder or hotter, and mixtures of
the weights of its start and its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...envs.tasks.registry import Task, make_task
from ...policies.language.interpolation import interpolate
from ...policies.language.model import LanguageModelPolicy, load_language_model
from ...policies.tabular.readings import decode_questions
from ..runs.recipes import ENV, world_rl
from ..runs.training_config import EnvArgument
from .condition import FIRST_WORLD, MANY_QUESTIONS, Condition
from .experiment import Cell, CellResult
from .language_bounds import population_limits
from .language_classifier import CLASSIFIER, classifier_of
from .language_runs import CheckpointView, imitated, resumed
from .language_states import measure_checkpoint, measure_greedy, measures_at_temperature
from .language_worlds import check_base, language_cell, world_folder
from .measuring import Limits

__all__ = ["LanguageGrid", "run_language_cell"]


@dataclass(frozen=True)
class LanguageGrid:
    """The language-model cells of an experiment: the tiny policy, from diverse demonstrations.

    Attributes:
        places: condition -> arm -> number of worlds; no more are run, whatever `--seeds` says. A condition names a
            preset and, where it differs, the learning rate of RL. With a start in shares, SFT imitates a demonstrator
            who draws kinds in these.
        arms: name -> spec of the objective.
        controls: arms whose cells also have the envelope.
        checkpoints: RL steps at which the policy is measured; 0 is the start.
        sft_steps: updates on demonstrations.
        training_questions: of each World. A few hundred would have frequencies of their own that a policy learns.
        questions: test questions, for direct measures and for reading states.
        samples: rollouts per test question.
        read_samples: how many of these are read, see `read_kinds`.
        first_world: World seed of replicate 0; replicate i has World seed first_world + i and training seed i.
        temperatures: of the envelope, beside 1.
        mixes: of the envelope: weights of the end, beside 0 and 1.
        world_args: further arguments of the World, beside preset, seed and numbers of questions.
        classifier_questions: training questions whose rollouts by the SFT policy a classifier of equivalent rollouts
            is learned from, for objectives with "{classifier}", see `classifier_of`.
        sequences: size of the group whose distinct query sequences are counted, exactly; 0 counts none.
        least: pass@1 that the SFT policy must have on test questions, see `check_base`.
    """

    places: Mapping[Condition, Mapping[str, int]]
    arms: Mapping[str, str]
    controls: tuple[str, ...] = ("dr_grpo",)
    checkpoints: tuple[int, ...] = (0, 20, 40, 80, 200)
    sft_steps: int = 520
    training_questions: int = MANY_QUESTIONS
    questions: int = 256
    samples: int = 8
    read_samples: int = 4
    first_world: int = FIRST_WORLD
    temperatures: tuple[float, ...] = (0.25, 0.5, 0.7, 0.85, 1.2, 1.4, 2.0, 4.0)
    mixes: tuple[float, ...] = (0.25, 0.5, 0.75)
    world_args: Mapping[str, EnvArgument] = field(default_factory=dict)
    classifier_questions: int = 256
    sequences: int = 0
    least: float = 0.2

    @property
    def about(self) -> str:
        """What was trained and what its measures are, for the page."""
        return (
            "A model of 0.8 M parameters that was trained from nothing, in Worlds of its own, after "
            f"{self.checkpoints[-1]} RL steps. Measures of the population follow exactly from its choices of kind, "
            f"which are read from rollouts on {self.questions} test questions; the others are those of the "
            "rollouts."
        )

    def cells(self, num_seeds: int) -> list[Cell]:
        """One cell per condition, arm and world; two worlds at a time, so that two workers share no SFT."""
        return [
            self._cell(condition, arm, seed)
            for condition, arms in self.places.items()
            for first in range(0, num_seeds, 2)
            for arm, worlds in arms.items()
            for seed in range(first, min(first + 2, worlds, num_seeds))
        ]

    def limits(self, condition: Condition) -> Mapping[str, Limits]:
        """See `population_limits`."""
        return population_limits(condition, self.samples, self.sequences)

    def run(self, cell: Cell, work: Path) -> CellResult:
        """See `run_language_cell`."""
        return run_language_cell(cell, work, self.least)

    def _cell(self, condition: Condition, arm: str, seed: int) -> Cell:
        has_envelope = arm in self.controls
        learns = CLASSIFIER in self.arms[arm]
        return language_cell(
            condition,
            arm,
            seed,
            self.first_world + seed,
            {
                "objective": self.arms[arm],
                "training_questions": self.training_questions,
                "sft_steps": self.sft_steps,
                "steps": self.checkpoints[-1],
                "checkpoints": list(self.checkpoints),
                "questions": self.questions,
                "samples": self.samples,
                "read_samples": self.read_samples,
                "temperatures": list(self.temperatures) if has_envelope else [],
                "mixes": list(self.mixes) if has_envelope else [],
                # only where they are set: older cells are known by the digest of their configuration
                **({"world_args": dict(self.world_args)} if self.world_args else {}),
                **({"classifier_questions": self.classifier_questions} if learns else {}),
                **({"sequences": self.sequences} if self.sequences else {}),
            },
        )


def run_language_cell(cell: Cell, work: Path, least: float = 0.0) -> CellResult:
    """SFT, shared by the objectives of a world, then RL with a measurement at every checkpoint.

    Args:
        cell: from `LanguageGrid.cells`.
        work: the cell's own folder; an interrupted cell resumes from its newest checkpoint.
        least: see `LanguageGrid`.

    Returns:
        {"checkpoints": {step: {measure: value}}, "states": {step: table}, "information": {step: {name: value}},
        "question_tables": text, of the last checkpoint, "temperatures": {"0": measures of one greedy episode per
        question, T: values in the population}, "mixes": {weight of the end: {measure: value}}}; see
        `measure_checkpoint` and `measures_at_temperature`. `decode_states` and `decode_questions` read the tables. Of
        an arm with a learned classifier, the measures hold its accuracy, see `classifier_of`.

    Raises:
        BerrypickError: the SFT policy is right less often than the cell asks.
    """
    config = cell.config
    condition, objective = Condition.of(config["condition"]), config["objective"]
    drawn = bool(condition.shares)
    arguments: dict[str, EnvArgument] = {
        "preset": condition.preset,
        "world_seed": config["world_seed"],
        "num_train": config["training_questions"],
        "num_validation": 0,
        "index": "bm25s",
        **(condition.env_args(config["world_seed"], config["training_questions"]) if drawn else {}),
        "num_test": config["questions"],
        **config.get("world_args", {}),
    }
    task = make_task(ENV, **arguments)
    place = f"{condition.preset}-{condition.start}" if drawn else condition.preset
    with world_folder(work, "sft", place) as shared:
        demonstrator = condition.start if drawn else "random_order"
        start = imitated(
            arguments, task, shared, steps=config["sft_steps"], seed=config["seed"], demonstrator=demonstrator
        )
        policy = load_language_model(str(start))
        first = measure_checkpoint(shared / "measures-0000.json", policy, task, config, "sft", 0)
        check_base(first["measures"]["pass@1"], least, "LanguageGrid.sft_steps")
        learned = classifier_of(shared / "classifier", policy, task, config) if CLASSIFIER in objective else {}

    def measure(step: int) -> dict[str, Any]:
        path = work / f"measures-{step:04d}.json"
        return measure_checkpoint(path, policy, task, config, f"{objective}-{step}", step)

    view = CheckpointView(config["checkpoints"], measure)
    run = world_rl(
        arguments,
        start="sft",
        objective=objective.replace(CLASSIFIER, str(shared / "classifier")),
        steps=config["steps"],
        seed=config["seed"],
        learning_rate=condition.rate,
    )
    resumed(run, policy, task, work / "run", view)
    steps = [step for step in config["checkpoints"] if 0 < step <= config["steps"]]
    greedy = measure_greedy(work / "greedy.json", policy, task, config, f"{objective}-greedy", steps[-1])
    found = {"0": first, **{str(step): measure(step) for step in steps}}
    end = found[str(steps[-1])]
    tables = decode_questions(end["question_tables"])
    assert task.world is not None
    return {
        "checkpoints": {step: {**one["measures"], **learned} for step, one in found.items()},
        "states": {step: one["states"] for step, one in found.items()},
        "information": {step: one["information"] for step, one in found.items()},
        "question_tables": end["question_tables"],
        "temperatures": {
            "0": greedy,
            **{f"{t:g}": measures_at_temperature(tables, task.world, t) for t in config["temperatures"]},
        },
        "mixes": {
            f"{w:g}": _mixed(work / f"mix-{w:g}.json", start, policy, task, config, w)["measures"]
            for w in config["mixes"]
        },
    }


def _mixed(
    path: Path, start: Path, end: LanguageModelPolicy, task: Task, config: Mapping[str, Any], weight: float
) -> dict[str, Any]:
    """What `measure_checkpoint` says of the policy with the weights (1 - weight) * start + weight * end."""
    policy = interpolate(load_language_model(str(start)), end, weight)
    return measure_checkpoint(path, policy, task, config, f"mix-{weight:g}", config["steps"])
