"""Index folders: whole or not at all, and refused when they are not what they say."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from berrypick.retrieval_index.corpus import Corpus, Passage, corpus_sha256
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from berrypick.retrieval_index.manifest import FORMAT
from berrypick.retrieval_index.store import (
    BuildSettings,
    IndexExistsError,
    IndexFolderError,
    build_index,
    check_index,
    ensure_index,
    open_searcher,
    read_manifest,
)

REBUILD = r"berrypick index build --corpus FILE --backend bm25s --out \S+ --overwrite"


@pytest.fixture
def index(corpus: list[Passage], tmp_path: Path) -> Path:
    build_index(corpus, "bm25s", tmp_path / "index")
    return tmp_path / "index"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_says_what_was_built(corpus: list[Passage], tmp_path: Path) -> None:
    made = build_index(Corpus(tuple(corpus)), "bm25s", tmp_path / "i", settings=BuildSettings(k1=1.2, b=0.75))
    read = read_manifest(tmp_path / "i")
    assert read == made
    assert (read.format, read.backend, read.num_passages) == (FORMAT, "bm25s", len(corpus))
    assert read.corpus_sha256 == corpus_sha256(corpus)
    assert read.parameters == {"k1": 1.2, "b": 0.75}
    assert read.libraries["bm25s"]
    assert set(read.files) == set(tree(tmp_path / "i")) - {"manifest.json"}
    assert len(read.index_id) == 64 and open_searcher(tmp_path / "i").index_id == read.index_id
    assert len(check_index(tmp_path / "i")) == len(read.files) + 1


def test_parameters_and_corpus_decide_the_index_id(corpus: list[Passage], tmp_path: Path) -> None:
    ids = {
        build_index(corpus, "bm25s", tmp_path / "a").index_id,
        build_index(corpus, "bm25s", tmp_path / "b", settings=BuildSettings(k1=1.0)).index_id,
        build_index(corpus[1:], "bm25s", tmp_path / "c").index_id,
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    "name", ["data.npy", "rows.npy", "starts.npy", "vocabulary.json", "passages.jsonl", "offsets.npy"]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_a_damaged_file_is_refused_with_its_name_and_the_rebuild_command(index: Path, name: str, damage: str) -> None:
    path = index / name
    body = bytearray(path.read_bytes())
    if damage == "flip":
        body[len(body) // 2] ^= 1
        path.write_bytes(bytes(body))
    elif damage == "cut":
        path.write_bytes(bytes(body[:-1]))
    else:
        path.unlink()
    for use in (open_searcher, check_index):
        with pytest.raises(IndexFolderError, match=f"{name} .*{REBUILD}"):
            use(index)


def test_every_bit_of_the_manifest_is_watched(index: Path) -> None:
    path = index / "manifest.json"
    value = json.loads(path.read_text())
    value["parameters"]["k1"] = 2.0
    path.write_text(json.dumps(value))
    with pytest.raises(IndexFolderError, match=f"changed or damaged.*{REBUILD}"):
        open_searcher(index)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', "\udcff", '{"format": 2}', '{"format": 2, "files": [1]}', '{"files": {}}']
)
def test_a_manifest_that_is_none_is_refused(index: Path, text: str) -> None:
    (index / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(IndexFolderError, match=REBUILD):
        read_manifest(index)


@pytest.mark.parametrize(("number", "cure"), [(1, r"older .*corpus\.jsonl\.gz"), (FORMAT + 1, "upgrade berrypick")])
def test_another_format_says_how_to_go_on(index: Path, number: int, cure: str) -> None:
    (index / "manifest.json").write_text(json.dumps({"format": number, "backend": "bm25s", "new field": 1}))
    with pytest.raises(IndexFolderError, match=f"{cure}.*{REBUILD}"):
        open_searcher(index)


def test_an_index_of_another_corpus_is_refused(index: Path, corpus: list[Passage]) -> None:
    open_searcher(index, expected_corpus_sha256=corpus_sha256(corpus)).close()
    with pytest.raises(IndexFolderError, match=f"another corpus.*{REBUILD}"):
        open_searcher(index, expected_corpus_sha256=corpus_sha256(corpus[1:]))


def test_a_folder_that_is_no_index_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(IndexFolderError, match=f"not a berrypick index.*{REBUILD.removesuffix(' --overwrite')}"):
            open_searcher(folder)


def test_an_unknown_back_end_names_the_nearest(corpus: list[Passage], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean lucene"):
        build_index(corpus, "lucen", tmp_path / "i")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_corpus_and_a_folder_in_the_way_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BerrypickError, match="empty"):
        build_index([], "bm25s", tmp_path / "i")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(IndexExistsError, match=r"not overwritten; choose another --out$"):
        build_index([Passage("1", "", "x")], "bm25s", tmp_path / "mine")
    with pytest.raises(IndexExistsError, match="not overwritten"):
        build_index([Passage("1", "", "x")], "bm25s", tmp_path / "mine", overwrite=True)
    assert tree(tmp_path) == {"mine/thesis.tex": b"years of work"}


def test_overwrite_replaces_an_index_whole(index: Path, corpus: list[Passage]) -> None:
    build_index(corpus[:5], "bm25s", index, overwrite=True)
    assert read_manifest(index).num_passages == 5
    check_index(index)
    assert [path.name for path in index.parent.iterdir()] == ["index"]


def test_an_unwritable_place_is_one_clear_line(corpus: list[Passage], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BerrypickError, match="choose another --out"):
        build_index(corpus, "bm25s", tmp_path / "file" / "index")


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(
    corpus: list[Passage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BerrypickError, match=r"No space left on device; free some space"):
        build_index(corpus, "bm25s", tmp_path / "i")
    assert list(tmp_path.iterdir()) == []


def test_ensure_index_goes_on_with_the_winner_of_a_race(corpus: list[Passage], tmp_path: Path) -> None:
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda: results.append(ensure_index(corpus, "bm25s", tmp_path / "i").index_id))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and len(set(results)) == 1


def test_a_corpus_without_one_term_builds_and_finds_nothing(tmp_path: Path) -> None:
    build_index([Passage("1", "", "the of"), Passage("2", "", "!!!")], "bm25s", tmp_path / "i")
    assert open_searcher(tmp_path / "i").search(["the of", "word"], 3) == [[], []]
