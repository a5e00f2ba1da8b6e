"""Searches as a TREC run, and evidence as TREC judgements, for any tool that scores rankings.

A topic is one query of one rollout. Its id is QUESTION/ROLLOUT/QUERY, with numbers from 1, so a run and judgements that
are made of the same file belong together. Relevant are all passages of the question's evidence, whichever path or hop
they belong to.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

import numpy as np

from ..questions import passages_of
from ..record import EpisodeRecord, HitRecord

__all__ = ["qrels_lines", "run_lines"]

_SEPARATES = re.compile(r"[\s\x00-\x20\x7f]+")


def run_lines(records: Iterable[EpisodeRecord]) -> Iterator[str]:
    """Yields "topic Q0 passage rank score tag" for each passage that a query was shown, with its line break.

    trec_eval ignores ranks: it orders a topic by scores of single precision, and equal ones by passage. So the scores
    written here fall strictly, by the smallest step where the search engine's were equal. A passage that is listed
    twice keeps its first place, and passages without scores get 1, 1/2, 1/3, ...
    """
    for record, topics in _topics(records):
        tag = _word(record.policy_id) or "berrypick"
        for topic, hits in topics:
            first: dict[str, HitRecord] = {}
            for hit in hits:
                first.setdefault(hit.id, hit)
            ranked = list(first.values())
            for rank, (hit, score) in enumerate(zip(ranked, _falling([hit.score for hit in ranked])), 1):
                yield f"{topic} Q0 {_word(hit.id)} {rank} {score:.9g} {tag}\n"


def qrels_lines(records: Iterable[EpisodeRecord]) -> Iterator[str]:
    """Yields "topic 0 passage 1" for each relevant passage of each query, with its line break."""
    for record, topics in _topics(records):
        relevant = [_word(key) for key in sorted(passages_of(record.question.evidence))]
        for topic, _ in topics:
            yield from (f"{topic} 0 {key} 1\n" for key in relevant)


def _topics(
    records: Iterable[EpisodeRecord],
) -> Iterator[tuple[EpisodeRecord, list[tuple[str, Sequence[HitRecord]]]]]:
    """Each record with the topic and the passages of each of its queries that was answered."""
    rollouts: Counter[str] = Counter()
    for record in records:
        question = _word(record.question.id)
        rollouts[question] += 1
        shown = [
            ranking
            for turn in record.turns
            if turn.action == "search" and turn.error is None
            for ranking in turn.hits[: len(turn.queries)]
        ]
        yield record, [(f"{question}/{rollouts[question]}/{at}", hits) for at, hits in enumerate(shown, 1)]


def _falling(scores: Sequence[float | None]) -> list[float]:
    """Numbers of single precision that fall strictly, as near to the scores as possible."""
    out: list[np.float32] = []
    with np.errstate(over="ignore"):  # what is too large is replaced below
        for at, score in enumerate(scores):
            value = np.float32(1 / (at + 1) if score is None else score)
            out.append(value if not out or value < out[-1] else np.nextafter(out[-1], np.float32(-np.inf)))
    if all(map(math.isfinite, out)):
        return [float(value) for value in out]
    return [1 / (at + 1) for at in range(len(scores))]


def _word(text: str) -> str:
    """An id without white space, which separates the fields of a line: "a b" becomes "a%20b"."""
    return _SEPARATES.sub(lambda found: quote(found[0], safe=""), text)
