"""The closed voice of the World: its words and names, and how facts, questions and queries are written and read.

Every kind and relation word is its own Porter stem and not a stop word, so the index sees what the policy wrote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...retrieval_index.errors import BerrypickError

__all__ = [
    "DISTRACTOR_RELATIONS",
    "FINAL_SYLLABLES",
    "KINDS",
    "QUERY_FORMATS",
    "RELATIONS",
    "SYLLABLES",
    "WORDS",
    "Fact",
    "Query",
    "make_names",
    "parse_facts",
    "parse_passage",
    "parse_query",
    "parse_question",
    "passage_text",
    "query_format",
    "query_text",
    "question_text",
    "record_text",
    "restate",
    "syllables_of",
]

KINDS = ("ledger", "charter", "scroll", "almanac", "tablet", "dossier")
"""Words for record kinds; a world with K kinds uses the first K."""

RELATIONS = (
    ("founder", "mentor", "captain", "tutor", "patron", "rival"),
    ("heir", "steward", "guardian", "partner", "herald", "cook"),
    ("warden", "smith", "owner", "pilot", "clerk", "scout"),
    ("consort", "champion", "sponsor", "keeper", "builder", "painter"),
)
"""[hop] -> relation words; hops share no word."""

DISTRACTOR_RELATIONS = ("guest", "tenant", "host", "porter", "drummer", "barber")
"""Relation words of facts that no question asks about."""

WORDS = ("the", "of", "is", "in", "lost", "unknown")
"""All remaining words of passages, questions and demonstrations."""

_CONSONANTS = "bdfgklmprstvz"
SYLLABLES = tuple(
    consonant + rest for consonant in _CONSONANTS for rest in ("a", "e", "i", "o", "u", "an", "en", "in", "on", "un")
)
"""Consonant, vowel and optionally n, so that a name splits into syllables in only one way."""

FINAL_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in "ao")
"""Last syllables of names. Porter stemming does not change names that end in a or o."""

LOST = "lost"

QUERY_FORMATS = (
    "{kind} {relation} {entity}",
    "{entity} {relation} {kind}",
    "{relation} of {entity} {kind}",
    "{entity} {relation} in {kind}",
    "the {relation} {entity} {kind}",
)
"""Formats of the same query. They differ in word order and stop words, and return the same passages.

The last three have as many words and tokens as one another, and the kind comes last in each.
"""

_NAME = r"[a-z]+"
_NAMES = rf"{_NAME}(?:/{_NAME})*"
_RECORD = re.compile(rf"^({_NAME}):((?: the {_NAME} of {_NAMES} is {_NAME}\.)+)$")
_CLAUSE = re.compile(rf"the ({_NAME}) of ({_NAMES}) is ({_NAME})\.")
_QUESTION = re.compile(rf"^(?:{_NAME}: )?((?:the {_NAME} of )+)({_NAME}) \?$")
_SYLLABLE = re.compile(rf"[{_CONSONANTS}][aeiou]n?")
_KINDS = frozenset(KINDS)
_ALL_RELATIONS = frozenset((*(word for layer in RELATIONS for word in layer), *DISTRACTOR_RELATIONS))


@dataclass(frozen=True, slots=True)
class Fact:
    """The statement of a clause; `obj` is None if the record is void. An entity with an alias is "name/alias"."""

    kind: str
    relation: str
    entity: str
    obj: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """The words of a query that have a meaning; `kinds` are in the order of the query, without repetitions."""

    kinds: tuple[str, ...]
    relation: str | None
    entity: str | None


def passage_text(kind: str, relation: str, entity: str, obj: str | None) -> str:
    """A record: "ledger: the founder of kizunba is tovenra." or "... is lost."."""
    return f"{kind}: the {relation} of {entity} is {obj or LOST}."


def record_text(kind: str, relation: str, clauses: Sequence[tuple[str, str | None]]) -> str:
    """A record of one or more clauses, (entity, object) each."""
    facts = (f"the {relation} of {entity} is {obj or LOST}." for entity, obj in clauses)
    return f"{kind}: {' '.join(facts)}"


def parse_passage(text: str) -> Fact | None:
    """The fact of a record with one clause; None for other text."""
    facts = parse_facts(text)
    return facts[0] if len(facts) == 1 else None


def parse_facts(text: str) -> tuple[Fact, ...]:
    """The facts of a record in the closed voice; () for other text."""
    match = _RECORD.match(text.strip())
    if match is None:
        return ()
    return tuple(
        Fact(match.group(1), relation, entity, None if obj == LOST else obj)
        for relation, entity, obj in _CLAUSE.findall(match.group(2))
    )


def question_text(entity: str, relations: Sequence[str], cue: str | None = None) -> str:
    """A question about a chain, first hop innermost: "the heir of the founder of kizunba ?".

    A cue comes first, as the kind of a record does: "ledger: the heir ...".
    """
    said = f"{cue}: " if cue else ""
    return said + "".join(f"the {relation} of " for relation in reversed(relations)) + f"{entity} ?"


def parse_question(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Entity and relations in hop order, of a question in the closed voice; None for other text."""
    match = _QUESTION.match(text.strip())
    if match is None:
        return None
    return match.group(2), tuple(reversed(re.findall(rf"the ({_NAME}) of ", match.group(1))))


