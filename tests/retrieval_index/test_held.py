"""One holder at a time, whatever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest
from berrypick.retrieval_index.held import LOCK, held

HOLDER = (
    "import sys, time; from pathlib import Path; from berrypick.retrieval_index.held import held\n"
    "with held(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"
)


def test_of_two_holders_the_first_has_it_until_it_ends_and_nothing_stays(tmp_path: Path) -> None:
    with held(tmp_path) as first, held(tmp_path) as second:
        assert (first, second) == (True, False)
    with held(tmp_path) as third:
        assert third is True
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_gives_its_folder_back(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with held(tmp_path) as while_it_lives:
            assert while_it_lives is False
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (tmp_path / LOCK).exists()
    with held(tmp_path) as afterwards:
        assert afterwards is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_was_forked_meanwhile_keeps_nothing(tmp_path: Path) -> None:
    with held(tmp_path):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
        child.start()
    with held(tmp_path) as afterwards:
        assert child.is_alive() and afterwards is True
    child.kill()
    child.join()


def test_who_lost_its_folder_leaves_the_lock_of_the_next_alone(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with held(folder) as first:
        folder.rename(tmp_path / "aside")
        second = held(folder)
        assert (first, second.__enter__()) == (True, True)
    with held(folder) as third:
        assert third is False
    second.__exit__(None, None, None)
    assert list(folder.iterdir()) == []


def test_where_nothing_can_be_locked_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with held(tmp_path / "file") as mine:
        assert mine is None

    def refuses(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuses)
    with held(tmp_path) as mine:
        assert mine is None
