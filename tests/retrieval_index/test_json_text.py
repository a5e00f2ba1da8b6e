"""JSON of strangers: bounded in depth and size, read piece by piece, and every fault is an ordinary error."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from berrypick.retrieval_index import data_files, json_text
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.json_stream import elements, list_elements, pairs
from berrypick.retrieval_index.json_text import MOST_DEPTH, parse_json, read_json, small_file
from berrypick.retrieval_index.plain_text import one_line
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=30,
)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(VALUES)
def test_a_value_is_what_the_standard_library_reads(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert parse_json(text) == parse_json(text.encode()) == value


def test_the_depth_is_limited_whatever_the_text_is() -> None:
    assert parse_json(nested(MOST_DEPTH)) is not None
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(nested(MOST_DEPTH + 1))
    for text in (nested(MOST_DEPTH + 2), nested(900), nested(100_000), '{"a":' * 102 + "1" + "}" * 102, "[" * 10**6):
        with pytest.raises(ValueError, match=r"nested too deeply|Expecting value"):
            parse_json(text)
        with pytest.raises(ValueError):
            list(elements(io.BytesIO(text.encode()), "samples"))
    wide = "[" + ",".join(["[[1]]"] * 1000) + "]"
    assert len(parse_json(wide)) == 1000


def test_a_file_that_is_small_by_nature_is_no_pipe_and_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError, match="it is no file"):
            small_file(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        small_file(tmp_path / "none")
    monkeypatch.setattr(json_text, "MOST_BYTES", 7)
    with pytest.raises(OSError, match="more than 0 MiB"):
        small_file(tmp_path / "a.json")


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]))
def test_lists_and_objects_come_piece_by_piece(items: list[object], indent: int | None) -> None:
    assert list(list_elements(io.BytesIO(json.dumps(items, indent=indent).encode()))) == items
    named = {str(number): item for number, item in enumerate(items)}
    assert dict(pairs(io.BytesIO(json.dumps(named, indent=indent).encode()))) == named


@pytest.mark.parametrize("body", [b"[1, 2", b"[1 2]", b"[1] 2", b"[1, \xff]", b'["\xff"]', b"[1,", b"[", b"[01]"])
def test_a_list_that_is_cut_or_damaged_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        list(list_elements(io.BytesIO(body)))


def test_a_value_that_never_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"a" * size

    class Starts(Endless):
        begun = False

        def read(self, size: int = -1) -> bytes:
            first, self.begun = not self.begun, True
            return b'[{"a": "' if first else super().read(size)

    monkeypatch.setattr(json_text, "MOST_BYTES", 1 << 20)
    tracemalloc.start()
    for inner in ("samples", "a"):
        with pytest.raises(ValueError, match="a value has more than 1 MiB"):
            list(elements(Starts(), inner))  # type: ignore[arg-type]
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()
    many = ("{" + ",".join(f'"{at}": "{"x" * 1000}"' for at in range(1200)) + "}").encode()
    with pytest.raises(ValueError, match="an object has more than 1 MiB"):
        list(elements(io.BytesIO(many), "samples"))
    assert len(list(pairs(io.BytesIO(many)))) == 1200  # the caller keeps what it needs


def test_a_line_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "LONGEST_LINE", 100)
    (tmp_path / "a").write_text("x" * 99 + "\n" + "y" * 100 + "\n")
    with pytest.raises(OSError, match="line 2 has more than"):
        list(data_files.numbered_lines(tmp_path / "a"))


@given(st.text(max_size=300) | st.text(alphabet="a\x1b\n\u202e\ud800", max_size=9000))
def test_an_error_of_ours_is_one_harmless_line(text: str) -> None:
    said = str(BerrypickError(text))
    assert said == one_line(text) == one_line(said) or len(text) > 2000
    assert said.isprintable() and len(said) < 13_000 and "\n" not in said
    if text.isprintable() and len(text) <= 2000:
        assert said == text
