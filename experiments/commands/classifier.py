"""`berrypick classifier`: rollouts to a classifier of equivalent queries, for `darling:classifier=DIR`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...envs.answers import normalize
from ...envs.record import EpisodeRecord
from ...policies.objectives.equivalence import Pair, equivalent_pairs, fit_classifier, held_out_accuracy
from ...retrieval_index.errors import BerrypickError
from ..report.arms import load_arms
from .flags import Classifier
from .json_output import print_json

__all__ = ["pairs_by_question", "run_classifier"]


def run_classifier(flags: Classifier) -> int:
    """Learns the classifier, measures it on held-out questions and writes it."""
    if not flags.rollouts:
        raise BerrypickError("berrypick classifier needs at least one run folder or rollouts file")
    if not 0 < flags.held_out < 1:
        raise BerrypickError(f"--held-out must be above 0 and below 1, got {flags.held_out}")
    if flags.out.exists():
        raise BerrypickError(f"{flags.out} exists already; choose a new folder for --out")
    pairs = pairs_by_question([record for arm in load_arms(flags.rollouts).values() for record in arm])
    names = sorted(pairs)
    order = np.random.default_rng((flags.seed, 37)).permutation(len(names))
    held_out = {names[i] for i in order[: max(1, round(flags.held_out * len(names)))]}
    learned = [pair for name in names if name not in held_out for pair in pairs[name]]
    if not learned:
        raise BerrypickError("no two rollouts of a question have different queries; give rollouts that differ")
    classifier = fit_classifier(learned, encoder=flags.encoder)
    measured = held_out_accuracy(classifier, [pair for name in sorted(held_out) for pair in pairs[name]])
    classifier.save(flags.out)
    if flags.json:
        print_json({"pairs": len(learned), **measured})
    else:
        _print(len(learned), measured, flags.out)
    return 0


def _print(num_learned: int, measured: Mapping[str, float | None], out: Path) -> None:
    accuracy = measured["balanced_accuracy"]
    verdict = "no accuracy (one label only)" if accuracy is None else f"balanced accuracy {accuracy:.3f} (chance .5)"
    sys.stdout.write(
        f"learned from {num_learned} pairs; {verdict} on {measured['held_out_pairs']} pairs of other questions\n"
        f"use it: --objective darling:classifier={out}\n"
    )


def pairs_by_question(records: Sequence[EpisodeRecord]) -> dict[str, list[Pair]]:
    """Labelled pairs of queries by question id, from the rollouts that searched."""
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
