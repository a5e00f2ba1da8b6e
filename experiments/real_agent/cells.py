"""The cells of the study: one agent of one replicate, played in one setting, with its values for every question."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ...envs.answers import normalize
from ...envs.data.splits import HOLDOUT, some_questions
from ...envs.metrics.accuracy import pass_at_k
from ...envs.questions import Question
from ...envs.record import EpisodeRecord, write_records
from ...envs.tasks.controls import controlled
from ...envs.tasks.registry import Task
from ...policies.language.model import LanguageModelPolicy
from ...policies.policy import Policy, Sampling
from ...policies.scripted import SCRIPTED, scripted_policy
from ...retrieval_index.files import whole_file, writing
from ..grid.experiment import Cell, CellResult
from ..measures.score_again import score_again
from ..measures.summary import question_table_of
from ..runs.evaluation import evaluate
from ..runs.partial_rollouts import finished_rollouts
from .agents import Sizes, task_of, trained, training_task

__all__ = ["MEASURES", "SETTINGS", "Setting", "cell_of", "run_agent_cell"]

KS = (1, 2, 4, 8)
SHARED_QUESTIONS = 100
"""Questions whose histories all agents of a replicate are scored on."""

MEASURES = (
    "em", "f1", "pass@2", "pass@4", "pass@8", "evidence_recall", "all_hops", "breadth", "unique_query_ratio",
    "query_clusters", "distinct_passages", "query_token_entropy", "semantic_query_entropy", "searches", "turns",
    "valid_actions", "finished", "zero_variance",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """How an agent is played.

    Attributes:
        name: of the set, see `SETS`.
        questions: held-out questions; a smaller number is a part of a larger one.
        samples: rollouts per question.
        temperature: 0 is greedy.
        control: replaces retrieval, see `CONTROLS`; "" searches.
    """

    name: str = "hotpotqa"
    questions: int = 300
    samples: int = 8
    temperature: float = 1.0
    control: str = ""


SETTINGS: Mapping[str, Setting] = {
    "hotpotqa": Setting(),
    "hotpotqa-greedy": Setting(samples=1, temperature=0.0),
    "2wiki-greedy": Setting("2wiki", samples=1, temperature=0.0),
    "musique-greedy": Setting("musique", samples=1, temperature=0.0),
    "2wiki": Setting("2wiki", questions=100, samples=4),
    "musique": Setting("musique", questions=100, samples=4),
    "hotpotqa-t0.7": Setting(temperature=0.7),
    "hotpotqa-t0.5": Setting(temperature=0.5),
    **{
        f"hotpotqa-{control}": Setting(samples=1, temperature=0.0, control=control)
        for control in ("closed_book", "empty", "random", "oracle")
    },
}
"""Name -> setting."""


def cell_of(agent: str, seed: int, setting: str, sizes: Sizes, *, pilot: bool = False) -> Cell:
    """The cell of an agent in a setting.

    Args:
        agent: of `AGENTS`, or a scripted policy.
        seed: the replicate.
        setting: of `SETTINGS`.
        sizes: how much agents are trained.
        pilot: plays 100 training questions that SFT has not shown, and no held-out ones.
    """
    played = SETTINGS[setting]
    count = min(played.questions, *((100, sizes.rl_questions) if pilot else (sizes.held_out,)))
    return Cell(
        f"{'pilot' if pilot else f'seed-{seed}'}/{agent}/{setting}",
        {
            "agent": agent,
            "seed": seed,
            "pilot": pilot,
            **asdict(replace(played, questions=count)),
            "sizes": asdict(sizes),
        },
    )


def run_agent_cell(cell: Cell, work: Path) -> CellResult:
    """Trains the agent if no earlier cell has, and plays it.

    Returns:
        {"questions": digest of their ids, "columns": {measure: [value per question, None without one]},
        "shared_entropy": [nats per token of queries, per shared question], for sampled HotpotQA alone}.
    """
    config = cell.config
    sizes, agents = Sizes(**config["sizes"]), work.parents[2] / "agents"
    policy: Policy = (
        scripted_policy(config["agent"])
        if config["agent"] in SCRIPTED
        else trained(config["agent"], config["seed"], agents, sizes)
    )
    task = _played_task(config["name"], config["seed"] if config["pilot"] else None, config["questions"], sizes)
    records = evaluate(
        policy,
        controlled(task, config["control"], seed=config["seed"]) if config["control"] else task,
        split="test",
        num_questions=None,
        num_samples=config["samples"],
        sampling=Sampling(config["temperature"], max_new_tokens=sizes.max_new_tokens),
        seed=config["seed"],
        out=work / "played",
        policy_id=config["agent"],
    )
    ids, columns = _columns(records)
    result: CellResult = {
        "questions": hashlib.sha256("|".join(ids).encode()).hexdigest()[:16],
        "columns": {name: _plain(values) for name, values in columns.items()},
    }
    if cell.key.endswith("/hotpotqa") and isinstance(policy, LanguageModelPolicy):
        shared = _shared_histories(config["seed"], agents, sizes, task)
        scored = question_table_of(list(score_again(shared, policy)), ks=(1,))
        if "query_token_entropy" in scored.columns:  # not if the start never searches
            result["shared_entropy"] = _plain(scored.columns["query_token_entropy"])
    return result


@lru_cache(maxsize=4)
def _played_task(name: str, pilot_seed: int | None, count: int, sizes: Sizes) -> Task:
    """The set with the questions to play as split "test"."""
    if pilot_seed is None:
        task = task_of(name, sizes.held_out)
        questions: Sequence[Question] = task.split(HOLDOUT)
    else:
        task = training_task(pilot_seed, "rl", sizes)
        questions = task.split("train")
    return replace(task, questions={"test": some_questions(questions, count, 0)})


def _columns(records: Sequence[EpisodeRecord]) -> tuple[tuple[str, ...], dict[str, np.ndarray[Any, Any]]]:
    """Question ids, sorted, and measure -> float64 [questions]: those of every report and some of the study's own."""
    table = question_table_of(records, ks=KS)
    columns = {name: table.columns[name] for name in MEASURES if name in table.columns}
    groups: dict[str, list[EpisodeRecord]] = {key: [] for key in table.question_ids}
    for record in records:
        groups[record.question.id].append(record)
    own = [_own_measures(group) for group in groups.values()]
    for name in own[0]:
        columns[name] = np.array([values[name] for values in own], np.float64)
    return table.question_ids, columns


