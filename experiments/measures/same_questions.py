"""Checks that equal ids stand for equal questions, without which rollouts must not be paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...envs.record import EpisodeRecord
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError

__all__ = ["check_same_questions"]

Settings = Mapping[str, Mapping[str, object]]


def check_same_questions(arms: Mapping[str, Sequence[EpisodeRecord]], settings: Settings | None = None) -> None:
    """Raises `BerrypickError` if one id stands for two questions, within an arm or between arms.

    Args:
        arms: rollouts by arm.
        settings: name of an arm -> arguments of its environment, if known; the message names those that differ.
    """
    known: dict[str, tuple[Any, str]] = {}
    for arm, records in arms.items():
        for record in records:
            asked = _content(record)
            before, where = known.setdefault(record.question.id, (asked, arm))
            if before != asked:
                place = f"{where} and {arm}" if where != arm else f"{arm} twice"
                place += _differing(where, arm, settings or {})
                raise BerrypickError(
                    f"these rollouts answer different questions under equal ids ({record.question.id} is in {place}); "
                    "report them apart, or play them with the same --env-arg"
                )


def _content(record: EpisodeRecord) -> tuple[Any, ...]:
    question = record.question
    world = WorldFacts.of(question)
    planted = None if world is None else (world.kinds, world.hops, world.present)  # the budget is a rule of play
    return " ".join(question.text.split()), sorted(question.answers), planted


def _differing(first: str, second: str, settings: Settings) -> str:
    if first not in settings or second not in settings:
        return ""
    one, two = settings[first], settings[second]
    names = sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
    return "".join(f"; {name}: {one.get(name, 'default')} and {two.get(name, 'default')}" for name in names)
