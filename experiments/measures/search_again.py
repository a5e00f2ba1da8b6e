"""Stored queries searched again in an index, for rollouts whose log does not tell the passages shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from ...envs.record import EpisodeRecord, HitRecord
from ...envs.rewards import evidence_recall, hop_hits
from ...retrieval_index.searcher import Searcher

__all__ = ["search_again"]

_BATCH = 512
_TOP_K = 3


def search_again(records: Iterable[EpisodeRecord], searcher: Searcher) -> Iterator[EpisodeRecord]:
    """Yields the records with the passages that this index returns for their queries.

    Recorded passages are replaced. A query brings as many passages as the record's rules say, or three. Evidence recall
    is computed again where evidence is known. Queries are searched in batches, each distinct query once.

    Args:
        records: of one arm.
        searcher: an open index.
    """
    stream = iter(records)
    while batch := list(islice(stream, _BATCH)):
        depth = max(_top_k(record) for record in batch)
        asked = list(dict.fromkeys(query for record in batch for query in record.queries))
        found = dict(zip(asked, searcher.search(asked, depth) if asked else [], strict=True))
        hits = {query: [HitRecord(id=hit.id, score=round(hit.score, 6)) for hit in found[query]] for query in asked}
        for record in batch:
            yield _with_hits(record, hits, searcher.index_id)


def _top_k(record: EpisodeRecord) -> int:
    return int((record.spec or {}).get("top_k", _TOP_K))


def _with_hits(record: EpisodeRecord, hits: dict[str, list[HitRecord]], index_id: str) -> EpisodeRecord:
    size = _top_k(record)
    turns = [
        turn.model_copy(update={"hits": [hits[query][:size] for query in turn.queries]})
        if turn.action == "search" and turn.error is None
        else turn
        for turn in record.turns
    ]
    unknown = [part for part in record.unknown or () if part != "passages"]
    new = record.model_copy(update={"turns": turns, "index_id": index_id, "unknown": unknown or None})
    evidence = new.evidence_sets
    if not evidence:
        return new
    shown = new.shown_ids
    update = {"evidence_recall": evidence_recall(evidence, shown), "hop_hits": hop_hits(evidence, shown)}
    return new.model_copy(update=update)
