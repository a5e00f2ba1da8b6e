"""The settings of a World and their allowed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ...retrieval_index.errors import BerrypickError, UnknownNameError
from . import closed_voice

__all__ = ["PRESETS", "VOICES", "WorldConfig"]

PRESETS: Mapping[str, dict[str, Any]] = {
    "slack": {"availability": (0.5, 0.5, 0.5), "budget": 6},
    "free": {"availability": (0.5, 0.5, 0.5), "budget": 3},
    "priced": {"availability": (0.6, 0.5, 0.4), "budget": 3},
    "steep": {"availability": (0.8, 0.4, 0.2), "budget": 3},
}
"""Name -> availability of each record kind, and the search budget."""

VOICES = ("closed", "english")
"""How passages and questions are worded."""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """The settings of a World. Equal settings give byte-identical questions and passages.

    Attributes:
        preset: name of the settings in reports.
        availability: [kind] -> probability that a record of this kind states a fact.
        budget: number of queries an episode may make.
        hops: number of facts in a chain, 1 to 4.
        num_train: number of questions in that split; num_validation and num_test likewise.
        distractors: additional facts about each question's first entity, on relations that no question asks about.
        seed: seed of all random draws.
        cue: rho in [0, 1], how strongly a word of the question hints at the right kind. The hinted kind c has
            availability a_c + rho (1 - a_c), every other kind (1 - rho) a_k. With 0, questions contain no hint.
        clauses: facts per passage. They have one relation, are about entities of different questions, and are shuffled.
        num_answers: number of conflicting answers. At the last hop, records of kind k state answer (k + shift) mod
            num_answers; each question has its own shift.
        aliases: gives each entity a second name. Passages about it use both names; passages that lead to it use one.
        voice: "closed" (words of syllables only) or "english" (whole sentences). Ids and hits are the same in both.
        query_formats: shares of the query formats `closed_voice.QUERY_FORMATS` in demonstrations.
        format_failures: for each query format, the probability that a record which states its fact reads as void to a
            query in that format. Whether it does depends on the record and the format alone: not on the rollout, the
            turn or the split. The record that is returned instead is as long, and has an id of its own. Closed voice
            only. There is no exact frontier, and measures of planning count such a record as a wrong passage.
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
    aliases: bool = False
    voice: str = "closed"
    query_formats: tuple[float, ...] = (1.0,)
    format_failures: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self._check_types()
        kinds, formats = len(self.availability), len(closed_voice.QUERY_FORMATS)
        most = len(closed_voice.DISTRACTOR_RELATIONS)
        checks = (
            (1 <= self.hops <= len(closed_voice.RELATIONS), f"hops must be 1 to {len(closed_voice.RELATIONS)}"),
            (2 <= kinds <= len(closed_voice.KINDS), f"2 to {len(closed_voice.KINDS)} kinds are possible"),
            (all(0 <= a <= 1 for a in self.availability), "availability must lie between 0 and 1"),
            (self.budget >= 1, "budget must be at least 1"),
            (min(self.num_train, self.num_validation, self.num_test) >= 0, "numbers of questions cannot be negative"),
            (0 <= self.distractors <= most, f"distractors must be 0 to {most}"),
            (0 <= self.seed < 2**63, "seed must be at least 0"),
            (0 <= self.cue <= 1, "cue must lie between 0 and 1"),
            (1 <= self.clauses <= 16, "clauses must be 1 to 16"),
            (1 <= self.num_answers <= kinds, "num_answers must be 1 to the number of kinds"),
            (1 <= len(self.query_formats) <= formats, f"1 to {formats} query formats are possible"),
            (min(self.query_formats, default=0) >= 0, "shares of query formats cannot be negative"),
            (abs(sum(self.query_formats) - 1) < 1e-9, "shares of query formats must add up to 1"),
            (len(self.format_failures) <= formats, f"at most {formats} query formats can fail"),
            (all(0 <= q <= 1 for q in self.format_failures), "format_failures must lie between 0 and 1"),
            (self.voice == "closed" or not self.has_failures, "query formats fail in the closed voice only"),
        )
        for holds, message in checks:
            if not holds:
                raise BerrypickError(f"World: {message}; change that argument")
        if self.voice not in VOICES:
            raise UnknownNameError("World voice", self.voice, VOICES)

    def _check_types(self) -> None:
        whole = ("budget", "hops", "num_train", "num_validation", "num_test", "distractors", "seed", "clauses")
        for name in (*whole, "num_answers"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise BerrypickError(f"World: {name} must be a whole number, got {value!r}")
        for name in ("availability", "query_formats", "format_failures", "cue"):
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
                raise BerrypickError(f"World: {name} must be numbers, got {value!r}")
        if not isinstance(self.voice, str):
            raise BerrypickError(f"World: voice must be {' or '.join(VOICES)}, got {self.voice!r}")
        if not isinstance(self.aliases, bool):
            raise BerrypickError(f"World: aliases must be true or false, got {self.aliases!r}")

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> WorldConfig:
        """A preset with some values replaced; an unknown name raises `UnknownNameError`."""
        if name not in PRESETS:
            raise UnknownNameError("World preset", str(name), PRESETS)
        known = {field.name for field in fields(cls)}
        for key in overrides:
            if key not in known:
                raise UnknownNameError("World argument", key, known)
        return cls(**{"preset": name, **PRESETS[name], **overrides})

    @property
    def kinds(self) -> tuple[str, ...]:
        """Words of the record kinds in use."""
        return closed_voice.KINDS[: len(self.availability)]

    @property
    def has_failures(self) -> bool:
        """Whether some query format fails on some records."""
        return any(self.format_failures)

    @property
    def cues(self) -> tuple[int | None, ...]:
        """The kinds that questions hint at, all equally often; (None,) in a world without cues."""
        return tuple(range(len(self.availability))) if self.cue > 0 else (None,)

    def question_availability(self, cue: int | None) -> tuple[float, ...]:
        """[kind] -> availability for a question that hints at kind `cue`; None hints at none."""
        if cue is None:
            return self.availability
        return tuple(
            a + self.cue * (1 - a) if kind == cue else (1 - self.cue) * a for kind, a in enumerate(self.availability)
        )
