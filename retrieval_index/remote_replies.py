"""Hits in the replies of retrieval servers: berrypick's own, and those with Search-R1's /retrieve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .corpus import passage_from_text, split_contents
from .plain_text import encodable
from .searcher import Hit, ranked

__all__ = ["best_hits", "native_hits", "search_r1_hits"]


def native_hits(rows: Sequence[dict[str, Any]]) -> list[Hit]:
    """The hits in a ranking of a berrypick server."""
    return [_hit(row["id"], str(row["title"]), str(row["text"]), float(row["score"])) for row in rows]


def search_r1_hits(rows: Sequence[dict[str, Any]]) -> list[Hit]:
    """The hits in a ranking of a Search-R1-style server.

    Such servers promise `contents`, the only field that Search-R1's client reads; some send no id and no score. Without
    a score for every document, the scores are 1, 1/2, 1/3, ... in the server's order.
    """
    scores = [float("nan") if row.get("score") is None else float(row["score"]) for row in rows]
    if not all(map(math.isfinite, scores)):
        scores = [1 / rank for rank in range(1, len(rows) + 1)]
    hits = []
    for row, score in zip(rows, scores):
        document = row.get("document", row)
        contents = document.get("contents")
        if isinstance(contents, str):
            title, text = split_contents(contents)
        else:
            title, text = str(document.get("title") or ""), str(document["text"])
        hits.append(_hit(document.get("id"), title, text, score))
    return hits


def _hit(key: object, title: str, text: str, score: float) -> Hit:
    title, text = encodable(title), encodable(text)
    name = passage_from_text(title, text).id if key in (None, "") else encodable(str(key))
    return Hit(name, title, text, score)


def best_hits(hits: list[Hit], k: int) -> list[Hit]:
    """The k best hits. A passage that repeats is kept once; another passage with a known id gets an id of its own."""
    by_id: dict[str, Hit] = {}
    for hit in hits:
        known = by_id.setdefault(hit.id, hit)
        if (known.title, known.text) != (hit.title, hit.text):
            other = _hit(None, hit.title, hit.text, hit.score)
            by_id.setdefault(other.id, other)
    return [by_id[key] for _, key in ranked(((hit.score, hit.id) for hit in by_id.values()), k)]
