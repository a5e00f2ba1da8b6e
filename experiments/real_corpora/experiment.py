"""Measures on real corpora, without training: what do accuracy, breadth and entropy owe to retrieval?

Each policy answers the same first questions of each set under BM25 and under four controls: passages at random, no
passages, the annotated evidence whatever is asked, and a closed book. Nobody knows how many ways there are to an
answer here, so breadth is the share of the one annotated path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...envs.metrics.statistics import bootstrap_indices, bootstrap_mean
from ...envs.tasks.controls import CONTROLS, controlled
from ...envs.tasks.registry import Task, make_task
from ...policies.open_policy import open_policy
from ...policies.policy import Sampling
from ...policies.scripted import SCRIPTED
from ...retrieval_index.errors import BerrypickError
from ..grid.experiment import Cell, Results, Scale
from ..measures.summary import question_table_of
from ..runs.evaluation import evaluate

__all__ = ["EXPERIMENT", "MEASURES", "RETRIEVALS", "RealCorpora"]

RETRIEVALS = ("bm25", *CONTROLS)
MEASURES = (
    "em", "f1", "pass@4", "evidence_recall", "all_hops", "breadth", "redundancy", "unique_query_ratio",
    "semantic_query_entropy", "query_token_entropy", "query_sequence_entropy", "searches", "valid_actions",
    "policy_tokens",
)  # fmt: skip
SAMPLES = 4


@dataclass(frozen=True)
class RealCorpora:
    """The experiment.

    Attributes:
        sets: names of environments, as in berrypick/NAME-v0, joined by commas.
        policies: anything `berrypick eval --policy` takes, joined by commas.
        env_args: of the environments.
        questions: that scripted policies answer, from the front of `split`.
        model_questions: that language models answer.
        split: of each set.
    """

    sets: str = "HotpotQA,2WikiMultiHopQA,MuSiQue"
    policies: str = "oracle,question,follow_titles,random_words,smollm2"
    env_args: Mapping[str, Any] | None = None
    questions: int = 200
    model_questions: int = 12
    split: str = "dev"
    name: str = "real_corpora"
    summary: str = "accuracy, breadth and entropy on real corpora, against retrieval controls"
    version: int = 1

    def cells(self, scale: Scale, num_seeds: int) -> Sequence[Cell]:
        """One cell a set, retrieval, policy and seed; `smoke` has scripted policies and few questions."""
        policies = [policy for policy in self.policies.split(",") if scale != "smoke" or policy in SCRIPTED]
        return [
            Cell(
                f"{name}/{retrieval}/{policy.replace('/', '_')}/seed-{seed:02d}",
                {
                    "set": name,
                    "retrieval": retrieval,
                    "policy": policy,
                    "seed": seed,
                    "env_args": dict(self.env_args or {}),
                    "split": self.split,
                    "questions": 8 if scale == "smoke" else self._size(policy),
                    "samples": SAMPLES,
                    "max_new_tokens": 32,
                },
            )
            for seed in range(num_seeds)
            for name in self.sets.split(",")
            for policy in policies
            for retrieval in RETRIEVALS
        ]

    def _size(self, policy: str) -> int:
        return self.questions if policy in SCRIPTED else self.model_questions

    def require(self, cells: Sequence[Cell]) -> None:
        """Opens the set of the first cell, which keeps it."""
        if cells:
            config = cells[0].config
            _task(config["set"], config["split"], json.dumps(config["env_args"]))

    def require_earlier(self, earlier: Path, scale: Scale, num_seeds: int) -> None:
        """All cells are run here."""
        raise BerrypickError(f"{self.name} takes nothing over from {earlier}; leave --given out")

    def run_cell(self, cell: Cell, work: Path) -> dict[str, Any]:
        """Plays and measures: {"columns": {measure: a value for each question, None where there is none}}."""
        config = cell.config
        task = _task(config["set"], config["split"], json.dumps(config["env_args"]))
        control = config["retrieval"]
        records = evaluate(
            open_policy(config["policy"]),
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

    def report(self, results: Results, scale: Scale, num_seeds: int) -> dict[str, Any]:
        """Rows of every set and their differences to the closed book."""
        cells = self.cells(scale, num_seeds)
        rows = [row for group in _grouped(cells) if (row := _row(group, results)) is not None]
        report: dict[str, Any] = {
            "experiment": self.name,
            "scale": scale,
            "seeds": num_seeds,
            "cells": {"done": len(results.done), "failed": results.failed, "not_run": len(results.not_run)},
            "rows": rows,
            "gains": _gains(cells, results),
        }
        from .page import report_text

        return {**report, "text": report_text(report)}

    def write_files(self, results: Results, report: Mapping[str, Any], out: Path) -> None:
        """Nothing stands beside the report."""

    def pages(self, report: Mapping[str, Any]) -> Mapping[str, str]:
        """docs/real_corpora.md."""
        from .page import page

        return {"real_corpora.md": page(report)}


@lru_cache(maxsize=1)
def _task(name: str, split: str, env_args: str) -> Task:
    """The set with its index, kept for the cells that follow; env_args is JSON."""
    task = make_task(f"berrypick/{name}-v0", **json.loads(env_args))
    if not any(question.evidence for question in task.split(split)):
        raise BerrypickError(f"{name} has no annotated evidence; choose a set that has")
    return task


def _grouped(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Seeds of one row together."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(cell.config[key] for key in ("set", "policy", "retrieval")), []).append(cell)
    return list(groups.values())


def _columns(group: Sequence[Cell], results: Results) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Measure -> float64 [questions], mean over the seeds that are there."""
    done = [results.done[cell.key]["columns"] for cell in group if cell.key in results.done]
    out = {}
    for name in MEASURES:
        found = [np.array(columns[name], np.float64) for columns in done if name in columns]
        if found:
            known = ~np.isnan(found)
            total = np.where(known, found, 0).sum(0)
            out[name] = np.divide(total, known.sum(0), out=np.full(len(total), np.nan), where=known.any(0))
    return out


def _row(group: Sequence[Cell], results: Results) -> dict[str, Any] | None:
    columns, config = _columns(group, results), group[0].config
    if not columns:
        return None
    indices = bootstrap_indices(len(next(iter(columns.values()))))
    return {
        **{key: config[key] for key in ("set", "policy", "retrieval", "questions", "samples")},
        "seeds": [cell.config["seed"] for cell in group if cell.key in results.done],
        "measures": {
            name: asdict(bootstrap_mean(column, indices))
            for name, column in columns.items()
            if not np.isnan(column).all()
        },
    }


def _gains(cells: Sequence[Cell], results: Results) -> list[dict[str, Any]]:
    """EM and F1 of each retrieval minus the closed book, paired by question."""
    columns = {tuple(group[0].config[key] for key in _KEY): _columns(group, results) for group in _grouped(cells)}
    out = []
    for (name, policy, retrieval), ours in columns.items():
        closed = columns.get((name, policy, "closed_book"), {})
        if retrieval == "closed_book" or not ours or not closed:
            continue
        indices = bootstrap_indices(len(ours["em"]))
        gain = {key: asdict(bootstrap_mean(ours[key] - closed[key], indices)) for key in ("em", "f1")}
        out.append({"set": name, "policy": policy, "retrieval": retrieval, "gain": gain})
    return out


_KEY = ("set", "policy", "retrieval")

EXPERIMENT = RealCorpora()
