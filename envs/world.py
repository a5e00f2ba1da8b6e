"""The planted World: a seed becomes facts, records in several kinds, and questions with all their evidence known.

Every number of the exact frontier (`envs/frontier.py`) follows from what is fixed here: a fact (entity, relation) is
written down independently in each record kind k with probability `availability[k]`; there is one passage for each
(entity, relation, kind), present or void; entities and facts belong to exactly one question.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..retrieval_index.corpus import Passage
from ..retrieval_index.errors import BerrypickError, UnknownNameError
from . import world_text
from .questions import Question

__all__ = ["PRESETS", "World", "WorldConfig", "build_world", "passage_id"]

PRESETS: Mapping[str, dict[str, Any]] = {
    "slack": {"availability": (0.5, 0.5, 0.5), "budget": 6},
    "free": {"availability": (0.5, 0.5, 0.5), "budget": 3},
    "priced": {"availability": (0.6, 0.5, 0.4), "budget": 3},
    "steep": {"availability": (0.8, 0.4, 0.2), "budget": 3},
}
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """A world; the same values give the same bytes.

    Attributes:
        preset: name for reports.
        availability: for each kind, the probability that it holds a fact.
        budget: queries an episode may make.
        hops: facts of a chain, 1 to 4.
        num_train: questions of that split; the others likewise.
        distractors: further facts about each question's first entity, on relations no question asks about.
        seed: of everything.
        cue: how strongly a word of the question tells the right kind; 0 in this version.
        clauses: facts a passage; 1 in this version.
        num_answers: conflicting answers; 1 in this version.
    """

    preset: str = "priced"
    availability: tuple[float, ...] = (0.6, 0.5, 0.4)
    budget: int = 3
    hops: int = 2
    num_train: int = 256
    num_validation: int = 128
    num_test: int = 512
    distractors: int = 0
    seed: int = 0
    cue: float = 0.0
    clauses: int = 1
    num_answers: int = 1

    def __post_init__(self) -> None:
        self._check_types()
        checks = (
            (1 <= self.hops <= len(world_text.RELATIONS), f"hops must be 1 to {len(world_text.RELATIONS)}"),
            (
                2 <= len(self.availability) <= len(world_text.KINDS),
                f"2 to {len(world_text.KINDS)} kinds are possible",
            ),
            (all(0 <= a <= 1 for a in self.availability), "availability must lie between 0 and 1"),
            (self.budget >= 1, "budget must be at least 1"),
            (
                min(self.num_train, self.num_validation, self.num_test) >= 0,
                "numbers of questions cannot be negative",
            ),
            (0 <= self.distractors <= len(world_text.DISTRACTOR_RELATIONS), "distractors must be 0 to 6"),
            (0 <= self.seed < 2**63, "seed must be at least 0"),
            (self.cue == 0, "only cue=0 is available"),
            (self.clauses == 1, "only clauses=1 is available"),
            (self.num_answers == 1, "only num_answers=1 is available"),
        )
        for holds, message in checks:
            if not holds:
                raise BerrypickError(f"World: {message}; change that argument")

    def _check_types(self) -> None:
        for name in ("budget", "hops", "num_train", "num_validation", "num_test", "distractors", "seed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise BerrypickError(f"World: {name} must be a whole number, got {value!r}")
        if not all(isinstance(a, int | float) for a in self.availability):
            raise BerrypickError(f"World: availability must be numbers, got {self.availability!r}")

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> WorldConfig:
        """A preset with some values changed; unknown names offer the nearest."""
        if name not in PRESETS:
            raise UnknownNameError("World preset", name, PRESETS)
        known = {field.name for field in fields(cls)}
        for key in overrides:
            if key not in known:
                raise UnknownNameError("World argument", key, known)
        return cls(**{"preset": name, **PRESETS[name], **overrides})

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind words in use."""
        return world_text.KINDS[: len(self.availability)]


@dataclass(frozen=True, slots=True)
class World:
    """Questions and passages of one configuration."""

    config: WorldConfig
    by_split: Mapping[str, tuple[Question, ...]]
    records: tuple[Passage, ...]

    def questions(self, split: str) -> tuple[Question, ...]:
        """The questions of "train", "validation" or "test"."""
        if split not in self.by_split:
            raise UnknownNameError("split", split, self.by_split)
        return self.by_split[split]

    def passages(self) -> list[Passage]:
        """All passages, of all splits, by id."""
        return list(self.records)


