"""Paths to rollouts by arm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...envs.record import EpisodeRecord, read_records
from ...retrieval_index.errors import BerrypickError
from ..measures.same_questions import check_same_questions
from .folders import json_object, next_step

__all__ = ["load_arms"]


def load_arms(paths: Sequence[Path], skipped: list[str] | None = None) -> dict[str, list[EpisodeRecord]]:
    """Rollouts by arm: a file is one arm; a folder is its rollouts.jsonl, or one arm for each eval/NAME below it.

    Args:
        paths: run folders and rollouts files.
        skipped: where given, bad lines are left out and their messages put here.

    Raises:
        BerrypickError: a path holds no rollouts, a line cannot be read, or one id stands for two questions.
    """
    arms: dict[str, list[EpisodeRecord]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for path in paths:
        for file in _files(path):
            name = file.parent.name if file.name.startswith("rollouts.jsonl") else file.name
            while name in arms:
                name += "'"
            arms[name] = read_records(file, skipped=skipped)
            if (arguments := _env_arguments(file)) is not None:
                settings[name] = arguments
    check_same_questions(arms, settings)
    return arms


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BerrypickError(f"no such file or folder: {path}; give a run folder or a rollouts.jsonl")
    direct = [path / name for name in ("rollouts.jsonl", "rollouts.jsonl.gz") if (path / name).is_file()]
    below = sorted(path.glob("eval/*/rollouts.jsonl"), key=lambda file: file.stat().st_mtime)
    if not direct and not below:
        raise BerrypickError(next_step(path))
    return direct or below


def _env_arguments(file: Path) -> dict[str, Any] | None:
    """What the evaluation beside a rollouts file was told of its environment."""
    arguments = json_object(file.parent / "config.json").get("env_args")
    return arguments if isinstance(arguments, dict) else None
