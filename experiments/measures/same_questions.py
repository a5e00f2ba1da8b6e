"""Checks that equal ids stand for equal questions, without which rollouts must not be paired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...envs.record import QuestionRecord
from ...envs.world.facts import WorldFacts
from ...retrieval_index.errors import BerrypickError
from .rollout import Played

__all__ = ["QuestionCheck", "check_same_questions"]

Settings = Mapping[str, Mapping[str, object]]


def check_same_questions(arms: Mapping[str, Iterable[Played]], settings: Settings | None = None) -> None:
    """Raises `BerrypickError` if one id stands for two questions, within an arm or between arms.

    Args:
        arms: rollouts by arm.
        settings: name of an arm -> arguments of its environment, if known; the message names those that differ.
    """
    check = QuestionCheck(settings)
    for arm, played in arms.items():
        for one in played:
            check.add(arm, one.question)


class QuestionCheck:
    """The same check for rollouts that come one at a time; it keeps one question for each id.

    Args:
        settings: name of an arm -> arguments of its environment; entries may be added later.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = {} if settings is None else settings
        self._known: dict[str, tuple[QuestionRecord, str]] = {}

    def add(self, arm: str, question: QuestionRecord) -> None:
        """Raises `BerrypickError` if this id stood for another question before."""
        before, where = self._known.setdefault(question.id, (question, arm))
        if before is question or _content(before) == _content(question):
            return
        place = f"{where} and {arm}" if where != arm else f"{arm} twice"
        place += _differing(where, arm, self._settings)
        raise BerrypickError(
            f"these rollouts answer different questions under equal ids ({question.id} is in {place}); "
            "report them apart, or play them with the same --env-arg"
        )


def _content(question: QuestionRecord) -> tuple[Any, ...]:
    world = WorldFacts.of(question)
    planted = None if world is None else (world.kinds, world.hops, world.present)  # the budget is a rule of play
    return " ".join(question.text.split()), sorted(question.answers), planted


def _differing(first: str, second: str, settings: Settings) -> str:
    if first not in settings or second not in settings:
        return ""
    one, two = settings[first], settings[second]
    names = sorted(name for name in {*one, *two} if one.get(name) != two.get(name))
    return "".join(f"; {name}: {one.get(name, 'default')} and {two.get(name, 'default')}" for name in names)