def passage_id(seed: int, entity: str, relation: str, kind: str) -> str:
    """First 16 hex digits of SHA-256(seed|entity|relation|kind); nothing else enters, so ties fall blindly."""
    return hashlib.sha256(f"{seed}|{entity}|{relation}|{kind}".encode()).hexdigest()[:16]


def build_world(config: WorldConfig) -> World:
    """Generates a world."""
    sizes = (config.num_train, config.num_validation, config.num_test)
    names = iter(_names(sum(sizes) * (config.hops + 1 + config.distractors), config.seed))
    passages: list[Passage] = []
    by_split: dict[str, tuple[Question, ...]] = {}
    for split, size in zip(SPLITS, sizes):
        generator = np.random.default_rng((config.seed, 1, SPLITS.index(split)))
        questions = []
        for number in range(size):
            entities = [next(names) for _ in range(config.hops + 1)]
            question, records = _question(
                config, f"world-{config.seed}-{split}-{number:05d}", split, entities, generator
            )
            others = [next(names) for _ in range(config.distractors)]
            questions.append(question)
            passages += records + _distractors(config, entities[0], others)
        by_split[split] = tuple(questions)
    return World(config, by_split, tuple(sorted(passages, key=lambda passage: passage.id)))


def _question(
    config: WorldConfig, question_id: str, split: str, entities: list[str], generator: np.random.Generator
) -> tuple[Question, list[Passage]]:
    relations = [
        world_text.RELATIONS[hop][int(generator.integers(len(world_text.RELATIONS[hop])))] for hop in range(config.hops)
    ]
    written = generator.random((config.hops, len(config.kinds))) < np.array(config.availability)
    ids, records = [], []
    for hop, relation in enumerate(relations):
        row = []
        for kind, present in zip(config.kinds, written[hop]):
            key = passage_id(config.seed, entities[hop], relation, kind)
            obj = entities[hop + 1] if present else None
            records.append(Passage(key, "", world_text.passage_text(kind, relation, entities[hop], obj)))
            row.append(key)
        ids.append(row)
    present_kinds = [[kind for kind in range(len(config.kinds)) if written[hop, kind]] for hop in range(config.hops)]
    world = {
        "preset": config.preset,
        "kinds": list(config.kinds),
        "availability": list(config.availability),
        "budget": config.budget,
        "hops": config.hops,
        "entities": entities,
        "relations": relations,
        "present": present_kinds,
        "passages": ids,
    }
    evidence = tuple(frozenset(ids[hop][kind] for kind in kinds) for hop, kinds in enumerate(present_kinds))
    question = Question(
        id=question_id,
        text=world_text.question_text(entities[0], relations),
        answers=(entities[-1],),
        evidence=(evidence,),
        split=split,
        metadata={"dataset": "world", "hops": config.hops, "world": world},
    )
    return question, records


def _distractors(config: WorldConfig, entity: str, objects: list[str]) -> list[Passage]:
    return [
        Passage(
            passage_id(config.seed, entity, relation, kind),
            "",
            world_text.passage_text(kind, relation, entity, obj),
        )
        for relation, obj in zip(world_text.DISTRACTOR_RELATIONS, objects)
        for kind in config.kinds
    ]


def _names(count: int, seed: int) -> list[str]:
    """Distinct names: of three syllables while these are plentiful, else of four."""
    first, last = len(world_text.SYLLABLES), len(world_text.FINAL_SYLLABLES)
    leading = 2 if count * 20 < first**2 * last else 3
    generator = np.random.default_rng((seed, 0))
    codes: dict[int, None] = {}
    while len(codes) < count:
        codes.update(dict.fromkeys(generator.integers(first**leading * last, size=count).tolist()))
    return [_name(code, leading) for code in list(codes)[:count]]


def _name(code: int, leading: int) -> str:
    code, at = divmod(code, len(world_text.FINAL_SYLLABLES))
    parts = [world_text.FINAL_SYLLABLES[at]]
    for _ in range(leading):
        code, at = divmod(code, len(world_text.SYLLABLES))
        parts.append(world_text.SYLLABLES[at])
    return "".join(reversed(parts))
