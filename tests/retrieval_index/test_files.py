"""Folders that appear complete or not at all, and the scratch folder that a failed build leaves to the next one."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.files import (
    FolderTakenError,
    discard,
    scratch_folder,
    whole_file,
    whole_folder,
)
from berrypick.retrieval_index.left_overs import reclaim, reclaim_files
from berrypick.retrieval_index.locks import LOCK
from fixtures.machine import patience

CURE = "choose another folder"


def write(target: Path, text: str, **options: bool) -> None:
    """One `whole_folder` with a file in a subfolder."""
    with whole_folder(target, CURE, **options) as work:
        (work / "sub").mkdir()
        (work / "sub" / "file").write_text(text)


def fails_with(error: type[BaseException], target: Path) -> None:
    with whole_folder(target, CURE, replaces=True) as work:
        (work / "file").write_text("half")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_folder_is_hidden_until_it_is_complete_and_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, synced, real = tmp_path / "deep" / "target", set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: synced.add(os.fstat(number).st_ino) or real(number))
    with whole_folder(target, CURE) as work:
        (work / "sub").mkdir()
        (work / "sub" / "file").write_text("text")
        assert not target.exists() and work.name.startswith(".") and work.parent == target.parent
        inside = {path.stat().st_ino for path in (work, work / "sub", work / "sub" / "file")}
    assert (target / "sub" / "file").read_text() == "text" and target.stat().st_mode & 0o777 == 0o755
    assert inside <= synced and target.parent.stat().st_ino in synced
    assert names(target.parent) == ["target"]


def test_a_failed_block_leaves_nothing_and_the_old_folder_stays(tmp_path: Path) -> None:
    write(tmp_path / "target", "old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            fails_with(error, tmp_path / "target")
    assert names(tmp_path) == ["target"] and (tmp_path / "target" / "sub" / "file").read_text() == "old"


def test_a_target_with_files_is_refused_unless_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    write(tmp_path / "target", "old")  # an empty folder is filled
    with pytest.raises(FolderTakenError, match=r"^cannot write \S*target: it contains files; choose another folder$"):
        write(tmp_path / "target", "new")
    assert (tmp_path / "target" / "sub" / "file").read_text() == "old"
    write(tmp_path / "target", "new", replaces=True)
    assert (tmp_path / "target" / "sub" / "file").read_text() == "new" and names(tmp_path) == ["target"]


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "target", "old")
    real = os.rename

    def fails(source: Any, target: Any) -> None:
        if Path(source).name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(Exception, match=r"No space left on device; choose another folder$"):
        write(tmp_path / "target", "new", replaces=True)
    assert (tmp_path / "target" / "sub" / "file").read_text() == "old" and names(tmp_path) == ["target"]


def killed(target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a killed write leaves."""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed process cleans nothing up
        with suppress(RuntimeError), whole_folder(target, CURE, replaces=True) as work:
            (work / "file").write_text("half")
            raise RuntimeError
    return work


def test_the_next_write_of_a_place_removes_what_killed_ones_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lefts = {name: killed(tmp_path / name, monkeypatch) for name in ("one", "two", "a[b]")}
    (tmp_path / ".one.json").touch()
    assert all(left.is_dir() for left in lefts.values())
    write(tmp_path / "a[b]", "new")
    assert not lefts["a[b]"].exists() and lefts["one"].is_dir() and lefts["two"].is_dir()
    assert reclaim(tmp_path) == {lefts["one"]: 4, lefts["two"]: 4}
    assert names(tmp_path) == [".one.json", "a[b]"]


def test_the_next_write_of_a_file_removes_what_killed_ones_left_there(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / f".{name}.{'0123456789abcdef'}.partial").write_text("half")
    (tmp_path / ".a.json.partial").write_text("somebody's own")
    with whole_file(tmp_path / "a.json") as first, whole_file(tmp_path / "a.json") as second:  # both are living
        first.write_text("1")
        second.write_text("2")
        assert first != second and first.is_file()
    assert (tmp_path / "a.json").read_text() == "1"
    assert names(tmp_path) == [".a.json.partial", ".b.json.0123456789abcdef.partial", "a.json"]


def test_the_folder_of_a_living_write_is_no_left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = killed(tmp_path / "target", monkeypatch)
    with whole_folder(tmp_path / "target", CURE) as work:
        assert not left.exists()
        (work / "file").write_text("new")
        assert reclaim(tmp_path) == {} and work.is_dir()
    assert (tmp_path / "target" / "file").read_text() == "new"


def test_a_left_over_is_no_link_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / ".a.abcdefgh.partial").symlink_to(tmp_path / "precious")
    (tmp_path / ".b.abcdefgh.partial").write_text("a file")
    (tmp_path / ".c.partial").mkdir()
    assert reclaim(tmp_path) == {} and (tmp_path / "precious").is_dir() and len(names(tmp_path)) == 4


def test_a_discarded_folder_loses_its_name_before_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "target", "old")
    seen: list[bool] = []
    real = os.unlink
    monkeypatch.setattr(os, "unlink", lambda *a, **k: (seen.append((tmp_path / "target").exists()), real(*a, **k))[1])
    discard(tmp_path / "target")
    assert seen == [False] and names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        discard(tmp_path / "target")
    assert names(tmp_path) == []


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
        go.wait(patience(30))
        with scratch_folder(folder) as theirs:
            for part in parts:
                (theirs / part).mkdir(exist_ok=True)
                (theirs / part / "second").touch()
            written.set()
            look.wait(patience(30))
            kept.extend(part for part in parts if (theirs / part / "second").is_file())

    def pausing(path: Any, *args: Any, **kwargs: Any) -> None:
        real(path, *args, **kwargs)
        removed.append(Path(path).name)
        if removed[-1] == LOCK and not go.is_set():
            go.set()
            written.wait(patience(30))

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


def test_writers_and_sweepers_of_one_folder_never_take_each_others_work(tmp_path: Path) -> None:
    wrong: list[BaseException] = []
    stop = threading.Event()

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BerrypickError:
            pass  # another writer was faster
        except BaseException as error:
            wrong.append(error)

    def sweep() -> None:
        while not stop.is_set():
            guarded(lambda: (reclaim(tmp_path), reclaim_files(tmp_path), None)[2])

    def build(number: int) -> None:
        scratch = tmp_path / f".scratch{number}"
        for _ in range(60):
            guarded(lambda: write(tmp_path / "target", "new", replaces=True))
            scratch.mkdir()
            guarded(lambda: discard(scratch))

    threads = [threading.Thread(target=build, args=(number,)) for number in range(3)]
    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads + sweepers:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    for thread in sweepers:
        thread.join()
    assert wrong == [] and names(tmp_path) == ["target"]


def test_of_writers_who_begin_together_one_wins_and_the_others_are_told_so(tmp_path: Path) -> None:
    """A writer that sweeps must not take the folder that another one has made this moment for a left-over."""
    for number in range(150):
        failures: list[type[BaseException]] = []
        target = tmp_path / str(number) / "target"

        def build(target: Path = target, failures: list[type[BaseException]] = failures) -> None:
            try:
                with whole_folder(target, CURE) as work:
                    (work / "file").write_text("whole")
            except BaseException as error:
                failures.append(type(error))

        threads = [threading.Thread(target=build) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == [FolderTakenError] * 2
        assert names(target.parent) == ["target"] and (target / "file").read_text() == "whole"
