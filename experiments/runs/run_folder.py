"""A run's folder: its configuration, its environment, its append-only logs.

config.json decides what the run computes, so a run resumes only under the same one. environment.json lists versions
and machine facts; they explain a difference but decide nothing.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import BerrypickError, system_reason
from ...retrieval_index.files import whole_file, writing
from ...retrieval_index.json_text import parse_json, small_file
from ...retrieval_index.left_overs import is_left_over, reclaim_files
from ...retrieval_index.locks import LOCK, PATIENCE_S, folder_lock
from ...retrieval_index.sealed import SEAL, digest_of, unsealed
from .environment import environment_facts

__all__ = [
    "drop_unused_run",
    "hold_run_folder",
    "kept_json",
    "object_of_run",
    "open_run_folder",
    "stored_json",
    "write_json",
    "write_whole",
]

logger = logging.getLogger(__name__)

_BEGUN = frozenset({"config.json", "environment.json", LOCK})
"""Files in the folder of a run that has done nothing yet."""


@contextmanager
def hold_run_folder(
    out: Path, config: Mapping[str, object], *, resume: bool, may_grow: Sequence[str] = ()
) -> Iterator[bool]:
    """Opens a run folder as `open_run_folder` does and keeps every other process out of it while the block runs.

    Raises:
        BerrypickError: what `open_run_folder` refuses, or a folder another process is at work in.
    """
    with folder_lock(out, patience_s=PATIENCE_S) as lock:  # its last owner may have been killed this moment
        if lock == "busy":
            raise BerrypickError(f"another process is at work in {out}; wait for its end, or choose another --out")
        was_there = open_run_folder(out, config, resume=resume, may_grow=may_grow)
        _check_links(out)
        reclaim_files(out)
        yield was_there


def _begun(path: Path) -> bool:
    return path.name in _BEGUN or is_left_over(path)


def _check_links(out: Path) -> None:
    """Refuses a folder with links to files: a stranger's folder could make us write over a file elsewhere."""
    links = sorted(path.name for path in out.iterdir() if path.is_symlink() and not path.is_dir())
    if links:
        raise BerrypickError(
            f"{out / links[0]} is a link, and berrypick writes into no links; put the file itself there, or choose "
            "another --out"
        )


def open_run_folder(out: Path, config: Mapping[str, object], *, resume: bool, may_grow: Sequence[str] = ()) -> bool:
    """Creates a run folder, or reopens the folder of a run with the same configuration.

    A folder in which nothing was done yet takes any configuration.

    Args:
        out: the folder.
        config: of the run, as config.json holds it.
        resume: whether a run that is there goes on.
        may_grow: dotted names of numbers that may be larger than before: what was done until now does not depend on
            them. config.json then holds the larger one.

    Returns:
        Whether there is a run to continue.

    Raises:
        BerrypickError: the folder holds a run and `resume` is false, or a run with another configuration; its
            configuration is damaged; or the folder cannot be written.
    """
    stored = out / "config.json"
    unused = not out.is_dir() or all(_begun(path) for path in out.iterdir())
    if stored.is_file() and not unused:
        if not resume:
            raise BerrypickError(f"{out} holds a run already; add --resume to continue it, or choose another --out")
        before, now = _stored_config(stored), json.loads(json.dumps(config))
        different = _differences(before, now)
        if different and all(name in may_grow for name in different):
            _check_growth(out, {name: (_at(before, name), _at(now, name)) for name in different})
            write_json(stored, config)
        elif different:
            raise BerrypickError(
                f"{out} holds another run (different: {', '.join(different)}); give the settings it was started with, "
                "which config.json holds, or choose another --out"
            )
        return True
    if not unused:
        raise BerrypickError(f"{out} holds other files; choose an empty or new folder for --out")
    with writing(f"to {out}", "choose another --out"):
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "environment.json", environment_facts())
        write_json(stored, config)
    return False


