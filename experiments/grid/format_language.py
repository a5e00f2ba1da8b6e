"""Cells of language models in a World with planted query formats: SFT in their shares, RL, and the shares on the way.

SFT is trained once for each World and size of model, on demonstrations none of whose formats fails, and shared by all
arms and Worlds of failing formats. Formats are counted in the queries of sampled rollouts of the test questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...envs.episode import Episode
from ...envs.tasks.registry import Task, make_task
from ...envs.world.closed_voice import query_format
from ...envs.world.config import WorldConfig
from ...policies.language.model import LanguageModelPolicy, load_language_model
from ...policies.language.tiny import tiny_model, tiny_tokenizer
from ...policies.tabular.format_values import share_measures
from ..runs.recipes import ENV, world_rl
from ..runs.run_folder import kept_json
from ..runs.training_config import EnvArgument
from .condition import FIRST_WORLD, MANY_QUESTIONS, Condition
from .experiment import Cell, CellResult
from .format_cells import format_limits
from .language_runs import CheckpointView, imitated, resumed
from .language_states import played_measures
from .language_worlds import check_base, language_cell, settings_of, world_folder
from .measuring import Limits

__all__ = ["FORMAT_LANGUAGE_MEASURES", "FormatArm", "FormatLanguage", "format_counts"]

FAILURES = "format_failures"
_NO_SETTING = ("places", "arms", "worlds", "least")
_DIRECT = ("pass@1", "pass@8", "unique_query_ratio", "query_token_entropy", "policy_tokens")
_PLANNED = ("executed_right", "give_up_loss", "execution_loss")
"""Only where no format fails, see `WorldConfig.format_failures`."""

FORMAT_LANGUAGE_MEASURES = (
    "share_0", "share_1", "share_2", "largest_share", "takeover", "lead", "format_entropy", "wins_0", "wins_1",
    "wins_2", "other", "mixed", *_DIRECT, "pass@1_0", "pass@1_1", "pass@1_2", *_PLANNED,
)  # fmt: skip
"""See `format_counts`; the others are those of `measures/summary.py`."""


@dataclass(frozen=True, slots=True)
class FormatArm:
    """How a language model is trained.

    Attributes:
        objective: of RL.
        size: of the model, a name of `TINY_SIZES`.
        last: its cells are run after all those of other arms.
    """

    objective: str
    size: str = "tiny"
    last: bool = False


@dataclass(frozen=True)
class FormatLanguage:
    """The language-model cells of an experiment on query formats.

    Attributes:
        places: condition -> its arms. Conditions are Worlds with planted query formats.
        arms: name -> arm.
        worlds: number of Worlds; no more are run, whatever `--seeds` says.
        checkpoints: RL steps at which the policy is measured; 0 is the start. Between start and end, `glance` is.
        sft_steps: updates on demonstrations.
        questions_per_step: groups of an RL step.
        training_questions: of each World.
        questions: test questions at start and end.
        samples: rollouts of each.
        glance: test questions and rollouts of each between them.
        first_world: World seed of replicate 0; replicate i has World seed first_world + i and training seed i.
        least: pass@1 that the start must have on test questions, see `check_base`.
    """

    places: Mapping[Condition, tuple[str, ...]]
    arms: Mapping[str, FormatArm]
    worlds: int = 8
    checkpoints: tuple[int, ...] = (0, 1, 2, 5, 10, 20, 40, 80)
    sft_steps: int = 520
    questions_per_step: int = 8
    training_questions: int = MANY_QUESTIONS
    questions: int = 256
    samples: int = 8
    glance: tuple[int, int] = (64, 4)
    first_world: int = FIRST_WORLD
    least: float = 0.2

    @property
    def about(self) -> str:
        """What was trained and what its measures are, for the page."""
        return (
            f"Models of 0.2, 0.8 and 3 M parameters that were trained from nothing, in {self.worlds} Worlds of "
            f"their own, after {self.checkpoints[-1]} RL steps; rollouts on test questions. First, second and "
            "third, or 0, 1 and 2, are query formats. share: of the queries in planted formats; wins: share of the "
            "Worlds in which it is the largest; other: share of queries in no planted format; mixed: share of episodes "
            "that write several; pass@1 in a format: of episodes whose first query is in it."
        )

    def cells(self, num_seeds: int) -> list[Cell]:
        """World by world, so that a cut run has whole Worlds; arms that come last follow all others."""
        seeds = range(min(num_seeds, self.worlds))
        every = [(seed, place, arm) for seed in seeds for place, arms in self.places.items() for arm in arms]
        return [self._cell(*one) for one in sorted(every, key=lambda one: self.arms[one[2]].last)]

    def _cell(self, seed: int, condition: Condition, arm: str) -> Cell:
        how = {"objective": self.arms[arm].objective, "size": self.arms[arm].size}
        settings = how | settings_of(self, *_NO_SETTING)
        return language_cell(condition, arm, seed, self.first_world + seed, settings)

    def limits(self, condition: Condition) -> Mapping[str, Limits]:
        """Those of the tabular policy."""
        return format_limits(sum(share > 0 for share in condition.world_config().query_formats))

    def run(self, cell: Cell, work: Path) -> CellResult:
        """Trains and measures; an interrupted cell resumes from its newest checkpoint.

        Returns:
            {"checkpoints": {step: {measure: value}}}, see `FORMAT_LANGUAGE_MEASURES`.

        Raises:
            BerrypickError: the start is worse than `least`.
        """
        config = cell.config
        condition = Condition.of(config["condition"])
        arguments: dict[str, EnvArgument] = {
            **condition.env_args(config["world_seed"], config["training_questions"]),
            "num_test": config["questions"],
        }
        task = make_task(ENV, **arguments)
        with world_folder(work, "sft", config["size"]) as shared:
            policy = load_language_model(str(_sft(arguments, task, shared, config)))

        def measure(step: int) -> dict[str, float]:
            # the arms of a place begin at one policy, which is measured once
            path = work / f"measures-{step:04d}.json" if step else shared / f"measures-{condition.slug}.json"
            found: dict[str, float] = kept_json(path, lambda: _measured(policy, task, config, step))
            return found

        work.mkdir(parents=True, exist_ok=True)
        first = measure(0)
        check_base(first["pass@1"], self.least, "FormatLanguage.sft_steps")
        run = world_rl(
            arguments,
            start="sft",
            objective=config["objective"],
            steps=config["checkpoints"][-1],
            seed=config["seed"],
            learning_rate=condition.rate,
        )
        run = replace(run, rl=replace(run.rl, questions_per_step=config["questions_per_step"]))
        view = CheckpointView(config["checkpoints"], measure)
        resumed(run, policy, task, work / "run", view)
        return {"checkpoints": {"0": first, **{str(step): measure(step) for step in config["checkpoints"] if step}}}


def _sft(arguments: Mapping[str, EnvArgument], task: Task, shared: Path, config: Mapping[str, Any]) -> Path:
    """The last checkpoint of the SFT policy of a World and size, whose other cells wait for it."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(len(tokenizer), config["seed"], size=config["size"])
    sound = {key: value for key, value in arguments.items() if key != FAILURES}
    return imitated(
        sound,
        task,
        shared,
        steps=config["sft_steps"],
        seed=config["seed"],
        policy=LanguageModelPolicy(model, tokenizer, config["size"]),
    )


