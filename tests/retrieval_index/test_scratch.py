"""The scratch folder of a build: one builder holds it, and who comes while it goes loses nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from berrypick.retrieval_index.locks import LOCK
from berrypick.retrieval_index.scratch import scratch_folder


def test_what_a_failed_build_left_is_there_for_the_next_and_gone_after_a_good_one(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"

    def fail() -> None:
        with scratch_folder(folder) as mine:
            (mine / "vectors").write_text("half")
            raise RuntimeError("no space left")

    with pytest.raises(RuntimeError, match="no space left"):
        fail()
    with scratch_folder(folder) as mine:
        assert mine == folder and (mine / "vectors").read_text() == "half"
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_that_left_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), scratch_folder(tmp_path / "scratch"):
        raise RuntimeError("nothing done")
    assert list(tmp_path.iterdir()) == []


def test_a_second_builder_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    with scratch_folder(folder) as first, scratch_folder(folder) as second:
        assert first == folder != second and second.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_builder_whose_folder_goes_while_it_looks_gets_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real, gone = tmp_path / "scratch", os.open, []

    def gone_first(path: Any, *args: Any, **kwargs: Any) -> int:
        if Path(path).parent == folder and not gone:
            os.rmdir(folder)
            gone.append(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", gone_first)
    with scratch_folder(folder) as mine:
        assert gone and mine.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_builder_that_comes_while_the_folder_is_removed_keeps_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = tmp_path / "scratch", os.unlink
    parts = [f"vectors{i}" for i in range(20)]  # a removal takes them in any order, most of them after the lock
    removed: list[str] = []
    kept: list[str] = []
    go, written, look = threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        go.wait(30)
        with scratch_folder(folder) as theirs:
            for part in parts:
                (theirs / part).mkdir(exist_ok=True)
                (theirs / part / "second").touch()
            written.set()
            look.wait(30)
            kept.extend(part for part in parts if (theirs / part / "second").is_file())

    def pausing(path: Any, *args: Any, **kwargs: Any) -> None:
        real(path, *args, **kwargs)
        removed.append(Path(path).name)
        if removed[-1] == LOCK and not go.is_set():
            go.set()
            written.wait(30)

    other = threading.Thread(target=second)
    other.start()
    with scratch_folder(folder) as mine:
        for part in parts:
            (mine / part).mkdir()
            (mine / part / "first").touch()
        monkeypatch.setattr(os, "unlink", pausing)
    monkeypatch.undo()
    look.set()
    other.join()
    assert LOCK in removed and kept == parts
    assert list(tmp_path.iterdir()) == []
