"""The end of a training run or a sweep: one sentence, where the files are, and what to run next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ...retrieval_index.plain_text import counted
from ..runs.run_log import read_rows
from .closing import Closing

__all__ = ["sweep_sentence", "training_closing", "training_sentence"]

Rows = Sequence[Mapping[str, Any]]

_FEW = 5
"""Steps that are averaged at each end of a run: single batches differ too much."""


def training_sentence(file: Path) -> str:
    """Says what a run's metrics.jsonl shows: the reward of the first and last RL steps, or the loss of SFT.

    Batches hold different questions, so the sentence never calls a difference sure. "" if nothing was measured.
    """
    rows = read_rows(file)
    for key, words in (("reward", "reward on training questions"), ("sft/loss", "SFT loss")):
        values = [float(row[key]) for row in rows if key in row]
        if values:
            few = min(_FEW, max(1, len(values) // 2))
            first, last = fmean(values[:few]), fmean(values[-few:])
            return (
                f"The {words} went from {first:.3f} to {last:.3f} over {len(values)} steps (means of the first and "
                f"last {few}); whether the policy is better, an evaluation on held-out questions says."
            )
    return ""


def training_closing(out: Path, env: str, env_arg: Sequence[str], *, holdout: int = 0) -> Closing:
    """Says where the weights and metrics of a run are, and how to evaluate them.

    Args:
        out: the run folder.
        env: environment id of the run.
        env_arg: its arguments, as they were given on the command line.
        holdout: number of questions that it held out.
    """
    folder = shlex.quote(str(out))
    words = f" --env-arg {shlex.join(env_arg)}" if env_arg else ""
    words += f" --holdout {holdout}" if holdout else ""
    command = f"berrypick eval --env {env}{words} --policy {folder} --out {shlex.quote(f'{out}-test')}"
    return Closing([("weights", out / "checkpoints"), ("metrics", out / "metrics.jsonl")], [command])


def sweep_sentence(cells: Mapping[str, Mapping[str, Any]]) -> str:
    """Says which objective ended with the highest training reward, averaged over seeds; "" for no finished cells."""
    rewards: dict[str, list[float]] = {}
    for cell in cells.values():
        if "reward" in cell["metrics"]:
            rewards.setdefault(cell["objective"], []).append(float(cell["metrics"]["reward"]))
    if not rewards:
        return ""
    means = sorted(((fmean(values), name) for name, values in rewards.items()), reverse=True)
    text = ", ".join(f"{name} {mean:.3f} ({counted(len(rewards[name]), 'seed')})" for mean, name in means)
    return (
        f"Reward in the last training step: {text}; these are single batches, so no difference is sure: evaluate the "
        "cells on held-out questions."
    )
