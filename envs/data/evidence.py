"""Supporting passages that a record names but does not contain: found by title in the corpus, or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...retrieval_index.corpus import Passage

__all__ = ["MissingPassage", "complete_evidence", "ids_by_title", "supporting"]


@dataclass(frozen=True, slots=True)
class MissingPassage:
    """A hop in `supporting_ids` whose passage is not in the record; `title` names it, if the record does."""

    title: str | None


def supporting(title: str | None, passage: Passage | None) -> str | MissingPassage:
    """The hop of a supporting passage: its id, or that it is missing."""
    return MissingPassage(title if isinstance(title, str) else None) if passage is None else passage.id


def ids_by_title(passages: Iterable[Passage]) -> dict[str, str]:
    """Title -> id of the only passage with that title. Several passages of one title do not tell which one is meant."""
    found: dict[str, str | None] = {}
    for passage in passages:
        title = _plain(passage.title)
        found[title] = None if title in found else passage.id
    return {title: key for title, key in found.items() if title and key is not None}


def complete_evidence(line: dict[str, Any], by_title: Mapping[str, str]) -> bool:
    """Replaces the missing passages of a line by those of the corpus, in place.

    A path with an unknown hop is no known path: its ids are removed, so that finding a part of it never counts as all.

    Args:
        line: a record in our layout.
        by_title: see `ids_by_title`.

    Returns:
        Whether the evidence is as complete as the record describes it.
    """
    metadata = line.get("metadata")
    hops = metadata.get("supporting_ids") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(hops, list):
        return True
    found = [by_title.get(_plain(hop.title or ""), hop) if isinstance(hop, MissingPassage) else hop for hop in hops]
    whole = not any(isinstance(hop, MissingPassage) for hop in found)
    metadata["supporting_ids"] = found if whole else []
    return whole


def _plain(title: str) -> str:
    return " ".join(title.split())
