"""One row of a self-test, and what it is run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...envs.adapters.tool_episode import shared_task
from ...envs.tasks.task import Task
from ...retrieval_index.errors import first_line

__all__ = ["Check", "Settings", "guarded"]


@dataclass(frozen=True, slots=True)
class Check:
    """A row.

    Attributes:
        name: what is checked.
        passed: whether it holds; None if it could not be checked.
        found: what was seen, in a few words.
        cure: what to do if it does not hold.
    """

    name: str
    passed: bool | None
    found: str
    cure: str = ""


@dataclass(frozen=True)
class Settings:
    """What an adapter is checked with.

    Attributes:
        tokenizer: of `transformers`, with its chat template.
        env_id: environment id.
        arguments: of the environment.
        split: the questions to play.
    """

    tokenizer: Any
    env_id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    split: str = "train"

    @property
    def task(self) -> Task:
        """The task that the adapters of this process share."""
        return shared_task(self.env_id, self.arguments)


def guarded(name: str, check: Callable[[], Check], cure: str = "") -> Check:
    """The row of a check, or a row that fails with the error it raised: templates raise what their authors chose."""
    try:
        return check()
    except Exception as error:
        found = f"{type(error).__name__}: {first_line(error)}"
        return Check(name, False, found, cure or "correct what the error names")
