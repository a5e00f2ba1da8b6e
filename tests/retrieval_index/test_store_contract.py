"""One suite for every back end: an index folder is there whole or not at all, and equal builds are equal."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berrypick.retrieval_index import faiss_index, lucene_index, milvus_index
from berrypick.retrieval_index.corpus import Passage, corpus_sha256
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.store import (
    BuildSettings,
    IndexExistsError,
    IndexFolderError,
    build_index,
    check_index,
    open_searcher,
    read_manifest,
)


@dataclass(frozen=True)
class Case:
    """A back end and what it takes: ivfpq trains on 640 passages; some write what differs between equal builds."""

    backend: str
    settings: BuildSettings = field(default_factory=BuildSettings)
    count: int = 5
    equal_bytes: bool = True

    def passages(self, letter: str) -> list[Passage]:
        return [Passage(f"{letter}{i:03d}", f"Title {i}", f"{letter} text{i % 7} word{i}") for i in range(self.count)]

    def build(self, passages: list[Passage], out: Path, **more: Any) -> Any:
        return build_index(passages, self.backend, out, settings=self.settings, **more)


CASES = {
    "bm25s": Case("bm25s"),
    "faiss flat": Case("faiss"),
    "faiss hnsw": Case("faiss", BuildSettings(kind="hnsw")),
    "faiss ivfpq": Case("faiss", BuildSettings(kind="ivfpq"), count=700),
    "hybrid": Case("hybrid"),
    "lucene": Case("lucene", equal_bytes=False),
    "milvus": Case("milvus", equal_bytes=False),
}
MARKS = {"lucene": [pytest.mark.lucene], "milvus": [pytest.mark.slow]}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in CASES])
def case(request: pytest.FixtureRequest, words_loaded: Any, monkeypatch: pytest.MonkeyPatch) -> Case:
    if request.param == "milvus":
        pytest.importorskip("pymilvus")
    for module in (lucene_index, milvus_index):
        monkeypatch.setattr(module, "_BATCH", 2)  # several writes even of a few passages
    return CASES[request.param]


class DiskImages:
    """What a killed build leaves: a copy of the disk before every write, fsync and rename, and after the last."""

    def __init__(self, disk: Path, images: Path, patch: pytest.MonkeyPatch) -> None:
        self.disk, self.folder = disk, images
        self.images: list[Path] = []
        self.unsynced: list[str] | None = None
        self._synced: set[int] = set()
        self._last: Any = None
        self._busy = threading.RLock()
        places: list[tuple[Any, str]] = [(os, "fsync"), (os, "rename"), (os, "replace"), (os, "mkdir")]
        places += [(Path, "open"), (Path, "write_text"), (shutil, "rmtree"), (faiss_index, "write_graph")]
        places += [(np, "save"), (np.lib.format, "open_memmap")]
        try:
            from pymilvus import MilvusClient

            places += [(MilvusClient, name) for name in ("create_collection", "insert", "flush")]
        except ImportError:
            pass
        for owner, name in places:
            patch.setattr(owner, name, self._watched(name, getattr(owner, name)))

    def take(self) -> None:
        """Copies the disk unless it is as it was."""
        state = [(str(path), path.lstat().st_ino, path.lstat().st_size) for path in sorted(self.disk.rglob("*"))]
        if state != self._last:
            self._last = state
            self.images.append(self.folder / f"{len(self.images):03d}")
            shutil.copytree(self.disk, self.images[-1], symlinks=True)

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._busy.acquire(blocking=False):
                return real(*args, **kwargs)
            try:
                with_copy = getattr(self, "_inside", False)
                self._inside = True
                if not with_copy:
                    if name == "rename":
                        self._check_synced(Path(args[0]), Path(args[1]))
                    self.take()
            finally:
                self._inside = with_copy
                self._busy.release()
            if name == "fsync":
                self._synced.add(os.fstat(args[0]).st_ino)
            return real(*args, **kwargs)

        return call

    def _check_synced(self, source: Path, target: Path) -> None:
        if source.name.endswith(".partial"):  # the rename that puts the index in place
            paths = [source, *(path for path in source.rglob("*") if not path.is_socket())]
            self.unsynced = [path.name for path in paths if path.stat().st_ino not in self._synced]


def letters(folder: Path) -> set[str]:
    searcher = open_searcher(folder)
    found = searcher.search(["text1 word1 o n"], 9)[0]
    searcher.close()
    return {hit.id[0] for hit in found}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_build_killed_at_any_write_fsync_or_rename_leaves_the_old_index_or_none(
    case: Case, overwrite: bool, tmp_path: Path
) -> None:
    disk, out = tmp_path / "disk", tmp_path / "disk" / "i"
    disk.mkdir()
    (tmp_path / "images").mkdir()
    if overwrite:
        case.build(case.passages("o"), out)
    with pytest.MonkeyPatch.context() as patch:
        watch = DiskImages(disk, tmp_path / "images", patch)
        case.build(case.passages("n"), out, overwrite=overwrite, progress=lambda done: watch.take())
        watch.take()
    assert watch.unsynced == [], "renamed before it was on disk"
    assert len(watch.images) > 5
    seen: list[str] = []
    known: dict[object, str] = {}
    for image in watch.images:
        index = image / "i"
        if index.exists():
            files = tuple((path.name, path.stat().st_size) for path in sorted(index.rglob("*")))
            state = (files, (index / "manifest.json").read_bytes())
            if state not in known:  # most images hold the same old index
                check_index(index)
                known[state] = "".join(letters(index))
            seen.append(known[state])
        else:
            seen.append("-")
            with pytest.raises(IndexFolderError):
                open_searcher(image / "i")
            if overwrite:  # killed between the two renames: the old index stands aside, whole, and the refusal names it
                check_index(image / ".i.old")
        for leftover in image.glob(".i.*.partial"):
            if not (leftover / "manifest.json").is_file():
                with pytest.raises(IndexFolderError):
                    open_searcher(leftover)
    states = list(dict.fromkeys(seen))
    assert states in ([["o", "-", "n"], ["o", "n"]] if overwrite else [["-", "n"]]), "old, then none, then new"
    before_the_last = [image for image, state in zip(watch.images, seen) if state != "n"]
    for image in {before_the_last[len(before_the_last) // 2], before_the_last[-1]}:
        case.build(case.passages("n"), image / "i", overwrite=True)
        assert letters(image / "i") == {"n"}


def test_equal_builds_are_equal_whatever_the_order_of_the_corpus(case: Case, tmp_path: Path) -> None:
    passages = case.passages("x")
    one = case.build(passages, tmp_path / "one")
    two = case.build(passages[::-1], tmp_path / "two")
    assert one.index_id == two.index_id
    found = []
    for name in ("one", "two"):
        searcher = open_searcher(tmp_path / name)
        found.append(searcher.search([passages[3].text, "text1", "word2 text2"], 5))
        searcher.close()
    assert found[0] == found[1] and all(found[0])
    if case.equal_bytes:
        folders = [tmp_path / "one", tmp_path / "two"]
        files = [{str(p.relative_to(f)): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders]
        assert files[0] == files[1]


def test_of_two_builders_of_one_folder_one_wins_and_nothing_is_mixed(case: Case, tmp_path: Path) -> None:
    corpora = {letter: case.passages(letter) for letter in "xy"}
    failures: list[BerrypickError] = []

    def build(letter: str) -> None:
        try:
            case.build(corpora[letter], tmp_path / "i")
        except BerrypickError as error:
            failures.append(error)

    threads = [threading.Thread(target=build, args=(letter,)) for letter in corpora]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(failure) for failure in failures] == [IndexExistsError]
    check_index(tmp_path / "i")
    (winner,) = letters(tmp_path / "i")
    assert read_manifest(tmp_path / "i").corpus_sha256 == corpus_sha256(corpora[winner])
    assert [path.name for path in tmp_path.iterdir()] == ["i"]
