"""From pretrained weights and question sets to a trained search agent with a report; every part can be resumed.

The agent is a LoRA adapter that learned from bridge demonstrations (SFT alone). It is measured greedily on questions
that were held out before training, beside three floors: itself over a search engine that finds nothing, itself without
searches, and a scripted policy that answers with the first title.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...envs.data.questions_file import set_folder
from ...envs.data.splits import HOLDOUT, some_questions
from ...envs.record import EpisodeRecord
from ...envs.tasks.controls import controlled
from ...envs.tasks.registry import Task, make_task
from ...policies.language.adapter import load_adapter
from ...policies.language.memory import give_back
from ...policies.language.vllm_engine import split_name
from ...policies.open_policy import open_policy, require_training
from ...policies.policy import Policy, Sampling
from ...policies.policy_rules import is_adapter
from ...policies.training.rl_config import RlConfig
from ...policies.training.sft import SftConfig
from ...retrieval_index.errors import BerrypickError
from ..measures.arms_report import measure_arms
from ..measures.paired import compare
from ..report.live import LiveView
from ..report.live_evaluation import EvaluationProgress
from ..runs.evaluation import evaluate
from ..runs.fit_checks import check_fit
from ..runs.partial_rollouts import finished_rollouts
from ..runs.preparation import open_trainee
from ..runs.recipes import CPU_MICRO_BATCH
from ..runs.run_folder import hold_run_folder, write_json
from ..runs.training import train
from ..runs.training_config import EnvArgument, TrainConfig
from .card import model_card

__all__ = ["AGENT", "FLOORS", "RULES", "AgentRecipe", "run_agent"]

ENV = "berrypick/Mixed-v0"

RULES: Mapping[str, EnvArgument] = {
    "template": "bare",
    "top_k": 2,
    "max_passage_words": 100,
    "max_turns": 4,
    "search_budget": 3,
}
"""Of all episodes: three searches, two passages each, cut to 100 words."""

AGENT = "agent"

FLOORS: Mapping[str, tuple[str, str]] = {
    "finds nothing": (AGENT, "empty"),
    "never searches": (AGENT, "closed_book"),
    "first title": ("question", ""),
}
"""Name of a floor -> its policy and what replaces retrieval."""


@dataclass(frozen=True)
class AgentRecipe:
    """What `berrypick agent` does.

    Attributes:
        policy: pretrained weights, as `open_policy` names them.
        sets: question sets to learn from and to be measured on; those that are not there are left out.
        reading: question sets to learn from only.
        holdout: questions of each set held out before training.
        questions: held-out questions of each set to be measured on.
        sft_steps: updates on `batch_size` demonstrations.
        batch_size: demonstrations of an update.
        learning_rate: peak of SFT.
        lora_rank: rank of the matrices that train.
        max_new_tokens: of a turn.
        dtype: format to compute in.
        seed: of the held-out questions to play, of demonstrations and of batches.
    """

    policy: str = "smollm2"
    sets: tuple[str, ...] = ("hotpotqa", "2wikimultihopqa", "musique")
    reading: tuple[str, ...] = ("wiki18_singlehop",)
    holdout: int = 300
    questions: int = 100
    sft_steps: int = 100
    batch_size: int = 8
    learning_rate: float = 1e-3
    lora_rank: int = 8
    max_new_tokens: int = 64
    dtype: str = "auto"
    seed: int = 0


def run_agent(recipe: AgentRecipe, out: Path, *, resume: bool) -> dict[str, Any]:
    """Trains and measures an agent; writes `out/train/adapter` with its model card, and `out/report.json`.

    Args:
        recipe: the settings.
        out: run folder.
        resume: continue an interrupted call.

    Returns:
        {"recipe", "sets": {name: report of its arms}, "left_out": {name: why}, "training": facts of the training}.

    Raises:
        BerrypickError: none of the sets is there, the folder holds another run, or something in it is damaged.
    """
    require_training("berrypick agent")
    sets, missing = _present(recipe.sets)
    reading, more = _present(recipe.reading)
    if not sets:
        raise BerrypickError(next(iter(missing.values())))
    folder = out / "train"
    config = {"command": "agent", **asdict(recipe), "found": [*sets, *reading]}
    with hold_run_folder(out, config, resume=resume):
        training = _trained(recipe, [*sets, *reading], folder)
        report: dict[str, Any] = {
            "recipe": asdict(recipe),
            "found": {"sets": sets, "reading": reading},
            "left_out": {**missing, **more},
            "training": training,
            "sets": {name: _measured(recipe, name, folder / "adapter", out) for name in sets},
        }
        write_json(out / "report.json", report)
        (folder / "adapter" / "README.md").write_text(model_card(report))
    return report


def _present(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The names whose data is there, and why the others are not."""
    found, missing = [], {}
    for name in names:
        try:
            set_folder(name)
        except BerrypickError as error:
            missing[name] = str(error)
        else:
            found.append(name)
    return found, missing


