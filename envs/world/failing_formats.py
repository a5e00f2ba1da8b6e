"""A searcher of the World in which queries of a format fail on some records: these read as void to such a query.

Whether a format fails on a record is a hash of both, so that every rollout meets the same failures, on all splits. To a
query in a format with failure probability q, the World is one whose kinds have availability (1 - q) a_k.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ...retrieval_index.searcher import Hit, Searcher
from .closed_voice import parse_facts, query_format, record_text

__all__ = ["FailingFormats", "fails"]

_LARGEST = 2**64


def fails(passage_id: str, form: int, chance: float) -> bool:
    """Whether queries of a format fail on a record; true for a share `chance` of all records.

    Args:
        passage_id: of the record, see `passage_id` of `world.py`.
        form: index of the format in `QUERY_FORMATS`.
        chance: between 0 and 1.
    """
    return int.from_bytes(_digest(passage_id, form)[:8], "big") < chance * _LARGEST


class FailingFormats:
    """`Searcher` that returns what another one returns, except for records on which the format of the query fails.

    A query that is in none of the formats never fails. Hits keep their order and scores.
    """

    def __init__(self, searcher: Searcher, chances: Sequence[float]) -> None:
        self._searcher, self._chances = searcher, tuple(chances)
        self.index_id = hashlib.sha256(f"formats|{self._chances}|{searcher.index_id}".encode()).hexdigest()
        self.is_lexical: bool = getattr(searcher, "is_lexical", False)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The hits of each query."""
        found = self._searcher.search(queries, k)
        return [self._seen(query, hits) for query, hits in zip(queries, found, strict=True)]

    def close(self) -> None:
        """Closes the other searcher."""
        self._searcher.close()

    def _seen(self, query: str, hits: list[Hit]) -> list[Hit]:
        form = query_format(query) if hits else None
        chance = 0.0 if form is None or form >= len(self._chances) else self._chances[form]
        if form is None or chance == 0:
            return hits
        return [_void(hit, form) if fails(hit.id, form, chance) else hit for hit in hits]


def _void(hit: Hit, form: int) -> Hit:
    """The hit with its facts lost, under another id; a record that is void anyway stays what it is."""
    facts = parse_facts(hit.text)
    if all(fact.obj is None for fact in facts):
        return hit
    text = record_text(facts[0].kind, facts[0].relation, [(fact.entity, None) for fact in facts])
    return Hit(_digest(hit.id, form)[8:16].hex(), hit.title, text, hit.score)


def _digest(passage_id: str, form: int) -> bytes:
    return hashlib.sha256(f"{passage_id}|{form}".encode()).digest()
