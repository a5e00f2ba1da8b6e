"""Run folders and rollouts files to rollouts by arm."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ...envs.importers import RolloutSource, open_rollouts
from ...envs.record import EpisodeRecord
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text
from ..measures.measures import extended
from ..measures.rollout import Rollout, SharedFacts, rollout_of
from ..measures.same_questions import QuestionCheck, check_same_questions
from ..runs.run_folder import object_of_run
from .episode_sample import EpisodeSample
from .format import Report
from .packed_episode import PackedEpisode
from .sweep_folder import evaluated_cells, sweep_folder

__all__ = ["Episodes", "LoadedArms", "load_arms", "load_rollouts", "rollouts_file", "stored_report"]

logger = logging.getLogger(__name__)

JsonObject: TypeAlias = dict[str, Any]

Episodes: TypeAlias = dict[str, list[EpisodeRecord]]
"""Name of an arm -> whole episodes."""


def load_arms(
    paths: Sequence[Path],
    *,
    skip_bad: bool = False,
    format: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Episodes:
    """Reads rollouts by arm. A file is one arm; a folder is its rollouts.jsonl, or one arm for each eval/NAME in it.

    What a file lacks is logged as a warning.

    Args:
        paths: run folders and rollouts files, berrypick's or another system's.
        skip_bad: leave bad lines out; otherwise they raise.
        format: see `open_rollouts`.
        mapping: see `open_rollouts`.

    Raises:
        BerrypickError: a path holds no rollouts, a line cannot be read, or one id stands for two questions.
    """
    files, arms = _named_files(paths), Episodes()
    for name, file in files.items():
        source = open_rollouts(file, format=format, mapping=mapping, skip_bad=skip_bad)
        arms[name] = list(source.records())
        for note in source.notes():
            logger.warning("%s", safe_text(note))
    check_same_questions(arms, _settings(files))
    return arms


class LoadedArms(NamedTuple):
    """Rollouts for measures, and some whole episodes to read.

    Attributes:
        rollouts: name of an arm -> all its rollouts, without text.
        episodes: name of an arm -> the episodes of its first questions; empty unless they were asked for.
        sources: name of an arm -> its file, which names the lines that were left out.
    """

    rollouts: dict[str, list[Rollout]]
    episodes: dict[str, list[PackedEpisode]]
    sources: dict[str, RolloutSource]


def load_rollouts(
    paths: Sequence[Path],
    *,
    skip_bad: bool = False,
    format: str | None = None,
    mapping: Mapping[str, str] | None = None,
    episode_chars: int = 0,
    change: Callable[[Iterator[EpisodeRecord]], Iterator[EpisodeRecord]] = iter,
) -> LoadedArms:
    """Reads rollouts by arm, as `load_arms` does, one line at a time and without keeping their text.

    Args:
        paths: run folders and rollouts files, berrypick's or another system's.
        skip_bad: leave bad lines out; otherwise they raise.
        format: see `open_rollouts`.
        mapping: see `open_rollouts`.
        episode_chars: characters of the episodes that are kept whole, shared by the arms; see `EpisodeSample`.
        change: changes the records of an arm before they are measured, e.g. searches again.

    Raises:
        BerrypickError: a path holds no rollouts, a line cannot be read, or one id stands for two questions.
    """
    files, loaded = _named_files(paths), LoadedArms({}, {}, {})
    keep, check, shared = extended(), QuestionCheck(_settings(files)), SharedFacts()
    for name, file in files.items():
        source = loaded.sources[name] = open_rollouts(file, format=format, mapping=mapping, skip_bad=skip_bad)
        rollouts, sample = loaded.rollouts.setdefault(name, []), EpisodeSample(episode_chars // len(files))
        for record in change(source.records()):
            rollouts.append(rollout_of(record, shared, keep=keep))
            check.add(name, rollouts[-1].question)
            record.question, record.spec = rollouts[-1].question, rollouts[-1].spec  # one object for equal ones
            sample.add(record)
        loaded.episodes[name] = sample.episodes
    return loaded


def _named_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Name of an arm -> its file."""
    named: dict[str, Path] = {}
    for path in paths:
        for name, file in (evaluated_cells(path) or _by_name(_files(path))).items():
            while name in named:
                name += "'"
            named[name] = file
    return named


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for file in files:
        folder = file.parent if file.parent.name not in ("", "..") else file.resolve().parent
        name = folder.name if file.name.startswith("rollouts.jsonl") and folder.name else file.name
        while name in named:
            name += "'"
        named[name] = file
    return named


