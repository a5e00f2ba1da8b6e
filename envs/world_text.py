"""The closed voice of the World: its words, and how facts, questions and queries are written and read. No randomness.

Every kind and relation word is its own Porter stem and no stop word, so the index sees what the policy wrote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "DISTRACTOR_RELATIONS",
    "FINAL_SYLLABLES",
    "KINDS",
    "RELATIONS",
    "SYLLABLES",
    "WORDS",
    "Fact",
    "Query",
    "parse_passage",
    "parse_query",
    "parse_question",
    "passage_text",
    "query_text",
    "question_text",
    "restate",
    "syllables_of",
]

KINDS = ("ledger", "charter", "scroll", "almanac", "tablet", "dossier")
"""Record kinds; a world uses the first K."""

RELATIONS = (
    ("founder", "mentor", "captain", "tutor", "patron", "rival"),
    ("heir", "steward", "guardian", "partner", "herald", "cook"),
    ("warden", "smith", "owner", "pilot", "clerk", "scout"),
    ("consort", "champion", "sponsor", "keeper", "builder", "painter"),
)
"""Relation words by layer; layers share none."""

DISTRACTOR_RELATIONS = ("guest", "tenant", "host", "porter", "drummer", "barber")
"""Relations that no question asks about."""

WORDS = ("the", "of", "is", "in", "lost", "unknown")
"""All other words of passages, questions and demonstrations."""

_CONSONANTS = "bdfgklmprstvz"
SYLLABLES = tuple(
    consonant + rest for consonant in _CONSONANTS for rest in ("a", "e", "i", "o", "u", "an", "en", "in", "on", "un")
)
"""Consonant, vowel, perhaps n: a name falls into syllables in one way only."""

FINAL_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in "ao")
"""What names end in; Porter stemming leaves names that end in a or o alone."""

LOST = "lost"

_NAME = r"[a-z]+"
_PASSAGE = re.compile(rf"^({_NAME}): the ({_NAME}) of ({_NAME}) is ({_NAME})\.$")
_QUESTION = re.compile(rf"^((?:the {_NAME} of )+)({_NAME}) \?$")
_SYLLABLE = re.compile(rf"[{_CONSONANTS}][aeiou]n?")
_KINDS = frozenset(KINDS)
_ALL_RELATIONS = frozenset((*(word for layer in RELATIONS for word in layer), *DISTRACTOR_RELATIONS))


@dataclass(frozen=True, slots=True)
class Fact:
    """What a passage states; `obj` is None where the record is void."""

    kind: str
    relation: str
    entity: str
    obj: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """What a query names; `kinds` in the order of the query, without repetitions."""

    kinds: tuple[str, ...]
    relation: str | None
    entity: str | None


def passage_text(kind: str, relation: str, entity: str, obj: str | None) -> str:
    """A record: "ledger: the founder of kizunba is tovenra." or "... is lost."."""
    return f"{kind}: the {relation} of {entity} is {obj or LOST}."


def parse_passage(text: str) -> Fact | None:
    """Reads what `passage_text` wrote; None for other text."""
    match = _PASSAGE.match(text.strip())
    if match is None:
        return None
    kind, relation, entity, obj = match.groups()
    return Fact(kind, relation, entity, None if obj == LOST else obj)


def question_text(entity: str, relations: Sequence[str]) -> str:
    """A question about a chain, first hop innermost: "the heir of the founder of kizunba ?"."""
    return "".join(f"the {relation} of " for relation in reversed(relations)) + f"{entity} ?"


def parse_question(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Entity and relations in hop order; None for other text."""
    match = _QUESTION.match(text.strip())
    if match is None:
        return None
    return match.group(2), tuple(reversed(re.findall(rf"the ({_NAME}) of ", match.group(1))))


def query_text(kind: str, relation: str, entity: str) -> str:
    """A full query: "ledger founder kizunba"."""
    return f"{kind} {relation} {entity}"


def parse_query(text: str) -> Query:
    """Kinds, first relation and first name that a query says."""
    words = re.findall(_NAME, text.lower())
    kinds = tuple(dict.fromkeys(word for word in words if word in _KINDS))
    relation = next((word for word in words if word in _ALL_RELATIONS), None)
    entity = next((word for word in words if is_name(word)), None)
    return Query(kinds, relation, entity)


def restate(relation: str, entity: str, obj: str | None, tried: Sequence[str] = ()) -> str:
    """What a demonstrator thinks after a passage: "founder of kizunba is tovenra", or "... is lost in ledger scroll".

    Args:
        relation: of the fact.
        entity: its subject.
        obj: its object, None where the record is void.
        tried: kinds that were tried at this hop, said after a miss.
    """
    if obj is not None:
        return f"{relation} of {entity} is {obj}"
    return " ".join((f"{relation} of {entity} is {LOST}", *(("in", *tried) if tried else ())))


def syllables_of(name: str) -> tuple[str, ...]:
    """The syllables of a name; empty for a word that is none."""
    parts = tuple(_SYLLABLE.findall(name))
    return parts if len(parts) > 1 and "".join(parts) == name else ()


def is_name(word: str) -> bool:
    """Whether a word is made like the world's names."""
    parts = syllables_of(word)
    return len(parts) in (3, 4) and word[-1] in "ao" and word not in _ALL_RELATIONS
