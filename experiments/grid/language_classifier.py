"""A classifier of equivalent rollouts, learned from the SFT policy of a World and shared by the arms that use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...envs.answers import normalize
from ...envs.tasks.registry import Task
from ...policies.language.model import LanguageModelPolicy
from ...policies.objectives.equivalence import Pair, equivalent_pairs, fit_classifier, held_out_accuracy
from ..runs.run_folder import kept_json
from .language_worlds import play_groups

__all__ = ["CLASSIFIER", "classifier_of"]

CLASSIFIER = "{classifier}"
"""What stands for the classifier's folder in the spec of an objective, such as "darling:classifier={classifier}"."""

_SAMPLES = 8
_HELD_OUT = 0.25


def classifier_of(folder: Path, policy: LanguageModelPolicy, task: Task, config: Mapping[str, Any]) -> dict[str, float]:
    """Learns the classifier, or returns what an earlier call said of it.

    It learns from pairs of rollouts of one training question, three quarters of the questions, and is tried on the
    others. Its labels are whether both rollouts were shown the same passages; it sees the queries alone.

    Args:
        folder: receives the classifier, for `load_classifier`.
        policy: the SFT policy.
        task: the World.
        config: the cell's, with "classifier_questions".

    Returns:
        classifier_accuracy: mean of the accuracies on equivalent and on different pairs of held-out questions, chance
        .5. classifier_recall and classifier_specificity: these accuracies. classifier_pairs: number of held-out pairs.

    Raises:
        BerrypickError: the rollouts of the questions are all alike, or all different.
    """

    def learned() -> dict[str, float | None]:
        questions = task.split("train")[: config["classifier_questions"]]
        groups = play_groups(policy, task, questions, _SAMPLES, 20_011 + config["seed"])
        pairs = [
            equivalent_pairs([[normalize(query) for query in e.queries] for e in group], [e.shown_ids for e in group])
            for group in ([episode for episode in group if episode.queries] for group in groups)
        ]
        first = round(_HELD_OUT * len(pairs))
        found = fit_classifier(_flat(pairs[first:]))
        if not folder.exists():
            found.save(folder)
        tried = held_out_accuracy(found, _flat(pairs[:first]))
        names = {"accuracy": "balanced_accuracy", "recall": "recall", "specificity": "specificity"}
        return {f"classifier_{name}": tried.get(key) for name, key in names.items()} | {
            "classifier_pairs": tried["held_out_pairs"]
        }

    found = kept_json(folder.with_suffix(".json"), learned)
    return {name: float(value) for name, value in found.items() if value is not None}


def _flat(pairs: list[list[Pair]]) -> list[Pair]:
    return [pair for group in pairs for pair in group]
