"""`berrypick classifier`: rollouts to a classifier of equivalent queries, for `darling:classifier=DIR`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from ...envs.answers import normalize
from ...envs.record import EpisodeRecord
from ...retrieval_index.errors import BerrypickError

if TYPE_CHECKING:
    from ...policies.objectives.equivalence import EquivalenceClassifier, Pair

__all__ = ["Classifier", "held_out_accuracy", "pairs_by_question"]


@dataclass(frozen=True)
class Classifier:
    """A classifier of equivalent queries, learned from rollouts, for darling:classifier=DIR."""

    rollouts: tyro.conf.Positional[tuple[Path, ...]]
    """run folders or rollouts files, several rollouts to a question"""
    out: Path
    """a new folder"""
    encoder: str = "hashed"
    """of queries: hashed (words), minilm, or a hub id"""
    held_out: float = 0.25
    """share of the questions that only measure it"""
    seed: int = 0
    """of the split"""
    json: bool = False
    """one JSON document"""

    def run(self) -> int:
        """Learns, measures on held-out questions, writes."""
        from ...policies.open_policy import require_training

        require_training("berrypick classifier")
        from ...policies.objectives.equivalence import fit_classifier
        from ..report.arms import load_arms

        if not self.rollouts:
            raise BerrypickError("berrypick classifier needs at least one run folder or rollouts file")
        if not 0 < self.held_out < 1:
            raise BerrypickError(f"--held-out must lie between 0 and 1, got {self.held_out}")
        if self.out.exists():
            raise BerrypickError(f"{self.out} exists already; choose a new folder for --out")
        records = [record for arm in load_arms(self.rollouts).values() for record in arm]
        by_question = pairs_by_question(records)
        names = sorted(by_question)
        order = np.random.default_rng((self.seed, 37)).permutation(len(names))
        held = {names[i] for i in order[: max(1, round(self.held_out * len(names)))]}
        learn = [pair for name in names if name not in held for pair in by_question[name]]
        if not learn:
            raise BerrypickError("no two rollouts of a question have different queries; give rollouts that differ")
        classifier = fit_classifier(learn, encoder=self.encoder)
        found = {
            "pairs": len(learn),
            **held_out_accuracy(classifier, [pair for name in sorted(held) for pair in by_question[name]]),
        }
        classifier.save(self.out)
        self._print(found)
        return 0

    def _print(self, found: dict[str, Any]) -> None:
        if self.json:
            sys.stdout.write(json.dumps(found, indent=1, sort_keys=True) + "\n")
            return
        accuracy = found["balanced_accuracy"]
        told = "no verdict (one label only)" if accuracy is None else f"balanced accuracy {accuracy:.3f} (chance .5)"
        sys.stdout.write(
            f"learned from {found['pairs']} pairs; {told} on {found['held_out_pairs']} pairs of other questions\n"
            f"use it: --objective darling:classifier={self.out}\n"
        )


def pairs_by_question(records: Sequence[EpisodeRecord]) -> dict[str, list[Pair]]:
    """Labelled pairs of each question's rollouts that searched."""
    from ...policies.objectives.equivalence import equivalent_pairs

    groups: dict[str, list[EpisodeRecord]] = defaultdict(list)
    for record in records:
        if record.queries:
            groups[record.question.id].append(record)
    return {
        name: equivalent_pairs(
            [[normalize(query) for query in record.queries] for record in group], [r.shown_ids for r in group]
        )
        for name, group in groups.items()
    }


def held_out_accuracy(classifier: EquivalenceClassifier, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Mean of the accuracies on equivalent and on different pairs; None where a label is absent."""
    said = {True: [0, 0], False: [0, 0]}
    for pair in pairs:
        said[pair.same][classifier(pair.first, pair.second)] += 1
    if not all(map(sum, said.values())):
        return {"held_out_pairs": len(pairs), "balanced_accuracy": None}
    recall = said[True][1] / sum(said[True])
    specificity = said[False][0] / sum(said[False])
    return {
        "held_out_pairs": len(pairs),
        "balanced_accuracy": (recall + specificity) / 2,
        "recall": recall,
        "specificity": specificity,
    }
