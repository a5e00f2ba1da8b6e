"""Corpus files: what a line may be, and that every bad one is named by file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from berrypick.envs.data.upstream import read_any_corpus
from berrypick.retrieval_index.corpus import (
    CorpusError,
    Passage,
    corpus_sha256,
    read_corpus,
    read_jsonl,
    write_corpus,
)
from berrypick.retrieval_index.passages import PassageTable, line_offsets, write_passages
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = b'{"id": "1", "title": "T", "text": "x"}'
BAD = {
    "no JSON": b'{"id": "2", ',
    "no object": b'["2", "t", "x"]',
    "a number": b"17",
    "not UTF-8": b'{"id": "2", "title": "\xff", "text": "x"}',
    "no id": b'{"title": "T", "text": "x"}',
    "empty id": b'{"id": " ", "text": "x"}',
    "list as id": b'{"id": [2], "text": "x"}',
    "fraction as id": b'{"id": 2.5, "text": "x"}',
    "truth as id": b'{"id": true, "text": "x"}',
    "no text": b'{"id": "2", "title": "T"}',
    "empty text": b'{"id": "2", "text": "  "}',
    "empty contents": b'{"id": "2", "contents": ""}',
    "list as text": b'{"id": "2", "text": ["x"]}',
    "number as title": b'{"id": "2", "title": 3, "text": "x"}',
    "number as contents": b'{"id": "2", "contents": 3}',
    "duplicate id": GOOD,
    "lone surrogate in text": b'{"id": "2", "text": "a \\ud800 b"}',
    "lone surrogate in title": b'{"id": "2", "title": "\\udfff", "text": "x"}',
    "lone surrogate in id": b'{"id": "\\ud800", "text": "x"}',
    "huge integer": b'{"id": "2", "text": "x", "n": ' + b"9" * 5000 + b"}",
    "nested too deep": b"[" * 100_000,
}


def write(path: Path, *lines: bytes) -> Path:
    body = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_bad_line_is_named_by_file_and_line(kind: str, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, GOOD, b"", BAD[kind])
    with pytest.raises(CorpusError) as caught:
        read_corpus(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: "), message
    assert "\n" not in message and "; " in message


@pytest.mark.parametrize("kind", BAD)
def test_skip_bad_leaves_out_exactly_the_bad_line_and_lists_it(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "corpus.jsonl", GOOD, BAD[kind], b'{"id": "3", "text": "y"}')
    corpus = read_corpus(path, skip_bad=True)
    assert [passage.id for passage in corpus.passages] == ["1", "3"]
    assert len(corpus.skipped) == 1 and f"{path}:2: " in corpus.skipped[0]


def test_title_and_text_win_over_contents_and_quotes_come_off() -> None:
    lines = [
        ({"id": "a", "contents": '"Big \\"Apple\\""\nline one\nline two'}, ('Big \\"Apple\\"', "line one\nline two")),
        ({"id": "b", "contents": "no title here"}, ("", "no title here")),
        ({"id": "c", "title": "T", "text": "x", "contents": '"other"\ny'}, ("T", "x")),
        ({"id": "d", "title": None, "text": "x"}, ("", "x")),
        ({"id": "e", "text": "x", "more": [1]}, ("", "x")),
    ]
    for line, expected in lines:
        path = Path("/dev/null")
        from berrypick.retrieval_index.corpus import parse_passage

        passage = parse_passage(path, 1, line)
        assert (passage.title, passage.text) == expected


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n\r\n" + b'{"id": "2", "text": "y"}')
    assert [passage.id for passage in read_corpus(tmp_path / "c.jsonl").passages] == ["1", "2"]


@pytest.mark.parametrize("cut", [10, -9])
def test_a_cut_or_damaged_gz_is_refused_by_name(cut: int, tmp_path: Path) -> None:
    body = gzip.compress(b"\n".join(b'{"id": "%d", "text": "some words"}' % i for i in range(500)), mtime=0)
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(body[:cut])
    with pytest.raises(CorpusError, match=r"c\.jsonl\.gz"):
        read_corpus(path)
    damaged = bytearray(body)
    damaged[len(body) // 2] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(CorpusError, match=r"c\.jsonl\.gz"):
        read_corpus(path)


@pytest.mark.parametrize(
    ("name", "zipped"),
    [("c.jsonl", True), ("c.jsonl.gz", False), ("C.JSONL.GZ", True), ("c.gz", True), ("c", True)],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_gzip_is_told_by_content_and_a_byte_order_mark_carries_nothing(
    tmp_path: Path, name: str, zipped: bool, mark: bytes
) -> None:
    body = mark + GOOD + b'\n{"id": "2", "text": "y"}\n'
    (tmp_path / name).write_bytes(gzip.compress(body) if zipped else body)
    assert [passage.id for passage in read_corpus(tmp_path / name).passages] == ["1", "2"]
    assert [number for number, _ in read_jsonl(tmp_path / name)] == [1, 2]


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_named(tmp_path: Path, coding: str) -> None:
    (tmp_path / "c.jsonl").write_bytes(("\ufeff" + GOOD.decode()).encode(coding))
    with pytest.raises(CorpusError, match=r"its text is UTF-16; save it as UTF-8"):
        read_corpus(tmp_path / "c.jsonl")


@pytest.mark.parametrize(
    ("lines", "ids"),
    [
        (['{"id": 0, "contents": "a"}', '{"id": 1, "contents": "b"}'], ["0", "1"]),
        (['{"_id": "d1", "title": "", "text": "a", "metadata": {}}', '{"_id": 3, "text": "b"}'], ["d1", "3"]),
        (['{"doc_id": "doc-001", "text": "a"}', '{"docid": "7", "text": "b"}'], ["doc-001", "7"]),
        (['{"id": "x", "_id": "y", "text": "a"}', '{"id": null, "_id": "z", "text": "b"}'], ["x", "z"]),
    ],
)
def test_ids_in_the_wild(tmp_path: Path, lines: list[str], ids: list[str]) -> None:
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    assert [passage.id for passage in read_corpus(tmp_path / "c.jsonl").passages] == ids
    (tmp_path / "list.json").write_text(f"[{', '.join(line.replace('contents', 'text') for line in lines)}]")
    assert [passage.id for passage in read_any_corpus(tmp_path / "list.json")] == ids


def test_a_number_and_its_text_are_one_id(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"id": 1, "text": "a"}\n{"id": "1", "text": "b"}')
    with pytest.raises(CorpusError, match="duplicate id '1'"):
        read_corpus(tmp_path / "c.jsonl")
    (tmp_path / "c.json").write_text('[{"id": 1, "text": "a"}, {"id": "1", "text": "b"}]')
    with pytest.raises(CorpusError, match="duplicate id '1'"):
        read_any_corpus(tmp_path / "c.json")


def test_missing_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    for path in (tmp_path / "none.jsonl", tmp_path / "empty.jsonl", tmp_path):
        with pytest.raises(CorpusError, match="give a JSONL file"):
            read_corpus(path)


def test_read_jsonl_numbers_lines_of_the_file_not_of_its_objects(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", b"", b'{"a": 1}', b"  ", b'{"a": 2}')
    assert list(read_jsonl(path)) == [(2, {"a": 1}), (4, {"a": 2})]


text = st.text(st.characters(codec="utf-8"), max_size=20)
passages = st.lists(
    st.builds(Passage, text.filter(str.strip), text, text.filter(str.strip)), min_size=1, unique_by=lambda p: p.id
)


@settings(max_examples=40, deadline=None)
@given(passages)
def test_writing_and_reading_give_the_same_passages_and_digest(
    tmp_path_factory: pytest.TempPathFactory, given_
) -> None:
    folder = tmp_path_factory.mktemp("c")
    for name in ("c.jsonl", "c.jsonl.gz"):
        write_corpus(folder / name, given_)
        assert read_corpus(folder / name).passages == tuple(given_)
        first = (folder / name).read_bytes()
        write_corpus(folder / name, given_)
        assert (folder / name).read_bytes() == first
    assert corpus_sha256(given_) == corpus_sha256(given_[::-1])
    write_passages(folder, given_)
    assert list(PassageTable.open(folder)) == given_


def test_the_digest_sees_every_field() -> None:
    one = Passage("1", "T", "x")
    others = [Passage("2", "T", "x"), Passage("1", "U", "x"), Passage("1", "T", "y"), Passage("1", "", "T\nx")]
    assert len({corpus_sha256([passage]) for passage in [one, *others]}) == 5


def test_a_table_reads_rows_slices_and_lines_of_any_corpus_file(tmp_path: Path) -> None:
    path = tmp_path / "wiki.jsonl"
    rows = [{"id": str(i), "contents": f'"T{i}"\ntext {i}'} for i in range(5)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    table = PassageTable(path, line_offsets(path))
    assert table[3] == table[-2] == Passage("3", "T3", "text 3")
    assert [passage.id for passage in table[1:4]] == ["1", "2", "3"]
    with pytest.raises(IndexError):
        table[5]
    table.close()
