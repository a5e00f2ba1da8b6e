"""A condition of a grid: the World that is searched, the demonstrations that training starts from, the questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...envs.world.config import PRESETS, WorldConfig
from ...policies.kind_shares import SHARES, shares_of
from ...retrieval_index.errors import BerrypickError

__all__ = ["ANSWERS_SUFFIX", "CUE_SUFFIX", "FIRST_WORLD", "MANY_QUESTIONS", "WORLDS", "Condition"]

CUE_SUFFIX, _CUE = "-cue", 0.8
ANSWERS_SUFFIX, _ANSWERS, _ANSWERS_BUDGET = "-answers", 3, 4

FIRST_WORLD = 1000
"""Replicate n of a grid plays the World of seed FIRST_WORLD + n; all conditions of a replicate share that seed."""

_FORMATS: Mapping[str, Any] = {"availability": (0.6, 0.5, 0.4), "budget": 3, "query_formats": (0, 0, 0.6, 0.25, 0.15)}

WORLDS: Mapping[str, Mapping[str, Any]] = {
    "tight": {"availability": (0.5,) * 3, "hops": 2, "budget": 2},
    "tight_uneven": {"availability": (0.6, 0.4, 0.2), "hops": 2, "budget": 2},
    "rare": {"availability": (0.25,) * 6, "hops": 3, "budget": 3},
    "tight_reversed": {"availability": (0.2, 0.4, 0.6), "hops": 2, "budget": 2},
    "roomy_uneven": {"availability": (0.6, 0.4, 0.2), "hops": 2, "budget": 4},
    "roomy_reversed": {"availability": (0.2, 0.4, 0.6), "hops": 2, "budget": 4},
    "tight_clauses": {"availability": (0.6, 0.4, 0.2), "hops": 2, "budget": 2, "clauses": 4},
    "reversed_clauses": {"availability": (0.2, 0.4, 0.6), "hops": 2, "budget": 2, "clauses": 4},
    "priced_clauses": {"availability": (0.6, 0.5, 0.4), "hops": 2, "budget": 3, "clauses": 4},
    "formats": _FORMATS,
    "formats_first_fails": {**_FORMATS, "format_failures": (0, 0, 0.5)},
    "formats_first_weaker": {**_FORMATS, "format_failures": (0, 0, 0.13)},
    "formats_first_slightly": {**_FORMATS, "format_failures": (0, 0, 0.03)},
    "formats_second_fails": {**_FORMATS, "format_failures": (0, 0, 0, 0.5)},
    "six": {"availability": (0.9,) * 6, "hops": 2, "budget": 9, "num_answers": 6},
    "six_uneven": {"availability": (0.9, 0.8, 0.7, 0.6, 0.5, 0.4), "hops": 2, "budget": 9, "num_answers": 6},
}
"""Worlds that only experiments need, beside the presets: name -> arguments of `WorldConfig`. In those called tight and
in rare, one miss loses the episode, so that many questions are answerable and yet hardly ever answered. Those called
roomy allow two misses and not all, with which every order of kinds would be worth the same. In those called clauses, a
passage has four facts, of which the wrong one can be read. In those called six, each kind states an answer of its own,
and the budget is so large that it never ends an episode of three candidates. Those called formats are priced with three
planted query formats of equal length, of which one may fail."""

MANY_QUESTIONS = 4096
"""Training questions wherever a price is measured: 200 steps of 16 questions meet none of them twice."""


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One condition.

    Attributes:
        preset: a preset of the World, such as "priced", or a name of `WORLDS`. With the suffix "-cue", a word of each
            question favours a kind. With the suffix "-answers", questions have three conflicting answers and one more
            query to look for them.
        start: what SFT imitates: "diverse" (orders of kinds drawn at random) or "narrow" (a single order). Or, without
            SFT, "shares-98-1-1": the tabular policy starts by drawing untried kinds in these proportions.
        questions: number of training questions.
        rate: learning rate of RL; 0 is the experiment's.
        own: values are those on the training questions themselves, not in the population.
    """

    preset: str
    start: str
    questions: int = MANY_QUESTIONS
    rate: float = 0.0
    own: bool = False

    @classmethod
    def of(cls, name: str) -> Condition:
        """Reads a `name`, such as "priced/diverse" or "priced/diverse/questions=256/own".

        Raises:
            BerrypickError: it is no "preset/start", or an option is unknown or has no number.
        """
        preset, _, rest = name.partition("/")
        start, *options = rest.split("/")
        if not (preset and start):
            raise BerrypickError(f"condition {name!r}: give a preset and a start, such as priced/diverse")
        found: dict[str, Any] = {}
        for option in options:
            key, _, value = option.partition("=")
            try:
                if option == "own":
                    found[key] = True
                else:
                    found[key] = {"questions": int, "rate": float}[key](value)
            except (KeyError, ValueError):
                raise BerrypickError(
                    f"condition {name!r}: {option!r} is not questions=NUMBER, rate=NUMBER or own"
                ) from None
        return cls(preset, start, **found)

    @property
    def name(self) -> str:
        """ "preset/start" and what differs from the defaults, as reports and claims write it."""
        options = (
            (self.questions != MANY_QUESTIONS, f"questions={self.questions}"),
            (self.rate != 0, f"rate={self.rate:g}"),
            (self.own, "own"),
        )
        return "/".join([self.preset, self.start, *(text for differs, text in options if differs)])

    @property
    def slug(self) -> str:
        """The name, as file names have it."""
        return self.name.replace("/", "-").replace("=", "")

    @property
    def shares(self) -> tuple[float, ...]:
        """The proportions that a "shares-" start draws kinds in; empty for other starts.

        Raises:
            BerrypickError: they are not numbers above 0.
        """
        return shares_of(self.start) if self.start.startswith(SHARES) else ()

    @property
    def has_cue(self) -> bool:
        """Whether each question favours a kind."""
        return self.preset.endswith(CUE_SUFFIX)

    @property
    def has_answers(self) -> bool:
        """Whether questions have several conflicting answers."""
        return self.preset.endswith(ANSWERS_SUFFIX) or "num_answers" in WORLDS.get(self.preset, {})

    @property
    def has_frontier(self) -> bool:
        """Whether values are those in the population of a World with one answer, so that F is defined.

        Not where a query format fails either.
        """
        return not (self.own or self.has_answers or "format_failures" in WORLDS.get(self.preset, {}))

    def env_args(self, seed: int, questions: int) -> dict[str, str | int | float]:
        """The same World as arguments of berrypick/World-v0, with this many training questions and no others."""
        config = self.world_config(seed, questions)
        return {
            "preset": self.preset if self.preset in PRESETS else "priced",
            "availability": ",".join(f"{a:g}" for a in config.availability),
            "budget": config.budget,
            "hops": config.hops,
            "cue": config.cue,
            "num_answers": config.num_answers,
            # only where there are several: older cells are known by the digest of their configuration
            **{
                name: ",".join(f"{value:g}" for value in numbers)
                for name, numbers in (
                    ("query_formats", config.query_formats),
                    ("format_failures", config.format_failures),
                )
                if len(numbers) > 1
            },
            "num_train": questions,
            "num_validation": 0,
            "num_test": 0,
            "world_seed": seed,
            "index": "bm25s",
            **({"clauses": config.clauses} if config.clauses > 1 else {}),
        }

    def world_config(self, seed: int = FIRST_WORLD, questions: int | None = None) -> WorldConfig:
        """The World of this condition: a seed, and as many training questions as asked for or as the condition has."""
        knobs: dict[str, Any] = {
            "num_train": self.questions if questions is None else questions,
            "num_validation": 0,
            "num_test": 0,
            "seed": seed,
        }
        if self.has_cue:
            knobs["cue"] = _CUE
        elif self.preset.endswith(ANSWERS_SUFFIX):
            knobs |= {"num_answers": _ANSWERS, "budget": _ANSWERS_BUDGET}
        preset = self.preset.removesuffix(CUE_SUFFIX).removesuffix(ANSWERS_SUFFIX)
        if preset in WORLDS:
            return WorldConfig(**{"preset": preset, **WORLDS[preset], **knobs})
        return WorldConfig.from_preset(preset, **knobs)