def _settings(files: Mapping[str, Path]) -> dict[str, JsonObject]:
    """Name of an arm -> arguments of its environment, where they are known."""
    found = {name: _env_arguments(file) for name, file in files.items()}
    return {name: arguments for name, arguments in found.items() if arguments is not None}


def _no_rollouts(path: Path) -> BerrypickError:
    """The error for a path that is neither a file nor a folder."""
    if path.exists():
        return BerrypickError(f"{path} is a pipe or a device, which cannot be read twice; save it to a file first")
    return BerrypickError(f"no such file or folder: {path}; give a run folder or a rollouts.jsonl")


def rollouts_file(path: Path) -> Path:
    """The one rollouts file that a path names; raises `BerrypickError` for a folder with none or with several."""
    files = _files(path)
    if len(files) > 1:
        raise BerrypickError(f"{path} holds {len(files)} rollouts files; give one of {', '.join(map(str, files))}")
    return files[0]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise _no_rollouts(path)
    direct = [path / name for name in ("rollouts.jsonl", "rollouts.jsonl.gz") if (path / name).is_file()]
    below = sorted(path.glob("eval/*/rollouts.jsonl"), key=lambda file: file.stat().st_mtime)
    if not direct and not below:
        raise BerrypickError(_next_step(path))
    return direct or below


def _env_arguments(file: Path) -> JsonObject | None:
    """The environment's arguments, which an evaluation writes next to its rollouts file."""
    arguments = object_of_run(file.parent / "config.json").get("env_args")
    return arguments if isinstance(arguments, dict) else None


def stored_report(folder: Path) -> Report | None:
    """Reads the report that `berrypick run` wrote into a folder, with its "text"; None for any other path."""
    report = object_of_run(folder / "report.json")
    return report if isinstance(report.get("experiment"), str) and isinstance(report.get("text"), str) else None


def _next_step(folder: Path) -> str:
    """Says what a folder without rollouts.jsonl is, and which command works with it."""
    config = object_of_run(folder / "config.json")
    for file in (folder / "report.json", folder / "sweep.json"):
        if file.is_file() and not object_of_run(file):
            return f"{file} is damaged; the command that made it, run again, writes it anew"
    if stored_report(folder) is not None:
        command = f"berrypick report {shlex.quote(str(folder))}"
        return f"{folder} is the folder of an experiment and has a report; show it alone: {command}"
    if (sweep := sweep_folder(folder)) is not None:
        cell = next(iter(sweep.folders.values()), folder / "OBJECTIVE" / "seed0")
        command = f"berrypick eval --policy {shlex.quote(str(cell))} --env ID --out {shlex.quote(f'{cell}-test')}"
        return f"{folder} is a sweep without evaluated cells; evaluate each: {command}; or report it alone"
    if config.get("command") == "run":
        name = shlex.quote(str(config.get("experiment", "NAME")))
        command = f"berrypick run {name} --out {shlex.quote(str(folder))}"
        return f"{folder} is the folder of an experiment without a report yet; continue it: {command}"
    if config.get("command") == "eval":
        return f"{folder} is an interrupted evaluation; continue it: its command with --resume"
    if (folder / "checkpoints").is_dir() or "rl" in config:
        env = shlex.quote(str(config.get("env", "ID")))
        command = f"berrypick eval --policy {shlex.quote(str(folder))} --env {env} --out NEW"
        return f"{folder} holds weights and no rollouts; evaluate them: {command}; then: berrypick report NEW"
    return f"{folder} holds no rollouts.jsonl; give a folder of berrypick eval, or a rollouts file"
