"""How alike rollouts on a real corpus are: of an agent, of whom it imitated, and of others.

All play the same held-out questions of HotpotQA by the agent's rules and under one template, over BM25, which has no
encoder; a small text encoder and weighted words compare what they wrote. Rollouts of other systems have one rollout of
each question, so that only their floor is known: that of different questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.data.questions_file import data_folder
from ...envs.data.splits import HOLDOUT
from ...envs.importers import open_rollouts
from ...envs.tasks.registry import make_task
from ...policies.open_policy import open_policy
from ...policies.policy import Sampling
from ...policies.policy_rules import rules_of_policy
from ...retrieval_index.encoder import load_encoder
from ...retrieval_index.errors import BerrypickError
from ..grid.experiment import Cell, CellResult
from ..measures.likeness import likeness, word_vectors
from ..measures.rollout import Rollout, rollouts_of
from ..report.format import Report, markdown_table, plain
from ..runs.evaluation import evaluate

__all__ = ["ROLLOUTS", "rollout_cells", "rollout_section", "run_rollout_cell"]

ROLLOUTS = "rollouts"
"""The "policy" of such a cell."""

ENV, AGENT = "berrypick/HotpotQA-v0", "smollm2-search"
HELD_OUT, QUESTIONS, SAMPLES = 300, 12, 4

ARMS: Mapping[str, tuple[str, float, float]] = {
    "agent": (AGENT, 1.0, 1.0),
    "agent, T .5": (AGENT, 0.5, 1.0),
    "its demonstrator": ("bridge", 1.0, 1.0),
    "the demonstrator, four ways": ("bridge:ways=4", 1.0, 1.0),
    "asks the question": ("question", 1.0, 1.0),
    "follows titles": ("follow_titles", 1.0, 1.0),
}
"""Name -> policy, temperature, top-p. The agent's start before training hardly ever searches and is left out."""

OTHERS: Mapping[str, str] = {
    "a web search agent": "nemo_gym_google_search_rollouts.jsonl",
    "a finance agent": "nemo_gym_finance_sec_search_rollouts.jsonl",
}
"""Rollouts of other systems, in the folder trajectories below BERRYPICK_DATA."""


def rollout_cells() -> list[Cell]:
    """The one cell."""
    config = {"policy": ROLLOUTS, "env": ENV, "questions": QUESTIONS, "samples": SAMPLES, "held_out": HELD_OUT}
    return [Cell("real/hotpotqa", {**config, "arms": {name: list(arm) for name, arm in ARMS.items()}})]


def run_rollout_cell(cell: Cell) -> CellResult:
    """Plays and compares.

    Returns:
        {"checkpoints": {"0": {}}, "likeness": {encoder: {arm or pair: row}}}, without the latter but with "skipped",
        the reason, where data or weights are missing.
    """
    config = cell.config
    empty: CellResult = {"checkpoints": {"0": {}}}
    try:
        arms = _played(config)
        encoder = load_encoder("minilm")
    except BerrypickError as error:
        return {**empty, "skipped": str(error)}

    def encoded(texts: Sequence[str]) -> NDArray[np.float64]:
        return encoder.encode(texts, is_query=False).astype(np.float64)

    ways = {"words": word_vectors, "MiniLM": encoded}
    others = {name: rollouts for name, file in OTHERS.items() if (rollouts := _others(file))}
    found: dict[str, Any] = {}
    for name, encode in ways.items():
        found[name] = {**likeness(arms, encode)}
        for other, rollouts in others.items():
            found[name] |= likeness({other: rollouts}, encode)
    return {**empty, "likeness": found}


def _played(config: Mapping[str, Any]) -> dict[str, list[Rollout]]:
    rules = rules_of_policy(AGENT)
    longest = rules.pop("max_new_tokens")
    task = make_task(config["env"], **rules, holdout=config["held_out"])
    out = {}
    for name, (policy, temperature, top_p) in config["arms"].items():
        records = evaluate(
            open_policy(policy, dtype="auto"),
            task,
            split=HOLDOUT,
            num_questions=config["questions"],
            num_samples=config["samples"],
            sampling=Sampling(temperature, top_p, max_new_tokens=longest),
            seed=0,
            max_rows=96,
        )
        out[name] = rollouts_of(records)
    return out


def _others(file: str) -> list[Rollout]:
    try:
        path = data_folder("trajectories") / file
    except BerrypickError:
        return []
    return rollouts_of(open_rollouts(path).records()) if path.is_file() else []


def rollout_section(found: Report) -> str:
    """The section of the page.

    Args:
        found: the cell's result, or {} where it was not run.
    """
    about = (
        f"{QUESTIONS} held-out questions of HotpotQA, {SAMPLES} rollouts of each, by the rules of the agent of "
        "[agent.md](agent.md), over BM25; what is compared are a rollout's queries and its answer. The agent "
        "imitated the script `bridge`, which asks in one way; here are this script, and the same drawing one of four "
        "ways. Whoever asks about a question repeats its words: what the agent has in common with *asks the "
        "question* is owed to the question and to no shared demonstrator. Two encoders, none of them the "
        "retriever's: words weighted by rarity, and MiniLM. Behind ± is half of a 95 % bootstrap interval over "
        "questions, which are few. A web search agent and a finance agent are other systems, with one rollout of "
        "each of four or five questions; rarity is that among their own words. Descriptive: no claim rests on these "
        "numbers."
    )
    if not found:
        return f"## Rollouts on a real corpus\n\n{about}\n\nNot run."
    if "skipped" in found:
        return f"## Rollouts on a real corpus\n\n{about}\n\nSkipped: {found['skipped']}."
    parts = [f"## Rollouts on a real corpus\n\n{about}"]
    for encoder, rows in found["likeness"].items():
        shown = [
            [
                name.replace(" | ", " with "),
                *(plain(row.get(key), 2) for key in ("alike", "floor", "above_floor", "high")),
            ]
            for name, row in rows.items()
        ]
        header = ["who", "one question", "different questions", "difference", "questions above .8"]
        parts.append(f"{encoder}:\n\n{markdown_table(header, shown)}")
    return "\n\n".join(parts)
