"""Files from strangers with values of another shape: one line that names the file. Each case was a traceback once."""

from __future__ import annotations

import io
import json
import lzma
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berrypick.__main__ import main
from berrypick.envs.data.downloads import check_download
from berrypick.envs.data.upstream import read_dataset
from berrypick.experiments.grid.cell_store import read_cells
from berrypick.experiments.grid.experiment import Experiment
from berrypick.experiments.grid.result_check import check_measures
from berrypick.experiments.report.sweep_folder import sweep_folder
from berrypick.experiments.runs.run_log import read_rows
from berrypick.retrieval_index import data_files
from berrypick.retrieval_index.arrays import load_array
from berrypick.retrieval_index.corpus import Passage
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.manifest import read_manifest, verify_files
from berrypick.retrieval_index.remote import RemoteSearcher
from berrypick.retrieval_index.store import build_index


def npy(head: bytes) -> bytes:
    """A .npy file with any head."""
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


def saved(array: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        npy(b"{'descr': ("),  # numpy passes on the error of Python's tokenizer
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999,)}\n"),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n"),
        npy(b"[" * 5000),
        saved(np.array([{}], object), allow_pickle=True),
        saved(np.zeros((2, 2), np.float32)),
        saved(np.zeros(2, np.float64)),
        saved(np.zeros(2, np.float32))[:-1],
        b"",
        b"PK\x03\x04",
    ],
)
def test_arrays(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(body)
    with pytest.raises((ValueError, OSError)) as caught:
        load_array(tmp_path / "a.npy", np.float32)
    assert not isinstance(caught.value, tokenize.TokenError)
    (tmp_path / "b.npy").write_bytes(saved(np.arange(3, dtype=np.float32)))
    assert load_array(tmp_path / "b.npy", np.float32).tolist() == [0, 1, 2]


def test_rows_of_an_index_beyond_the_corpus_fill_no_memory(tmp_path: Path) -> None:
    from berrypick.retrieval_index.bm25s_index import Bm25sSearcher

    searcher = Bm25sSearcher.from_passages([Passage("a", "", "berries"), Passage("b", "", "berries")])
    searcher._rows = np.array([0, 2**31 - 1], np.int32)  # as a hostile rows.npy has it
    with pytest.raises(BerrypickError, match="a row beyond the corpus"):
        searcher.search(["berries"], 2)


def test_a_name_that_is_too_long_for_a_file(tmp_path: Path) -> None:
    build_index([Passage("a", "", "berries")], "bm25s", tmp_path / "index")
    manifest = read_manifest(tmp_path / "index")
    manifest = type(manifest)(**{name: getattr(manifest, name) for name in manifest.__slots__} | {
        "files": {"x" * 5000: (1, "x")}})  # fmt: skip
    with pytest.raises(BerrypickError, match="cannot be read") as caught:
        verify_files(tmp_path / "index", manifest, full=False)
    assert len(str(caught.value)) < 2100


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"checkpoints": {}},
        {"checkpoints": [1]},
        {"checkpoints": {"x": {}}},
        {"checkpoints": {"-1": {}}},
        {"checkpoints": {"0": {"pass@1": "x"}}},
        {"checkpoints": {"0": {"pass@1": True}}},
        {"checkpoints": {"0": {"pass@1": 10**400}}},
        {"checkpoints": {"0": {}}, "mixes": {"a": {}}},
        {"checkpoints": {"0": {}}, "temperatures": 3},
    ],
)
def test_measures_of_cells(result: dict[str, Any]) -> None:
    with pytest.raises(BerrypickError, match="the cell a/b has no measures"):
        check_measures("a/b", result)
    check_measures("a/b", {"checkpoints": {"0": {"pass@1": float("nan")}, "10": {}}, "mixes": {"0.5": {"pass@1": 1}}})