def query_text(kind: str, relation: str, entity: str, form: int = 0) -> str:
    """A complete query in one of `QUERY_FORMATS`: "ledger founder kizunba"."""
    return QUERY_FORMATS[form].format(kind=kind, relation=relation, entity=entity)


def query_format(text: str) -> int | None:
    """The index in `QUERY_FORMATS` of a query's format; None if it has none of these formats."""
    query = parse_query(text)
    if len(query.kinds) != 1 or query.relation is None or query.entity is None:
        return None
    said = " ".join(text.lower().split())
    forms = (query_text(query.kinds[0], query.relation, query.entity, form) for form in range(len(QUERY_FORMATS)))
    return next((form for form, expected in enumerate(forms) if said == expected), None)


def parse_query(text: str) -> Query:
    """The kinds, the first relation and the first name in a query."""
    words = re.findall(_NAME, text.lower())
    kinds = tuple(dict.fromkeys(word for word in words if word in _KINDS))
    relation = next((word for word in words if word in _ALL_RELATIONS), None)
    entity = next((word for word in words if is_name(word)), None)
    return Query(kinds, relation, entity)


def restate(relation: str, entity: str, obj: str | None, tried: Sequence[str] = ()) -> str:
    """A demonstrator's thought after a passage: "founder of kizunba is tovenra", or "... is lost in ledger scroll".

    Args:
        relation: relation of the fact.
        entity: its subject.
        obj: its object; None if the record is void.
        tried: kinds that were tried at this hop, mentioned after a miss.
    """
    if obj is not None:
        return f"{relation} of {entity} is {obj}"
    return " ".join((f"{relation} of {entity} is {LOST}", *(("in", *tried) if tried else ())))


def syllables_of(name: str) -> tuple[str, ...]:
    """The syllables of a name; () for a word that is not a name."""
    parts = tuple(_SYLLABLE.findall(name))
    return parts if len(parts) > 1 and "".join(parts) == name else ()


def is_name(word: str) -> bool:
    """Whether a word has the form of a name."""
    parts = syllables_of(word)
    return len(parts) in (3, 4) and word[-1] in "ao" and word not in _ALL_RELATIONS


def make_names(count: int, seed: int) -> list[str]:
    """Distinct names that end in a or o: three syllables while enough of those exist, otherwise four."""
    first, last = len(SYLLABLES), len(FINAL_SYLLABLES)
    leading = 2 if count * 20 < first**2 * last else 3
    if count * 4 > first**leading * last:
        raise BerrypickError(f"World: {count} names are more than there are; ask fewer questions")
    generator = np.random.default_rng((seed, 0))
    codes: dict[int, None] = {}
    while len(codes) < count:
        codes.update(dict.fromkeys(generator.integers(first**leading * last, size=count).tolist()))
    return [_name(code, leading) for code in list(codes)[:count]]


def _name(code: int, leading: int) -> str:
    """The name of a number: its digits in mixed radix, each a syllable."""
    code, at = divmod(code, len(FINAL_SYLLABLES))
    parts = [FINAL_SYLLABLES[at]]
    for _ in range(leading):
        code, at = divmod(code, len(SYLLABLES))
        parts.append(SYLLABLES[at])
    return "".join(reversed(parts))
