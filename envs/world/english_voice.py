"""The English voice of the World, for pretrained models: the same facts, ids and hits as the closed voice.

All records of a fact have the same wording: five index terms in the same places, for every kind and for present and
void facts. The wording therefore never decides which record is found. This module also reads text in either voice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import closed_voice

__all__ = [
    "archive_words",
    "find_fact",
    "parse_passage",
    "parse_question",
    "question_text",
    "read_question",
    "record_text",
]

_OPENINGS = (
    "According to the {kind},",
    "The {kind} says that",
    "As the {kind} records,",
    "It is told in the {kind} that",
)
_NAME = r"[A-Za-z]+(?:/[A-Za-z]+)*"
_CLAUSE = re.compile(rf"\bthe ([a-z]+) of ({_NAME}) is ({_NAME})")
_QUESTION = re.compile(rf"^(?:According to the ([a-z]+), who|Who) is ((?:the [a-z]+ of )+)({_NAME})\?$")


def record_text(kind: str, relation: str, clauses: Sequence[tuple[str, str | None]], variant: int) -> str:
    """A record: "According to the ledger, the founder of Kizunba is Tovenra."; void facts are "lost"."""
    facts = [
        f"the {relation} of {_cased(entity)} is {_cased(obj) if obj else closed_voice.LOST}" for entity, obj in clauses
    ]
    clauses_text = " and ".join(facts)
    return f"{_OPENINGS[variant % len(_OPENINGS)].format(kind=kind)} {clauses_text}."


def question_text(entity: str, relations: Sequence[str], cue: str | None = None) -> str:
    """ "Who is the heir of the founder of Kizunba?"; a cue names the kind that probably states the facts."""
    chain = "".join(f"the {relation} of " for relation in reversed(relations))
    who = f"According to the {cue}, who" if cue else "Who"
    return f"{who} is {chain}{_cased(entity)}?"


def parse_passage(text: str) -> tuple[closed_voice.Fact, ...]:
    """The facts of a record in the English voice; () for other text."""
    kind = next((word for word in re.findall(r"[a-z]+", text) if word in closed_voice.KINDS), None)
    if kind is None:
        return ()
    return tuple(
        closed_voice.Fact(kind, relation, entity, None if obj == closed_voice.LOST else obj)
        for relation, entity, obj in _CLAUSE.findall(text)
    )


def parse_question(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Entity and relations in hop order, of a question in the English voice; None for other text."""
    match = _QUESTION.match(text.strip())
    if match is None:
        return None
    return match.group(3), tuple(reversed(re.findall(r"the ([a-z]+) of ", match.group(2))))


def find_fact(text: str, entity: str, relation: str) -> closed_voice.Fact | None:
    """The fact about an entity, by any of its names, in a record in either voice; None if the record has none."""
    for fact in closed_voice.parse_facts(text) or parse_passage(text):
        if fact.relation == relation and entity.lower() in fact.entity.lower().split("/"):
            return fact
    return None


def read_question(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Entity and relations in hop order, of a question in either voice; None for other text."""
    return closed_voice.parse_question(text) or parse_question(text)


def archive_words(kinds: Sequence[str], num_answers: int) -> str:
    """The description of the archive in the prompt of a pretrained model."""
    several = " Records may contradict each other; then each of their answers counts." if num_answers > 1 else ""
    return (
        f"The archive keeps records of these kinds: {', '.join(kinds)}. Each fact may stand in any of them, "
        "independently; a record that does not hold it says that it is lost. A search brings the one record that "
        "fits best, so a query should name one kind, the relation and the person, for example: "
        f"{kinds[0]} founder Kizunba.{several}"
    )


def _cased(name: str) -> str:
    return "/".join(part.capitalize() for part in name.split("/"))
