"""Safe writes: folders that appear complete or not at all, scratch folders that survive a kill, one-line errors."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import BerrypickError
from .left_overs import held_path, reclaim, reclaim_files
from .locks import LOCK, folder_lock

__all__ = [
    "FolderTakenError",
    "aside_of",
    "discard",
    "fsync",
    "scratch_folder",
    "whole_file",
    "whole_folder",
    "writing",
]


class FolderTakenError(BerrypickError):
    """The target of a `whole_folder` contains files, so the new folder cannot take its name."""


def fsync(path: Path) -> None:
    """Waits until a file, or the list of names in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(what: object, cure: str) -> Iterator[None]:
    """Turns an `OSError` of the block into a one-line error.

    Args:
        what: what the block writes, for example a path.
        cure: what the user can do about it; the end of the message.

    Raises:
        BerrypickError: instead of the `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise BerrypickError(f"cannot write {what}: {error.strerror or error}; {cure}") from error


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yields a path next to `target` and renames that file to `target` when the block succeeds.

    Readers see the old file or the new one, never a part, also after a power failure. If the block fails, nothing is
    left; what a process that is killed leaves is removed by the next call for the same target. Parent folders are
    created. The name is random and the file is new, so that no link which somebody has put
    there is followed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    reclaim_files(target.parent, target.name)
    with held_path(lambda: _empty_file(target)) as work:
        try:
            yield work
            fsync(work)
            os.replace(work, target)
        finally:
            work.unlink(missing_ok=True)


def _empty_file(target: Path) -> Path:
    """A new hidden file beside `target`, under a random name."""
    work = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    os.close(os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # minus what the user's mask forbids
    return work


@contextmanager
def whole_folder(target: Path, cure: str, *, replaces: bool = False) -> Iterator[Path]:
    """Yields a temporary folder next to `target` and renames it to `target` when the block succeeds.

    Every file is flushed to disk before the rename, so readers see the complete folder or none. If the block fails,
    the temporary folder is removed; what a process that is killed leaves under a hidden name is removed by the next
    call for the same target.

    Args:
        target: the final folder; missing or empty, unless `replaces` is set.
        cure: what the user can do if it cannot be written; the end of the message.
        replaces: replace an existing `target`. It is first renamed to `aside_of(target)`, so a kill between the two
            renames loses neither folder.

    Raises:
        FolderTakenError: `target` contains files and is not replaced, or another process wrote it meanwhile.
        BerrypickError: the folder cannot be written, for example because the disk is full.
    """
    with writing(target, cure):
        target.parent.mkdir(parents=True, exist_ok=True)
        reclaim(target.parent, target.name)
        with held_path(lambda: _empty_folder(target)) as work:
            try:
                work.chmod(0o755)  # mkdtemp makes it private
                yield work
                for path in (*sorted(work.rglob("*")), work):
                    fsync(path)
                _put(work, target, cure, replaces)
            finally:
                shutil.rmtree(work, ignore_errors=True)


def _empty_folder(target: Path) -> Path:
    """A new hidden folder beside `target`, under a random name."""
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))


def aside_of(target: Path) -> Path:
    """The hidden name of a folder while `whole_folder` replaces it."""
    return target.with_name(f".{target.name}.old")


def discard(folder: Path) -> None:
    """Removes a folder. It is renamed before its files are deleted, so nobody ever sees half of it."""
    with held_path(lambda: _empty_folder(folder)) as doomed:  # else another process might take it for a left-over
        try:
            os.rename(folder, doomed)
        finally:
            shutil.rmtree(doomed, ignore_errors=True)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yields a folder for intermediate results and removes it when the block succeeds.

    If the block fails or the process is killed, the files stay for the next attempt. Only one process uses the folder
    at a time: a second one gets a private temporary folder instead.
    """
    with folder_lock(folder) as lock:
        if lock != "ours":
            with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as private:
                yield Path(private)
            return
        try:
            yield folder
        except BaseException:
            if all(path.name == LOCK for path in folder.iterdir()):  # nothing worth keeping for the next attempt
                _discard_quietly(folder)
            raise
        _discard_quietly(folder)


def _discard_quietly(folder: Path) -> None:
    """Removes a scratch folder if possible; a failure must not fail the build that no longer needs it."""
    with suppress(OSError):
        discard(folder)


def _put(work: Path, target: Path, cure: str, replaces: bool) -> None:
    """Renames `work` to `target`; an existing target that is replaced comes back if that fails."""
    aside = aside_of(target)
    moved = False
    if replaces and target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(target, aside)
        moved = True
    try:
        os.rename(work, target)
    except OSError as error:
        if moved:
            with suppress(OSError):  # another process has put its own folder there
                os.rename(aside, target)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FolderTakenError(f"cannot write {target}: it contains files; {cure}") from error
        raise
    fsync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)
