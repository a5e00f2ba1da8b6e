"""The planted World: generates facts, records in several kinds, and questions whose evidence is known completely.

The exact frontier (`frontier.py`) follows from three properties. Each record kind k states a fact (entity, relation)
independently with probability `availability[k]`. There is exactly one passage for each (entity, relation, kind); it
either states the fact or is void. Entities and facts belong to exactly one question.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...retrieval_index.corpus import Passage
from ...retrieval_index.errors import UnknownNameError
from ..questions import Question
from . import closed_voice, english_voice
from .config import PRESETS, WorldConfig
from .facts import WorldFacts

__all__ = ["PRESETS", "SPLITS", "World", "WorldConfig", "build_world", "passage_id"]

SPLITS = ("train", "validation", "test")
"""Names of the splits; entities and facts of a World belong to one of them."""


@dataclass(frozen=True, slots=True)
class World:
    """The questions and passages of one configuration."""

    config: WorldConfig
    by_split: Mapping[str, tuple[Question, ...]]
    records: tuple[Passage, ...]

    def questions(self, split: str) -> tuple[Question, ...]:
        """The questions of "train", "validation" or "test"."""
        if split not in self.by_split:
            raise UnknownNameError("split", split, self.by_split)
        return self.by_split[split]

    def passages(self) -> list[Passage]:
        """The passages of all splits, sorted by id."""
        return list(self.records)


@dataclass(slots=True)
class _Fact:
    """A fact: subject, relation, [kind] -> the object its record states (None: void), and [kind] -> passage id."""

    entity: str
    relation: str
    objects: list[str | None]
    ids: list[str]


@dataclass(slots=True)
class _Chain:
    """A question before it is put into words; names are as passages spell them, in hop order."""

    entities: list[str]
    facts: list[_Fact]
    answers: list[str]
    cue: int | None


def passage_id(seed: int, entity: str, relation: str, kind: str) -> str:
    """First 16 hex digits of SHA-256(seed|entity|relation|kind).

    Searchers break ties by id. The id does not depend on whether the record is present, so ties favour neither.
    """
    return hashlib.sha256(f"{seed}|{entity}|{relation}|{kind}".encode()).hexdigest()[:16]


def build_world(config: WorldConfig) -> World:
    """Generates the World of a configuration."""
    sizes = (config.num_train, config.num_validation, config.num_test)
    needed = config.hops + config.num_answers + config.distractors
    fillers = 0 if config.clauses == 1 else len(SPLITS) * 24 * 2 * (config.clauses - 1)
    names = iter(closed_voice.make_names((sum(sizes) * needed + fillers) * (1 + config.aliases), config.seed))
    passages: list[Passage] = []
    by_split: dict[str, tuple[Question, ...]] = {}
    for split, size in zip(SPLITS, sizes):
        # Optional features draw from a second generator, so that they do not change the draws of the basic world.
        generator = np.random.default_rng((config.seed, 1, SPLITS.index(split)))
        extra = np.random.default_rng((config.seed, 2, SPLITS.index(split)))
        chains = []
        for _ in range(size):
            chain = _chain(config, names, generator, extra)
            chains.append(chain)
            passages += _distractors(
                config, chain.entities[0], [_entity(config, names) for _ in range(config.distractors)]
            )
        facts = [fact for chain in chains for fact in chain.facts]
        for group in _groups(config, facts, names, extra):
            passages += _write(config, group, extra)
        by_split[split] = tuple(_question(config, split, number, chain) for number, chain in enumerate(chains))
    return World(config, by_split, tuple(sorted(passages, key=lambda passage: passage.id)))


def _entity(config: WorldConfig, names: Iterator[str]) -> str:
    """A name; with aliases, two names joined by a slash, which is how passages spell a subject."""
    return f"{next(names)}/{next(names)}" if config.aliases else next(names)


def _chain(
    config: WorldConfig, names: Iterator[str], generator: np.random.Generator, extra: np.random.Generator
) -> _Chain:
    entities = [_entity(config, names) for _ in range(config.hops + 1)]
    answers = [entities[-1], *(_entity(config, names) for _ in range(config.num_answers - 1))]
    cue = int(extra.integers(len(config.kinds))) if config.cue > 0 else None
    shift = int(extra.integers(config.num_answers)) if config.num_answers > 1 else 0
    relations = [
        closed_voice.RELATIONS[hop][int(generator.integers(len(closed_voice.RELATIONS[hop])))]
        for hop in range(config.hops)
    ]
    shape = (config.hops, len(config.kinds))
    written = (generator.random(shape) < np.array(config.question_availability(cue))).tolist()
    facts = []
    for hop, relation in enumerate(relations):
        last = hop == config.hops - 1
        objects = [
            (answers[(kind + shift) % config.num_answers] if last else entities[hop + 1]) if present else None
            for kind, present in enumerate(written[hop])
        ]
        facts.append(_Fact(entities[hop], relation, objects, []))
    return _Chain(entities, facts, answers, cue)


def _groups(
    config: WorldConfig, facts: Sequence[_Fact], names: Iterator[str], extra: np.random.Generator
) -> Iterator[list[_Fact]]:
    """Facts that share a passage: they have one relation and come from different chains.

    The last group is filled up with facts that no question asks about, so that all passages are equally long.
    """
    if config.clauses == 1:
        yield from ([fact] for fact in facts)
        return
    by_relation: dict[str, list[_Fact]] = {}
    for fact in facts:
        by_relation.setdefault(fact.relation, []).append(fact)
    for relation in sorted(by_relation):
        same = by_relation[relation]
        same = [same[int(i)] for i in extra.permutation(len(same))]
        while len(same) % config.clauses:
            subject, obj = _entity(config, names), _entity(config, names)
            written = extra.random(len(config.kinds)) < np.array(config.availability)
            same.append(_Fact(subject, relation, [obj if present else None for present in written.tolist()], []))
        for first in range(0, len(same), config.clauses):
            yield same[first : first + config.clauses]


def _write(config: WorldConfig, group: Sequence[_Fact], extra: np.random.Generator) -> list[Passage]:
    """The passages of a group, one per kind; adds their ids to the facts."""
    relation = group[0].relation
    subject = "+".join(fact.entity for fact in group)
    variant = 0
    if config.voice == "english":
        variant = int(passage_id(config.seed, subject, relation, "voice"), 16)
    out = []
    for kind, word in enumerate(config.kinds):
        key = passage_id(config.seed, subject, relation, word)
        clauses = [(fact.entity, _said(config, fact.objects[kind], extra)) for fact in group]
        out.append(Passage(key, "", _text(config, word, relation, clauses, variant)))
        for fact in group:
            fact.ids.append(key)
    return out


def _said(config: WorldConfig, obj: str | None, extra: np.random.Generator) -> str | None:
    """The object as a passage spells it: with aliases, one of the two names."""
    if obj is None or not config.aliases:
        return obj
    return obj.split("/")[int(extra.integers(2))]


def _text(
    config: WorldConfig, kind: str, relation: str, clauses: Sequence[tuple[str, str | None]], variant: int
) -> str:
    if config.voice == "english":
        return english_voice.record_text(kind, relation, clauses, variant)
    return closed_voice.record_text(kind, relation, clauses)


def _distractors(config: WorldConfig, entity: str, objects: Sequence[str]) -> list[Passage]:
    out = []
    for relation, obj in zip(closed_voice.DISTRACTOR_RELATIONS, objects):
        said = obj.split("/")[0]
        for kind in config.kinds:
            key = passage_id(config.seed, entity, relation, kind)
            out.append(Passage(key, "", _text(config, kind, relation, [(entity, said)], 0)))
    return out


def _question(config: WorldConfig, split: str, number: int, chain: _Chain) -> Question:
    present = [[kind for kind, obj in enumerate(fact.objects) if obj is not None] for fact in chain.facts]
    relations = [fact.relation for fact in chain.facts]
    cue = None if chain.cue is None else config.kinds[chain.cue]
    start = chain.entities[0].split("/")[0]
    question_text = english_voice.question_text if config.voice == "english" else closed_voice.question_text
    aliases = tuple(tuple(_cased(config, name) for name in answer.split("/")) for answer in chain.answers)
    facts = WorldFacts(
        preset=config.preset,
        kinds=config.kinds,
        availability=config.question_availability(chain.cue),
        budget=config.budget,
        hops=config.hops,
        entities=tuple(chain.entities),
        relations=tuple(relations),
        present=tuple(frozenset(kinds) for kinds in present),
        passages=tuple(tuple(fact.ids) for fact in chain.facts),
        cue=chain.cue,
        query_formats=config.query_formats if len(config.query_formats) > 1 else (),
        format_failures=config.format_failures if config.has_failures else (),
        answers_by_path=aliases if config.num_answers > 1 else (),
    )
    return Question(
        id=f"world-{config.seed}-{split}-{number:05d}",
        text=question_text(start, relations, cue),
        answers=tuple(name for names in aliases for name in names),
        evidence=_evidence(chain, present),
        split=split,
        metadata=facts.as_metadata(),
    )


def _cased(config: WorldConfig, name: str) -> str:
    return name.capitalize() if config.voice == "english" else name


def _evidence(chain: _Chain, present: Sequence[Sequence[int]]) -> tuple[tuple[frozenset[str], ...], ...]:
    """One path for each answer; the paths differ only in the last hop."""
    shared = tuple(frozenset(fact.ids[kind] for kind in kinds) for fact, kinds in zip(chain.facts[:-1], present))
    last = chain.facts[-1]
    return tuple(
        (*shared, frozenset(key for key, obj in zip(last.ids, last.objects) if obj == answer))
        for answer in chain.answers
    )