def _own_measures(group: Sequence[EpisodeRecord]) -> dict[str, float]:
    """Of one question: kinds of behaviour among its rollouts, and what was right within so many searches."""
    sequences = [tuple(normalize(query) for turn in record.turns for query in turn.queries) for record in group]
    right = [record.em == 1.0 for record in group]
    searches = [sum(len(turn.queries) for turn in record.turns) for record in group]
    wrong = {record.answer_norm for record, hit in zip(group, right) if not hit and record.answer_norm is not None}
    out = {
        "query_sequences": float(len(set(sequences))),
        "right_sequences": float(len({sequence for sequence, hit in zip(sequences, right) if hit})),
        "wrong_answers": float(len(wrong)),
    }
    for most in (1, 2, 3):
        hits = sum(hit and made <= most for hit, made in zip(right, searches))
        for k in (1, len(group)) if len(group) > 1 else (1,):
            out[f"pass@{k}_within_{most}"] = pass_at_k(len(group), hits, k)
    return out


def _shared_histories(seed: int, agents: Path, sizes: Sizes, task: Task) -> list[EpisodeRecord]:
    """One rollout of sft_diverse for each of the shared questions, played once per replicate."""
    path = agents / f"seed-{seed}" / "shared.jsonl"
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            records = evaluate(
                trained("sft_diverse", seed, agents, sizes),
                task,
                split="test",
                num_questions=SHARED_QUESTIONS,
                num_samples=1,
                sampling=Sampling(max_new_tokens=sizes.max_new_tokens),
                seed=seed,
            )
            with writing(path, "free some space, then run the same command again"), whole_file(path) as work:
                write_records(work, records)  # whole or not at all: a later call takes it over
    return finished_rollouts(path)


def _plain(values: np.ndarray[Any, Any]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
