"""One holder at a time, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from berrypick.retrieval_index import held as held_module
from berrypick.retrieval_index.held import held

pytest.importorskip("fcntl", reason="there are no such locks")
HOLDER = (
    "import sys, time; from pathlib import Path; from berrypick.retrieval_index.held import held\n"
    "with held(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"
)


def test_of_two_holders_the_first_has_it_until_it_ends_and_nothing_is_written(tmp_path: Path) -> None:
    with held(tmp_path) as first, held(tmp_path) as second:
        assert (first, second) == (True, False)
        assert list(tmp_path.iterdir()) == []
    with held(tmp_path) as third:
        assert third is True


def test_a_killed_process_gives_its_folder_back(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with held(tmp_path) as while_it_lives:
            assert while_it_lives is False
        other.send_signal(signal.SIGKILL)
        other.wait()
    with held(tmp_path) as afterwards:
        assert afterwards is True


def test_a_folder_that_is_gone_or_another_one_by_now_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = tmp_path / "folder", os.open
    with held(folder) as never_there:
        assert never_there is False
    folder.mkdir()

    def replaced_after(path: Path, flags: int) -> int:
        descriptor = real(path, flags)
        folder.rename(tmp_path / "aside")
        folder.mkdir()
        return descriptor

    monkeypatch.setattr(os, "open", replaced_after)
    with held(folder) as replaced:
        assert replaced is False


def test_where_there_are_no_locks_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(held_module.fcntl, "flock", refuses)
    with held(tmp_path) as mine:
        assert mine is None
    monkeypatch.setattr(held_module, "fcntl", None)
    with held(tmp_path) as mine:
        assert mine is None