def _trained(recipe: AgentRecipe, sets: Sequence[str], folder: Path) -> dict[str, Any]:
    """Trains unless an earlier call has; returns what of it the model card tells."""
    arguments: dict[str, EnvArgument] = {
        **RULES,
        "sets": ",".join(f"{name}:1" for name in sets),
        "holdout": recipe.holdout,
    }
    task = make_task(ENV, **arguments)
    if not is_adapter(folder / "adapter"):
        trainee = open_trainee(
            recipe.policy, seed=recipe.seed, dtype=recipe.dtype, device="auto", lora_rank=recipe.lora_rank
        )
        check_fit(trainee.policy, task, "train")
        config = TrainConfig(
            env=ENV,
            env_args=arguments,
            policy=split_name(recipe.policy)[1],
            dtype=trainee.policy.dtype,
            lora_rank=recipe.lora_rank,
            demonstrator="bridge",
            demonstrations=1,
            sft=SftConfig(
                steps=recipe.sft_steps,
                batch_size=recipe.batch_size,
                learning_rate=recipe.learning_rate,
                max_tokens=CPU_MICRO_BATCH,
                seed=recipe.seed,
            ),
            rl=RlConfig(steps=0, max_new_tokens=recipe.max_new_tokens),
            checkpoint_every=1,
        )
        with LiveView("SFT", recipe.sft_steps) as view:
            train(config, trainee.policy, task, folder, resume=(folder / "config.json").is_file(), view=view)
        del trainee
        give_back()
    return {"questions": len(task.split("train")), "demonstrations": recipe.sft_steps * recipe.batch_size}


def _measured(recipe: AgentRecipe, name: str, adapter: Path, out: Path) -> dict[str, Any]:
    """Plays the agent and the floors on held-out questions of a set; returns the report of these arms."""
    task = make_task(ENV, sets=name, holdout=recipe.holdout, **RULES)
    questions = some_questions(task.split(HOLDOUT), min(recipe.questions, recipe.holdout), recipe.seed)
    played = replace(task, questions={HOLDOUT: questions})
    policies: dict[str, Policy] = {}
    arms: dict[str, list[EpisodeRecord]] = {}
    for arm, (policy, control) in {AGENT: (AGENT, ""), **FLOORS}.items():
        place = out / Path(name).name / arm.replace(" ", "_")
        file = place / "rollouts.jsonl"
        if not file.is_file():
            if policy not in policies:
                policies[policy] = load_adapter(adapter, dtype=recipe.dtype) if policy == AGENT else open_policy(policy)
            _play(recipe, policies[policy], controlled(played, control, seed=0) if control else played, arm, place)
        arms[arm] = finished_rollouts(file)
    report = measure_arms(arms)
    report["differences"] = {f"{AGENT} - {floor}": compare(arms[floor], arms[AGENT]) for floor in FLOORS}
    return {**report}


def _play(recipe: AgentRecipe, policy: Policy, task: Task, arm: str, place: Path) -> None:
    total = len(task.split(HOLDOUT))
    with LiveView(f"{place.parent.name}: {arm}", total) as view:
        shown = EvaluationProgress(view, arm, total)
        evaluate(
            policy,
            task,
            split=HOLDOUT,
            num_questions=None,
            num_samples=1,
            sampling=Sampling(0.0, max_new_tokens=recipe.max_new_tokens),
            seed=recipe.seed,
            out=place,
            policy_id=arm,
            on_resume=shown.resumed,
            on_progress=shown.progress,
        )