def _measured(policy: LanguageModelPolicy, task: Task, config: Mapping[str, Any], step: int) -> dict[str, float]:
    """Plays test questions: all of them at start and end, few between."""
    ends = step in (0, config["checkpoints"][-1])
    questions, samples = (config["questions"], config["samples"]) if ends else config["glance"]
    name = f"{config['objective']}-{step}" if step else "sft"
    found, episodes = played_measures(policy, task, {**config, "questions": questions}, name, step, samples)
    assert task.world is not None
    kept = (*_DIRECT, *(() if task.world.has_failures else _PLANNED))
    return {name: found[name] for name in kept if name in found} | format_counts(episodes, task.world)


def format_counts(episodes: Sequence[Episode], world: WorldConfig) -> dict[str, float]:
    """How often the planted formats are used, and how well.

    Args:
        episodes: of the World.
        world: its configuration; planted formats are those with a share above 0.

    Returns:
        `share_measures` of all queries in planted formats; other: the share of queries in no planted format; mixed: the
        share of episodes that use several planted formats; pass@1_i: of episodes whose first query is in format i. What
        has nothing to be counted on is left out.
    """
    planted = [form for form, share in enumerate(world.query_formats) if share > 0]
    used = [[query_format(query) for query in episode.queries] for episode in episodes]
    counts = np.array([sum(forms.count(form) for forms in used) for form in planted], np.float64)
    total = sum(map(len, used))
    known = [[form for form in forms if form in planted] for forms in used]
    right = {form: [e.correct for e, forms in zip(episodes, used) if forms[:1] == [form]] for form in planted}
    found = share_measures(counts[None] / counts.sum()) if counts.sum() else {}
    return {
        **{name: value for name, value in found.items() if not math.isnan(value)},
        "other": 1 - float(counts.sum()) / total if total else 1.0,
        "mixed": float(np.mean([len(set(forms)) > 1 for forms in known])),
        **{f"pass@1_{at}": float(np.mean(right[form])) for at, form in enumerate(planted) if right[form]},
    }
