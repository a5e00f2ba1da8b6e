"""The task of `berrypick/World-v0`."""

from __future__ import annotations

from typing import Any

from ...retrieval_index.errors import BerrypickError
from ..questions import EpisodeSpec
from ..world.failing_formats import FailingFormats
from ..world.world import SPLITS, WorldConfig, build_world
from .task import UNLIMITED, Task, flag, open_index

__all__ = ["world_task"]


def world_task(
    *,
    preset: str = "priced",
    index: str = "bm25s",
    hops: int = 2,
    budget: int | None = None,
    availability: str = "",
    cue: float = 0.0,
    clauses: int = 1,
    aliases: bool | int = False,
    distractors: int = 0,
    voice: str = "closed",
    query_formats: str = "",
    format_failures: str = "",
    num_answers: int = 1,
    num_train: int = 256,
    num_validation: int = 128,
    num_test: int = 512,
    world_seed: int = 0,
    max_turns: int | None = None,
    reward: str = "em",
    turn_format: str = "tags",
    template: str = "",
    top_k: int = 1,
    max_observation_chars: int = 4000,
    max_observation_tokens: int = UNLIMITED,
    escape_special_tokens: bool | int = False,
) -> Task:
    """The planted world; "Settings of the World" below explains the arguments.

    `availability`, `query_formats` and `format_failures` are numbers joined by commas, such as "0.6,0.5,0.4". By
    default, `max_turns` is budget + 3 and `template` is "bare" in the closed voice, "instruct" in English.
    """
    config = WorldConfig.from_preset(
        preset,
        hops=hops,
        cue=cue,
        clauses=clauses,
        aliases=flag(aliases),
        distractors=distractors,
        voice=voice,
        num_answers=num_answers,
        num_train=num_train,
        num_validation=num_validation,
        num_test=num_test,
        seed=world_seed,
        **_overrides(budget, availability=availability, query_formats=query_formats, format_failures=format_failures),
    )
    spec = EpisodeSpec(
        turn_format=turn_format,
        template=template or ("bare" if voice == "closed" else "instruct"),
        top_k=top_k,
        max_turns=config.budget + 3 if max_turns is None else max_turns,
        search_budget=config.budget,
        num_answers=num_answers,
        reward=reward,
        max_observation_chars=max_observation_chars,
        max_observation_tokens=None if max_observation_tokens == UNLIMITED else max_observation_tokens,
        escape_special_tokens=flag(escape_special_tokens),
    )
    return _task(config, spec, index)


def _task(config: WorldConfig, spec: EpisodeSpec, index: str) -> Task:
    world = build_world(config)
    questions = {split: world.questions(split) for split in SPLITS}
    searcher = open_index(world.records, index)
    if config.has_failures:
        searcher = FailingFormats(searcher, config.format_failures)
    return Task("berrypick/World-v0", questions, spec, searcher, config, world.records)


def _overrides(budget: int | None, **numbers: str) -> dict[str, Any]:
    """The values that replace those of the preset; empty texts and None leave the preset alone."""
    overrides: dict[str, Any] = {} if budget is None else {"budget": budget}
    for name, text in numbers.items():
        if text != "":
            overrides[name] = _numbers(name, text)
    return overrides


def _numbers(name: str, text: object) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in str(text).split(","))
    except ValueError:
        raise BerrypickError(f'{name} must be numbers joined by commas such as "0.6,0.5,0.4", got {text!r}') from None
