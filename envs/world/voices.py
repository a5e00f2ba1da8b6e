"""Reading the World in any voice: what scripted policies and tests need to know nothing about wording."""

from __future__ import annotations

from . import closed_voice, english_voice

__all__ = ["find_fact", "parse_question"]


def find_fact(text: str, entity: str, relation: str) -> closed_voice.Fact | None:
    """The clause of a record about an entity, by any of its names; None where the text has none."""
    for fact in closed_voice.parse_facts(text) or english_voice.parse_passage(text):
        if fact.relation == relation and entity.lower() in fact.entity.lower().split("/"):
            return fact
    return None


def parse_question(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Entity and relations in hop order; None for other text."""
    return closed_voice.parse_question(text) or english_voice.parse_question(text)
