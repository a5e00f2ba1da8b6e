"""What all cells of language models in Worlds share: keys, a World's own folder, and rollouts. Loads no model code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ...envs.episode import Episode
from ...envs.questions import Question
from ...envs.tasks.registry import Task
from ...policies.policy import Policy, Sampling
from ...policies.rollout import rollout
from ...retrieval_index.errors import BerrypickError
from .condition import Condition
from .experiment import Cell

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["MAX_ROWS", "check_base", "language_cell", "play_groups", "settings_of", "world_folder"]

MAX_ROWS = 512
"""Episodes that are played at a time."""


def language_cell(condition: Condition, arm: str, seed: int, world: int, settings: Mapping[str, Any]) -> Cell:
    """A cell of a language model in a World of its own.

    Args:
        condition: where.
        arm: how it is trained.
        seed: of training, the number of the replicate.
        world: World seed.
        settings: further configuration, JSON-able.
    """
    return Cell(
        f"language/{condition.slug}/{arm}/world-{world}",
        {
            "policy": "language model",
            "condition": condition.name,
            "arm": arm,
            "seed": seed,
            "world_seed": world,
            **settings,
        },
    )


def settings_of(grid: DataclassInstance, *others: str) -> dict[str, Any]:
    """The fields of a grid that each of its cells is configured by: all but these others; tuples become lists."""
    found = {one.name: getattr(grid, one.name) for one in fields(grid) if one.name not in others}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


@contextmanager
def world_folder(work: Path, *place: str) -> Iterator[Path]:
    """The folder that the cells of a World share, locked, since these may run side by side; it need not exist.

    Args:
        work: of one of the cells; its last part names the World.
        place: folders that tell this one from those of other conditions.
    """
    folder = work.parent.parent.parent.joinpath(*place) / work.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        yield folder


def check_base(right: float, least: float, setting: str) -> None:
    """Refuses a policy that has not learned its task: what it learns from there on says nothing.

    Args:
        right: its pass@1 on test questions.
        least: what it must have. It changes no number, so it is no part of a cell's configuration.
        setting: what decides how long it is trained: class and attribute.

    Raises:
        BerrypickError: it has less.
    """
    if right < least:
        raise BerrypickError(
            f"the base answers {right:.3f} of the test questions, at least {least:g} are needed; raise {setting} of "
            "the experiment"
        )


def play_groups(
    policy: Policy, task: Task, questions: Sequence[Question], samples: int, seed: int, *, max_new_tokens: int = 32
) -> list[list[Episode]]:
    """Ended episodes of a task, [question][sample]."""
    return rollout(
        policy,
        questions,
        task.spec,
        task.searcher,
        num_samples=samples,
        sampling=Sampling(max_new_tokens=max_new_tokens),
        seed=seed,
        max_rows=MAX_ROWS,
    )
