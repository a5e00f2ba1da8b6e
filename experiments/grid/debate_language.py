"""Language-model cells of agents that debate and train themselves in rounds; a checkpoint is a round.

All agents begin as copies of the tiny policy, which has imitated searches in another World, then questions with a line
of what others say, answered by a search or by one of the answers in the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...envs.episode import Draft, Episode, advance, start
from ...envs.tasks.registry import Task, make_task
from ...policies.scripted import scripted_policy
from ..runs.recipes import ENV
from .condition import FIRST_WORLD, Condition
from .debate_rollouts import TOKENS, label_accuracy, play_debate, team_measures
from .experiment import Cell, CellResult
from .language_bounds import SHARE, answerable_share
from .language_worlds import check_base, language_cell, play_groups, settings_of, world_folder
from .measuring import Limits

if TYPE_CHECKING:
    from ...policies.language.model import LanguageModelPolicy
    from ...policies.training.multiagent import Debate

__all__ = ["DebateGrid", "debate_demonstrations"]

AGENTS = 3
_DEMONSTRATED = 1_000_033


@dataclass(frozen=True)
class DebateGrid:
    """The cells: a World of its own for each replicate, whose arms share the base.

    Attributes:
        condition: the World; its start names no more than that agents are copies.
        arms: what each agent learns: "own" or "random" data of the debate, or "single", one model and the majority of
            its three answers.
        num_worlds: no more are run, whatever `--seeds` says.
        first_world: World seed of replicate 0.
        rounds: of training.
        clauses: facts that a record states, one of which is asked for.
        sft_steps: of the base on searches.
        line_questions: of another World, from which the base learns to read a line, see `debate_demonstrations`.
        line_steps: updates on these.
        round_questions: fresh training questions of a round.
        fit_steps: updates of each model in a round, 16 episodes each.
        rate: peak learning rate of these.
        questions: test questions.
        samples: episodes of each generator on a test question.
        least: pass@1 that the base must have on test questions, see `check_base`: votes of models that cannot read are
            no labels, whatever is learned from them.
    """

    condition: Condition
    arms: tuple[str, ...]
    num_worlds: int = 8
    first_world: int = FIRST_WORLD
    rounds: int = 3
    clauses: int = 1
    sft_steps: int = 1040
    line_questions: int = 4096
    line_steps: int = 480
    round_questions: int = 128
    fit_steps: int = 16
    rate: float = 5e-4
    questions: int = 128
    samples: int = 4
    least: float = 0.2

    @property
    def about(self) -> str:
        """What was trained and what its measures are, for the page."""
        return (
            f"Three copies of a model of 0.8 M parameters that was trained from nothing, in {self.num_worlds} "
            f"Worlds of their own, after {self.rounds} rounds; rollouts on {self.questions} test questions. across "
            "and within: chance that episodes of two agents, and of one, were shown different passages; excess: "
            "across minus within. copies: of critics whom others contradict, the share that answers what these "
            "say without a search of its own."
        )

    def cells(self, num_seeds: int) -> Sequence[Cell]:
        """World by world."""
        settings = settings_of(self, "condition", "arms", "num_worlds", "first_world", "least")
        return [
            language_cell(self.condition, arm, seed, self.first_world + seed, settings)
            for seed in range(min(num_seeds, self.num_worlds))
            for arm in self.arms
        ]

    def limits(self, condition: Condition) -> Mapping[str, Limits]:
        """Nobody answers more questions than have records for all hops within the budget."""
        most = answerable_share(condition)
        return {"system": (0.0, most), "system_later": (-most, most), "excess": (-1.0, 1.0), "copies": SHARE}

    def run(self, cell: Cell, work: Path) -> CellResult:
        """Trains and measures a team; what is kept for another run is the base.

        Raises:
            BerrypickError: the base is worse than `least`.
        """
        from ...policies.language.model import load_language_model

        config = cell.config
        place = Condition.of(config["condition"])
        size = config["round_questions"]
        arguments = {
            **place.env_args(config["world_seed"], size * config["rounds"]),
            "clauses": config["clauses"],
            "num_test": config["questions"],
        }
        task = make_task(ENV, **arguments)
        with world_folder(work, "sft", place.slug) as shared:
            base = _base(shared, arguments, task, config)
        single = config["arm"] == "single"
        generators = [load_language_model(str(base)) for _ in range(1 if single else AGENTS)]
        critics = [load_language_model(str(base)) for _ in generators]
        team = (generators * AGENTS, critics * AGENTS) if single else (generators, critics)
        found = [team_measures(*team, task, config)]
        check_base(found[0]["pass@1"], self.least, "DebateGrid.sft_steps")
        for number in range(config["rounds"]):
            asked = task.split("train")[number * size : (number + 1) * size]
            played = play_debate(*team, task, asked, 1 if single else 2, 1_000 * config["seed"] + number)
            _train(generators, critics, played, config, number)
            found.append(
                {**team_measures(*team, task, config), "labels_accuracy": label_accuracy(played), "data": _data(played)}
            )
        for step, values in enumerate(found):
            values["system_later"] = values["system"] - found[min(step, 1)]["system"]
        return {"checkpoints": {str(step): values for step, values in enumerate(found)}}


def _base(folder: Path, arguments: Mapping[str, Any], task: Task, config: Mapping[str, Any]) -> Path:
    """The base of a World, trained by whichever of its cells comes first; these share the folder."""
    from ...policies.language.episode_rows import rows_of
    from ...policies.language.model import load_language_model
    from ...policies.training.sft import SftConfig
    from ...policies.training.sft_fit import fit_sft
    from .language_runs import imitated

    base = folder / "base"
    if not (base / "config.json").is_file():
        imitation = imitated(arguments, task, folder, steps=config["sft_steps"], seed=config["seed"])
        policy = load_language_model(str(imitation))
        size = config["line_questions"]
        other = make_task(ENV, **{**arguments, "world_seed": _DEMONSTRATED, "num_train": size, "num_test": 0})
        rows = rows_of(policy, debate_demonstrations(other, config["seed"]))
        fit_sft(policy, rows, SftConfig(steps=config["line_steps"], learning_rate=1e-3, seed=config["seed"]))
        policy.save(base)
    return base


def debate_demonstrations(task: Task, seed: int) -> list[Episode]:
    """One episode for each training question; below two of three questions, a line has one or two answers of others.

    Six of ten of these answers are right, the others are those of other questions. Half of the episodes with a line
    search as if there were none, and half give the first answer of the line. A third without one keeps a model from
    forgetting what it did before.
    """
    from ...policies.training.multiagent import shown_answers

    questions, random = task.split("train"), np.random.default_rng((seed, 53))
    played = play_groups(scripted_policy("random_order"), task, questions, 1, seed, max_new_tokens=TOKENS)
    out = []
    for question, (episode,) in zip(questions, played):
        names = [
            (question if random.random() < 0.6 else questions[int(random.integers(len(questions)))]).answers[0]
            for _ in range(int(random.integers(1, AGENTS)))
        ]
        shown = shown_answers(question, names)
        way = random.integers(3)
        if way < 2:
            out.append(replace(episode, question=shown) if way else episode)
            continue
        copied = start(shown, task.spec)
        advance([copied], [Draft(f"<answer> {names[0]} </answer>")], task.searcher)
        out.append(copied)
    return out


def _train(
    generators: Sequence[LanguageModelPolicy],
    critics: Sequence[LanguageModelPolicy],
    played: Debate,
    config: Mapping[str, Any],
    number: int,
) -> None:
    """Fits every model to its data, in place; one without data stays as it is."""
    from ...policies.language.episode_rows import rows_of
    from ...policies.training.multiagent import split_data
    from ...policies.training.sft import SftConfig
    from ...policies.training.sft_fit import fit_sft

    split = {"single": "union", "random": "random"}.get(config["arm"], "own")
    parts = [(generators, played.generator_data), (critics, () if config["arm"] == "single" else played.critic_data)]
    for models, data in parts:
        for agent, (model, mine) in enumerate(zip(models, split_data(data, split, seed=number) if data else ())):  # type: ignore[arg-type]
            if mine:
                seed = (config["seed"] * 97 + number) * 97 + agent
                settings = SftConfig(steps=config["fit_steps"], batch_size=16, learning_rate=config["rate"], seed=seed)
                fit_sft(model, rows_of(model, mine), settings)


def _data(played: Debate) -> float:
    """Mean number of episodes that an agent's first answers give to its generator."""
    return float(np.mean([len(one) for one in played.generator_data]))
