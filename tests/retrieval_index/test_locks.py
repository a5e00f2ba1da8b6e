"""A folder has one owner at a time, and a killed owner releases it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pytest
from berrypick.retrieval_index.locks import LOCK, folder_lock

HOLDER = (
    "import sys, time; from pathlib import Path; from berrypick.retrieval_index.locks import folder_lock\n"
    "with folder_lock(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"
)


def test_the_first_of_two_owners_keeps_the_lock_until_it_ends_and_no_file_is_left(tmp_path: Path) -> None:
    with folder_lock(tmp_path) as first, folder_lock(tmp_path) as second:
        assert (first, second) == ("ours", "busy")
    with folder_lock(tmp_path) as third:
        assert third == "ours"
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_releases_its_folder(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ours\n"
        with folder_lock(tmp_path) as while_it_lives:
            assert while_it_lives == "busy"
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (tmp_path / LOCK).exists()
    with folder_lock(tmp_path) as afterwards:
        assert afterwards == "ours"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_forked_while_locked_does_not_keep_the_lock(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
        child.start()
    with folder_lock(tmp_path) as afterwards:
        assert child.is_alive() and afterwards == "ours"
    child.kill()
    child.join()


def test_an_owner_whose_folder_was_renamed_leaves_the_new_folders_lock_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with folder_lock(folder) as first:
        folder.rename(tmp_path / "aside")
        second = folder_lock(folder)
        assert (first, second.__enter__()) == ("ours", "ours")
    with folder_lock(folder) as third:
        assert third == "busy"
    second.__exit__(None, None, None)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_locked_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with folder_lock(tmp_path / "file") as mine:
        assert mine == "unsupported"

    def refuses(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuses)
    with folder_lock(tmp_path) as mine:
        assert mine == "unsupported"


def test_a_patient_caller_gets_the_lock_of_an_owner_that_is_about_to_end(tmp_path: Path) -> None:
    owned, release = threading.Event(), threading.Event()

    def own() -> None:
        with folder_lock(tmp_path):
            owned.set()
            release.wait()

    owner = threading.Thread(target=own)
    owner.start()
    owned.wait()
    with folder_lock(tmp_path) as at_once:
        assert at_once == "busy"
    threading.Timer(0.05, release.set).start()
    with folder_lock(tmp_path, patience_s=60) as later:
        assert later == "ours"
    owner.join()
