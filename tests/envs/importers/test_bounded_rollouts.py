"""Rollouts of any size are read; a line, a value or a transcript that would fill the memory is refused."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from berrypick.envs.data.json_files import read_records_of
from berrypick.envs.data.questions_file import QuestionError
from berrypick.envs.data.upstream import read_any_corpus, read_dataset
from berrypick.envs.importers import open_rollouts
from berrypick.envs.importers import rows as rows_module
from berrypick.envs.record import RecordError
from berrypick.retrieval_index import data_files, json_text
from fixtures.foreign_rollouts import ROWS, TEXTS

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _one_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is lowered to a megabyte, so that the tests are quick."""
    monkeypatch.setattr(data_files, "LONGEST_LINE", MIB)
    monkeypatch.setattr(json_text, "MOST_BYTES", MIB)
    monkeypatch.setattr(rows_module, "LONGEST_LINE", MIB)


def packed(path: Path, *parts: bytes) -> Path:
    """A gzipped file: a bomb is small."""
    with gzip.open(path, "wb", 1) as file:
        for part in parts:
            file.write(part)
    return path


def test_a_text_log_without_a_line_break(tmp_path: Path) -> None:
    bomb = packed(tmp_path / "log", TEXTS["search-r1-log"].encode(), *[b"a" * MIB] * 40)
    tracemalloc.start()
    with pytest.raises(RecordError, match=r"line \d+ has more than 1 MiB"):
        list(open_rollouts(bomb).records())
    assert tracemalloc.get_traced_memory()[1] < 30 * MIB
    tracemalloc.stop()


def test_a_transcript_that_never_ends(tmp_path: Path) -> None:
    body = TEXTS["search-r1-log"].encode()
    bomb = packed(tmp_path / "log", body, *[b"a line of berries\n" * 60_000] * 10)
    with pytest.raises(RecordError, match=r"no transcript ends within 1 MiB; give a log of shorter ones"):
        list(open_rollouts(bomb).records())
    many = packed(tmp_path / "many", body * (3 * MIB // len(body)))  # longer than the limit, transcript by transcript
    assert sum(1 for _ in open_rollouts(many).records()) == 3 * MIB // len(body)


@pytest.mark.parametrize("start", [b'[{"input": "', b'{"eval": {}, "samples": [{"input": "', b'{\n"eval": {"a": "'])
def test_a_json_value_that_never_ends(tmp_path: Path, start: bytes) -> None:
    bomb = packed(tmp_path / "log.json", start, *[b"a" * MIB] * 40)
    tracemalloc.start()
    with pytest.raises(RecordError, match="a value has more than 1 MiB"):
        list(open_rollouts(bomb, format="inspect").records())
    assert tracemalloc.get_traced_memory()[1] < 30 * MIB
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["header.json", "samples/q.json"])
def test_a_file_of_an_archive(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b'"' + b"a" * 30 * MIB + b'"')
        archive.writestr("samples/good.json", json.dumps(ROWS["inspect"]))
    source = open_rollouts(tmp_path / "log.eval", format="inspect")
    if name == "header.json":
        with pytest.raises(RecordError, match="a file of the archive has more than 1 MiB"):
            list(source.records())
    else:
        assert len(list(source.records())) == 1 and "more than 1 MiB" in source.skipped[0]


def question(number: int) -> dict[str, object]:
    return {"id": f"q{number}", "question": f"Who is number {number}? {'x' * 900}", "golden_answers": ["a"]}


def test_questions_in_a_json_list_of_any_length(tmp_path: Path) -> None:
    asked = [question(number) for number in range(4000)]
    path = packed(tmp_path / "questions.json", json.dumps(asked).encode())  # on one line, of more than three megabytes
    assert [record for _, record in read_records_of(path)] == asked
    skipped: list[str] = []
    bomb = packed(tmp_path / "bomb", b"[" + json.dumps(asked[0]).encode() + b', {"id": "', *[b"a" * MIB] * 20)
    assert [record for _, record in read_records_of(bomb, skipped)] == asked[:1]
    assert "[1]: no valid JSON (a value has more than 1 MiB)" in skipped[0]
    with pytest.raises(QuestionError, match="a value has more than 1 MiB"):
        read_dataset(bomb, passages_elsewhere=True)
    with pytest.raises(QuestionError, match="line 1 has more than 1 MiB"):
        list(read_records_of(packed(tmp_path / "line", *[b"a" * MIB] * 20)))


def test_a_corpus_that_is_one_object_of_any_length(tmp_path: Path) -> None:
    titles = {f"Title {number}": [f"Sentence {number}.", " " + "y" * 900] for number in range(3000)}
    for name, body in (("line", json.dumps(titles)), ("lines", json.dumps(titles, indent=1))):
        found = read_any_corpus(packed(tmp_path / name, body.encode()))
        assert [passage.title for passage in found] == list(titles)
    listed = [{"title": title, "text": "".join(parts)} for title, parts in titles.items()]
    assert read_any_corpus(packed(tmp_path / "list", json.dumps(listed).encode())) == found


@pytest.mark.parametrize(
    ("body", "records", "bad"),
    [
        (b'{"a": 1}\n{"b": [2]}\n', [{"a": 1}, {"b": [2]}], 0),
        (b'{"a": [1]}\n{"b": [2]}\n', [{"a": [1]}, {"b": [2]}], 0),
        (b'\n\n [{"a": 1},\n {"b": 2}]\n', [{"a": 1}, {"b": 2}], 0),
        (b'{"a": \n{"b": 2}\n', [{"b": 2}], 1),
        (b'[{"a": 1}] {"b": 2}', [{"a": 1}], 1),
        (b'[{"a": 1}, 3, {"b": 2}]', [{"a": 1}, {"b": 2}], 1),
        (b'{"a": 1}\nnull\n', [{"a": 1}], 1),
    ],
)
def test_forms_of_records(tmp_path: Path, body: bytes, records: list[object], bad: int) -> None:
    (tmp_path / "file").write_bytes(body)
    skipped: list[str] = []
    assert [record for _, record in read_records_of(tmp_path / "file", skipped)] == records
    assert len(skipped) == bad