def _check_growth(out: Path, numbers: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuses numbers (before, now) that became smaller."""
    for name, (before, now) in numbers.items():
        if not isinstance(before, int) or not isinstance(now, int) or now < before:
            raise BerrypickError(
                f"{out} was started with {name} {before}, and {now} is less; give {before} or more, or choose another "
                "--out"
            )
        logger.info("%s: %s goes from %d to %d", out, name, before, now)


def _at(config: object, name: str) -> object:
    for part in name.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def drop_unused_run(out: Path) -> None:
    """Removes a run folder in which nothing was done: it holds only the run's configuration and empty files."""
    files = list(out.iterdir())
    if all(_begun(path) or (path.is_file() and not path.stat().st_size) for path in files):
        for path in files:
            path.unlink()
        out.rmdir()


def _stored_config(path: Path) -> Mapping[str, object]:
    try:
        config = stored_json(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, system_reason(error)) from error
    if not isinstance(config, dict):
        raise _damaged(path, "not a JSON object")
    return config


def _damaged(path: Path, reason: str) -> BerrypickError:
    return BerrypickError(f"cannot read {path} ({reason}); restore the run's own file, or choose another --out")


def _differences(before: object, now: object, name: str = "") -> list[str]:
    """Dotted names of the settings that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            found
            for key in sorted({*before, *now})
            for found in _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
        ]
    return [name] if before != now else []


def write_json(path: Path, value: object, *, rows: bool = False) -> None:
    """Writes a JSON document atomically. Keys stay in their order, which is that of a report's rows.

    An object gets a digest of itself under "sha256", so that `stored_json` notices a flipped bit. With `rows`, each of
    the innermost objects and lists is on one line.
    """
    if isinstance(value, Mapping):
        plain = json.loads(json.dumps(value))  # keys that are numbers become text, as they are read back
        value = {**plain, "sha256": digest_of(plain)}
    text = json.dumps(value, indent=1)
    if rows:  # JSON escapes line breaks inside strings, so each one in the text is layout
        text = re.sub(r"[{\[]\n[^{}\[\]]*[}\]]", lambda found: re.sub(r"\n *", " ", found[0]), text)
    write_whole(path, text + "\n")


def kept_json(path: Path, compute: Callable[[], object]) -> Any:
    """What a JSON file holds from an earlier call, or what is computed now and written to it.

    Raises:
        BerrypickError: the file is damaged.
    """
    if not path.is_file():
        write_json(path, compute())
    try:
        return stored_json(path)
    except (OSError, ValueError) as error:
        reason = system_reason(error)
        raise BerrypickError(f"{path} is damaged ({reason}); delete it, and it is computed again") from error


def stored_json(path: Path) -> Any:
    """The document that `write_json` wrote, without its digest; one without a digest is taken as it is.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or its digest is wrong.
    """
    body = small_file(path)
    return unsealed(body) if body.lstrip()[:1] == b"{" else parse_json(body)


def object_of_run(path: Path) -> dict[str, Any]:
    """The object in a file of a run folder; {} if there is no such file, or if it holds none and never had a digest.

    Raises:
        BerrypickError: it has a digest, which is wrong.
    """
    try:
        body = small_file(path)
    except OSError:
        return {}
    try:
        return unsealed(body)
    except ValueError as error:
        if f'"{SEAL}": "'.encode() in body:
            raise BerrypickError(f"{path} is damaged ({error}); restore it, or make it again") from error
        return {}


def write_whole(
    path: Path, text: str, cure: str = "free some space or fix that path, then run the same command again"
) -> None:
    """Writes a UTF-8 text file atomically: readers see the old file or the new one, never a part.

    Raises:
        BerrypickError: it cannot be written, for example because the disk is full.
    """
    with writing(path, cure):
        path.parent.stat()  # a folder that is not there is an error and is not made
        with whole_file(path) as work:
            work.write_text(text, encoding="utf-8")
