"""A condition of a grid: the World that is searched, and the demonstrations that training starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...envs.world.config import WorldConfig

__all__ = ["ANSWERS_SUFFIX", "CUE_SUFFIX", "Condition"]

CUE_SUFFIX, _CUE = "-cue", 0.8
ANSWERS_SUFFIX, _ANSWERS, _ANSWERS_BUDGET = "-answers", 3, 4
WORLD_SEED = 0


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One condition.

    Attributes:
        preset: a preset of the World, such as "priced". With the suffix "-cue", a word of each question favours a kind.
            With the suffix "-answers", questions have three conflicting answers and one more query to look for them.
        start: what SFT imitates: "diverse" (orders of kinds drawn at random) or "narrow" (a single order).
    """

    preset: str
    start: str

    @classmethod
    def of(cls, name: str) -> Condition:
        """Reads a `name`."""
        preset, _, start = name.partition("/")
        return cls(preset, start)

    @property
    def name(self) -> str:
        """ "preset/start", as reports and claims write it."""
        return f"{self.preset}/{self.start}"

    @property
    def slug(self) -> str:
        """ "preset-start", as file names have it."""
        return f"{self.preset}-{self.start}"

    @property
    def has_cue(self) -> bool:
        """Whether each question favours a kind."""
        return self.preset.endswith(CUE_SUFFIX)

    @property
    def has_answers(self) -> bool:
        """Whether questions have several conflicting answers."""
        return self.preset.endswith(ANSWERS_SUFFIX)

    def world_config(self, num_train: int, num_test: int) -> WorldConfig:
        """The World of this condition with so many questions."""
        knobs: dict[str, Any] = {"num_train": num_train, "num_validation": 0, "num_test": num_test, "seed": WORLD_SEED}
        if self.has_cue:
            knobs["cue"] = _CUE
        elif self.has_answers:
            knobs |= {"num_answers": _ANSWERS, "budget": _ANSWERS_BUDGET}
        preset = self.preset.removesuffix(CUE_SUFFIX).removesuffix(ANSWERS_SUFFIX)
        return WorldConfig.from_preset(preset, **knobs)
