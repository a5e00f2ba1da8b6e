"""Trackers that also receive a run's metrics: TensorBoard, Weights & Biases, Trackio, others of `accelerate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ...retrieval_index.errors import BerrypickError, MissingExtraError, UnknownNameError

__all__ = ["Tracker", "check_trackers", "open_trackers"]


class Tracker(Protocol):
    """One open tracker."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Writes a step's metrics under the names of metrics.jsonl."""
        ...

    def finish(self) -> None:
        """Flushes and closes."""
        ...


class _TrackerClass(Protocol):
    """A tracker class of `accelerate`; it comes without types."""

    requires_logging_directory: bool

    def __call__(self, run_name: str, **arguments: str) -> Any: ...


def check_trackers(names: Sequence[str]) -> dict[str, _TrackerClass]:
    """Looks trackers up before a run starts; returns their classes by name.

    Raises:
        UnknownNameError: `accelerate` knows no such tracker.
        MissingExtraError: tensorboard is not installed.
        BerrypickError: another tracker is not installed.
    """
    if not names:
        return {}
    try:
        from accelerate.tracking import (  # type: ignore[import-untyped]
            LOGGER_TYPE_TO_CLASS,
            get_available_trackers,
        )
    except ImportError as error:
        raise MissingExtraError("trackers", "train", error) from error
    known: dict[str, _TrackerClass] = {str(name): kind for name, kind in LOGGER_TYPE_TO_CLASS.items()}
    installed = {str(name) for name in get_available_trackers()}
    for name in names:
        if name not in known:
            raise UnknownNameError("tracker", name, known)
        if name not in installed:
            if name == "tensorboard":
                raise MissingExtraError("tracking with tensorboard", "train", "tensorboard is not installed")
            raise BerrypickError(f"{name} is not installed; install it: pip install {name}, or choose another --track")
    return {name: known[name] for name in names}


def open_trackers(names: Sequence[str], out: Path) -> list[Tracker]:
    """Opens trackers for a run. Their files are in the run folder; Trackio and services store theirs elsewhere.

    Args:
        names: as `accelerate` has them: "tensorboard", "wandb", "trackio", ...; see `check_trackers`.
        out: the run folder, which names the run. Weights & Biases and Trackio keep the runs of one project together:
            "berrypick", or what WANDB_PROJECT or TRACKIO_PROJECT says.
    """
    opened: list[Tracker] = []
    kinds = check_trackers(names)
    if kinds:
        from accelerate import PartialState

        PartialState()  # the log of most trackers asks for it; only TensorBoard's class makes it
    for name, kind in kinds.items():
        tracker = _tracker(name, kind, out)
        tracker.start()
        opened.append(tracker)
    return opened


def _tracker(name: str, kind: _TrackerClass, out: Path) -> Any:
    if kind.requires_logging_directory:
        return kind(name, logging_dir=str(out))
    if name not in ("wandb", "trackio"):
        return kind(out.name)
    project = os.environ.get(f"{name.upper()}_PROJECT") or "berrypick"
    place = {"dir": str(out)} if name == "wandb" else {}
    return kind(project, name=out.name, **place)