def test_cells_that_unpack_to_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "LONGEST_LINE", 1 << 20)
    (tmp_path / "a_cells.jsonl.xz").write_bytes(lzma.compress(b"a" * (30 << 20)))
    with pytest.raises(BerrypickError, match="line 1 has more than 1 MiB"):
        read_cells(None, [], tmp_path / "a_cells.jsonl.xz")  # type: ignore[arg-type]
    (tmp_path / "a_cells.jsonl.xz").write_bytes(lzma.compress(b'{"key": ["a"]}\n'))
    with pytest.raises(BerrypickError, match=":1 is no cell of an experiment"):
        read_cells(Experiment, [], tmp_path / "a_cells.jsonl.xz")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cells",
    [
        {"grpo/seed0": 3},
        {"grpo/seed0": {"objective": "grpo"}},
        {"grpo/seed0": {"objective": ["grpo"], "seed": 0}},
        {"grpo/seed0": {"objective": "grpo", "seed": "0"}},
        {"../elsewhere": {"objective": "grpo", "seed": 0}},
        {"/elsewhere": {"objective": "grpo", "seed": 0}},
    ],
)
def test_sweeps(tmp_path: Path, cells: object, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"cells": cells}))
    with pytest.raises(BerrypickError, match=r"sweep.json is wrong at cells"):
        sweep_folder(tmp_path)
    assert main(["report", str(tmp_path)]) == 2 and capsys.readouterr().err.count("\n") == 1


def test_training_logs(tmp_path: Path) -> None:
    row = '{"phase": "rl", "step": 1, "reward": NaN}\n'
    for bad in (
        "[1]",
        '{"phase": 3}',
        '{"phase": "rl"}',
        '{"reward": "x"}',
        '{"reward": true}',
        '{"reward": ' + "9" * 400 + "}",
        "{",
    ):
        (tmp_path / "metrics.jsonl").write_text(f"{row}{bad}\n")
        with pytest.raises(BerrypickError, match=r"metrics.jsonl:2 is damaged"):
            read_rows(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").write_text(f'{row}{{"phase": "r')  # a kill has cut it off
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 1
    assert read_rows(tmp_path / "none.jsonl") == []


def test_downloads_and_questions(tmp_path: Path) -> None:
    for manifest in ([], {"sha256": []}, {"sha256": {"a": 1}}, {"sha256": {"../" * 9 + "etc/passwd": "x"}}):
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(BerrypickError, match="not a complete download"):
            check_download(tmp_path)
    (tmp_path / "corpus").write_text('{"id": "a", "text": "b"}\n')
    context = {"context": {"title": ["A"], "content": [["b"]]}}
    records = [{"id": "q", "question": "q", "golden_answers": ["a"], "metadata": m} for m in (context, "x")]
    (tmp_path / "questions").write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(BerrypickError, match="questions:2: metadata must be an object"):
        read_dataset(tmp_path / "questions", tmp_path / "corpus")


@pytest.mark.parametrize("limits", [[], "x", {"max_queries": []}, {"max_queries": 0}, {"max_query_chars": "9"}])
def test_limits_of_a_retrieval_server(monkeypatch: pytest.MonkeyPatch, limits: object) -> None:
    class Reply:
        status, data, headers = 200, json.dumps({"index_id": "i", "limits": limits}).encode(), {}

    monkeypatch.setattr(RemoteSearcher, "_send", lambda *_: Reply())
    if limits == []:
        assert RemoteSearcher("http://127.0.0.1:1").index_id == "i"
        return
    with pytest.raises(BerrypickError, match="does not answer like a retrieval server"):
        RemoteSearcher("http://127.0.0.1:1")


def test_a_path_that_no_file_can_have_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "x" * 5000]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "File name too long; check that path" in err and len(err) < 2300


def test_a_set_of_lists_in_the_place_of_json() -> None:
    from berrypick.envs.importers.fields import parsed

    assert parsed("{[1]}") == "{[1]}" and parsed("{[1]: 2}") == "{[1]: 2}" and parsed("[1, (2,)]") == [1, (2,)]


def test_a_lone_surrogate_in_a_name_and_a_title_that_is_a_number(tmp_path: Path) -> None:
    from berrypick.envs.importers import atif_of
    from berrypick.envs.record import EpisodeRecord, QuestionRecord

    question = QuestionRecord(id="q", text="t", answers=["a"], metadata={"\ud800": 1})
    record = EpisodeRecord(question=question, group_id="g", sample_index=0, turns=[])
    assert atif_of(record)["extra"]["berrypick"]["question"]["metadata"] == {"\ud800": 1}
    fact = {"title": [1e9], "sent_id": [0]}
    line = {"id": "h", "question": "q", "answer": "a", "supporting_facts": fact, "context": {
        "title": ["A"], "sentences": [["One."]]}}  # fmt: skip
    (tmp_path / "questions").write_text(json.dumps(line) + "\n")
    assert read_dataset(tmp_path / "questions").partial  # its evidence is unknown
