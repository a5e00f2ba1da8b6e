"""Rows of the report on real corpora: means over seeds, gains over the closed book, and what the agent must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from ...envs.metrics.statistics import bootstrap_indices, bootstrap_mean
from ..grid.experiment import Cell, Results
from ..report.format import Report

__all__ = ["AGENT", "FLOORS", "MEASURES", "UNTRAINED", "columns_of", "floors", "gains", "grouped", "row_of"]

MEASURES = (
    "em", "f1", "pass@4", "evidence_recall", "all_hops", "breadth", "redundancy", "unique_query_ratio",
    "semantic_query_entropy", "query_token_entropy", "query_sequence_entropy", "searches", "valid_actions",
    "policy_tokens",
)  # fmt: skip
AGENT, UNTRAINED = "smollm2-search", "smollm2"

FLOORS = ((AGENT, "empty"), (AGENT, "closed_book"), ("question", "bm25"), (UNTRAINED, "bm25"))
"""Policy and retrieval of what the agent must beat with BM25."""

Key = tuple[str, str, str]
"""Set, policy and retrieval: what a row is about."""

Columns = Mapping[str, NDArray[np.float64]]
"""Measure -> one value for each question."""


def grouped(cells: Sequence[Cell]) -> dict[Key, list[Cell]]:
    """Key of a row -> its cells, one for each seed."""
    groups: dict[Key, list[Cell]] = {}
    for cell in cells:
        config = cell.config
        groups.setdefault((config["set"], config["policy"], config["retrieval"]), []).append(cell)
    return groups


def columns_of(group: Sequence[Cell], results: Results) -> Columns:
    """Measure -> float64 [questions], the mean over finished seeds."""
    done = [results.done[cell.key]["columns"] for cell in group if cell.key in results.done]
    out = {}
    for name in MEASURES:
        found = [np.array(columns[name], np.float64) for columns in done if name in columns]
        if found:
            known = ~np.isnan(found)
            total = np.where(known, found, 0).sum(0)
            out[name] = np.divide(total, known.sum(0), out=np.full(len(total), np.nan), where=known.any(0))
    return out


def row_of(group: Sequence[Cell], columns: Columns, results: Results) -> Report | None:
    """Measures of a set, policy and retrieval with intervals; None without a finished cell."""
    config = group[0].config
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


def gains(columns: Mapping[Key, Columns]) -> Sequence[Report]:
    """EM and F1 of each retrieval minus the closed book, paired by question."""
    out = []
    for (name, policy, retrieval), ours in columns.items():
        closed = columns.get((name, policy, "closed_book"), {})
        if retrieval == "closed_book" or not ours or not closed:
            continue
        indices = bootstrap_indices(len(ours["em"]))
        gain = {key: asdict(bootstrap_mean(ours[key] - closed[key], indices)) for key in ("em", "f1")}
        out.append({"set": name, "policy": policy, "retrieval": retrieval, "gain": gain})
    return out


def floors(columns: Mapping[Key, Columns]) -> Sequence[Report]:
    """EM and F1 of the agent with BM25 minus each of its floors, over the questions that both answered."""
    out = []
    for name in dict.fromkeys(name for name, _, _ in columns):
        agent = columns.get((name, AGENT, "bm25"), {})
        for policy, retrieval in FLOORS:
            floor = columns.get((name, policy, retrieval), {})
            if not agent or not floor:
                continue
            shared = min(len(agent["em"]), len(floor["em"]))  # both answered the first ones of the split
            indices = bootstrap_indices(shared)
            gain = {
                key: asdict(bootstrap_mean(agent[key][:shared] - floor[key][:shared], indices)) for key in ("em", "f1")
            }
            out.append({"set": name, "policy": policy, "retrieval": retrieval, "questions": shared, "gain": gain})
    return out
