"""A trained agent on real corpora beside what it must beat: how do accuracy, breadth and entropy depend on retrieval?

Each policy answers the same held-out questions of each set, by the rules that the agent was trained under, with BM25
and with four controls: random passages, no passages, the annotated evidence for every query, and a closed book. How
many ways lead to an answer is unknown on real corpora, so breadth is the share of the one annotated path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...envs.data.splits import HOLDOUT
from ...envs.tasks.controls import CONTROLS, controlled
from ...envs.tasks.registry import Task, make_task
from ...policies.open_policy import open_policy
from ...policies.policy import Sampling
from ...policies.policy_rules import rules_of_policy
from ...policies.scripted import SCRIPTED
from ...retrieval_index.errors import BerrypickError
from ..grid.experiment import Cell, CellResult, Experiment, Results, Scale
from ..measures.summary import question_table_of
from ..report.format import Report
from ..runs.evaluation import evaluate
from .rows import AGENT, MEASURES, UNTRAINED, columns_of, floors, gains, grouped, row_of

__all__ = ["EXPERIMENT", "MEASURES", "RETRIEVALS", "RealCorpora"]

RETRIEVALS = ("bm25", *CONTROLS)
SAMPLES = 4
HELD_OUT = 300
"""Questions of each set that the agent was not trained on; docs/agent.md."""


@dataclass(frozen=True)
class RealCorpora(Experiment):
    """The experiment.

    Attributes:
        sets: names of environments, as in berrypick/NAME-v0, joined by commas.
        policies: anything `berrypick eval --policy` takes, joined by commas.
        env_args: arguments of the environments; None are the rules of the agent and 300 held-out questions.
        questions: number of questions, from the start of `split`, that scripted policies answer.
        agent_questions: number of questions that the agent answers.
        model_questions: number of questions that other language models answer.
        split: the split of each set.
        max_new_tokens: of a turn.
    """

    sets: str = "HotpotQA,2WikiMultiHopQA,MuSiQue"
    policies: str = f"{AGENT},{UNTRAINED},question,follow_titles,random_words,oracle"
    env_args: Mapping[str, Any] | None = None
    questions: int = 200
    agent_questions: int = 40
    model_questions: int = 8
    split: str = HOLDOUT
    max_new_tokens: int = 64
    name: str = "real_corpora"
    summary: str = "a trained agent on real corpora: accuracy, breadth and entropy against retrieval controls"
    version: int = 2

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """One cell per set, retrieval, policy and seed; `smoke` has scripted policies and few questions."""
        arguments = _agent_rules() if self.env_args is None else dict(self.env_args)
        policies = [policy for policy in self.policies.split(",") if scale != "smoke" or policy in SCRIPTED]
        return [
            Cell(
                f"{name}/{retrieval}/{policy.replace('/', '_')}/seed-{seed:02d}",
                {
                    "set": name,
                    "retrieval": retrieval,
                    "policy": policy,
                    "seed": seed,
                    "env_args": arguments,
                    "split": self.split,
                    "questions": 8 if scale == "smoke" else self._size(policy),
                    "samples": SAMPLES,
                    "max_new_tokens": self.max_new_tokens,
                },
            )
            for seed in range(num_seeds)
            for name in self.sets.split(",")
            for policy in policies
            for retrieval in (RETRIEVALS if policy != UNTRAINED else ("bm25",))  # it hardly ever searches
        ]

    def _size(self, policy: str) -> int:
        if policy == AGENT:
            return self.agent_questions
        return self.questions if policy in SCRIPTED else self.model_questions

    def require(self, cells: Sequence[Cell]) -> None:
        """Opens the set of the first cell, so that a missing corpus is reported before any cell is computed."""
        if cells:
            config = cells[0].config
            _task(config["set"], config["split"], json.dumps(config["env_args"]))

    def run_cell(self, cell: Cell, work: Path) -> CellResult:
        """Plays and measures: {"columns": {measure: [one value per question, or None]}}."""
        config = cell.config
        task = _task(config["set"], config["split"], json.dumps(config["env_args"]))
        control = config["retrieval"]
        records = evaluate(
            open_policy(config["policy"], dtype="auto"),
            task if control == "bm25" else controlled(task, control, seed=config["seed"]),
            split=config["split"],
            num_questions=config["questions"],
            num_samples=config["samples"],
            sampling=Sampling(max_new_tokens=config["max_new_tokens"]),
            seed=config["seed"],
            max_rows=256,
        )
        table = question_table_of(records, ks=(1, SAMPLES))
        columns = {name: table.columns[name] for name in MEASURES if name in table.columns}
        return {
            "columns": {
                name: [None if np.isnan(value) else round(float(value), 6) for value in column]
                for name, column in columns.items()
            }
        }

    def report(self, results: Results, scale: Scale, num_seeds: int) -> Report:
        """Rows of every set and their differences from the closed book."""
        groups = grouped(self.cells(scale, num_seeds))
        columns = {key: columns_of(group, results) for key, group in groups.items()}
        rows = [row for key, group in groups.items() if (row := row_of(group, columns[key], results)) is not None]
        report = {
            "experiment": self.name,
            "scale": scale,
            "seeds": num_seeds,
            "cells": {"done": len(results.done), "failed": results.failed, "not_run": len(results.not_run)},
            "rows": rows,
            "gains": gains(columns),
            "floors": floors(columns),
        }
        from .page import report_text

        return {**report, "text": report_text(report)}

    def pages(self, report: Report, results: Path | None = None) -> Mapping[str, str]:
        """docs/real_corpora.md."""
        from .page import page

        return {"real_corpora.md": page(report)}


@lru_cache(maxsize=1)
def _task(name: str, split: str, env_args: str) -> Task:
    """The set with its index, cached for the next cells; env_args is JSON."""
    task = make_task(f"berrypick/{name}-v0", **json.loads(env_args))
    if not any(question.evidence for question in task.split(split)):
        raise BerrypickError(f"{name} has no annotated evidence; choose a set that has")
    return task


def _agent_rules() -> dict[str, Any]:
    """The rules that the agent was trained under, and the number of questions that were held out then."""
    rules = {name: value for name, value in rules_of_policy(AGENT).items() if name != "max_new_tokens"}
    return {**rules, "holdout": HELD_OUT}


EXPERIMENT = RealCorpora()
"""What `berrypick run real_corpora` runs."""
