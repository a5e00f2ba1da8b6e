"""A build killed at any write, fsync or rename leaves nothing that opens, and costs no index that was there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.store import IndexFolderError, build_index, check_index, open_searcher, read_manifest

OLD = [Passage(f"o{i}", "", f"old text {i}") for i in range(3)]
NEW = [Passage(f"n{i}", "", f"new text {i}") for i in range(4)]


class Killed(BaseException):
    """Stands for kill -9: no handler of the build may run, so clean-up is switched off as well."""


class Boundaries:
    """Counts the boundaries of a build and kills it at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kill_at: int | None) -> None:
        self.seen = 0
        self._kill_at = kill_at
        for module, name in ((os, "fsync"), (os, "rename")):
            monkeypatch.setattr(module, name, self._guard(getattr(os, name)))
        monkeypatch.setattr(Path, "write_text", self._guard(Path.write_text))
        monkeypatch.setattr(Path, "open", self._guard(Path.open))
        monkeypatch.setattr(shutil, "rmtree", self._rmtree)

    def _guard(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._pass()
            return real(*args, **kwargs)

        return call

    def _rmtree(self, path: Path, ignore_errors: bool = False, real: Any = shutil.rmtree) -> None:
        if self._kill_at is not None and self.seen > self._kill_at:
            return  # a dead process cleans nothing up
        self._pass()
        real(path, ignore_errors=ignore_errors)

    def _pass(self) -> None:
        self.seen += 1
        if self._kill_at is not None and self.seen == self._kill_at + 1:
            raise Killed


def number_of_boundaries(tmp_path: Path, overwrite: bool) -> int:
    build_index(OLD, "bm25s", tmp_path / "i")  # the first build of a process also reads what it imports
    if not overwrite:
        shutil.rmtree(tmp_path / "i")
    with pytest.MonkeyPatch.context() as patch:
        counter = Boundaries(patch, None)
        build_index(NEW, "bm25s", tmp_path / "i", overwrite=overwrite)
        seen = counter.seen
    shutil.rmtree(tmp_path / "i")
    return seen


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_crash_at_any_boundary_leaves_the_old_index_or_none_and_the_next_build_works(
    tmp_path: Path, overwrite: bool
) -> None:
    boundaries = number_of_boundaries(tmp_path, overwrite)
    assert boundaries > 12
    outcomes = set()
    for kill_at in range(boundaries):
        folder = tmp_path / str(kill_at)
        out = folder / "i"
        if overwrite:
            build_index(OLD, "bm25s", out)
        with pytest.MonkeyPatch.context() as patch:
            Boundaries(patch, kill_at)
            with pytest.raises(Killed):
                build_index(NEW, "bm25s", out, overwrite=overwrite)
        if out.exists():
            check_index(out)
            found = open_searcher(out).search(["text"], 9)[0]
            assert {hit.id for hit in found} in ({p.id for p in OLD}, {p.id for p in NEW})
            outcomes.add(found[0].id[0])
        else:
            with pytest.raises(IndexFolderError):
                open_searcher(out)
            outcomes.add("none")
            if overwrite:  # killed between the two renames: the old index stands aside, whole
                check_index(folder / ".i.old")
        for leftover in folder.glob(".i.*.partial"):
            if leftover.joinpath("manifest.json").exists():
                continue  # all of it is there but for the rename; it is hidden and nobody names it
            with pytest.raises(IndexFolderError):
                read_manifest(leftover)
        build_index(NEW, "bm25s", out, overwrite=True)
        assert read_manifest(out).num_passages == len(NEW)
    assert outcomes >= ({"o", "n"} if overwrite else {"none", "n"})


def test_an_index_that_was_stepped_aside_is_named_by_the_refusal(tmp_path: Path) -> None:
    build_index(OLD, "bm25s", tmp_path / "i")
    os.rename(tmp_path / "i", tmp_path / ".i.old")
    with pytest.raises(IndexFolderError, match=r"mv \S*\.i\.old \S*i"):
        open_searcher(tmp_path / "i")
