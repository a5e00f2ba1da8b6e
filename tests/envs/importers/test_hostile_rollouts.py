"""Whatever a file holds: records, reasons why lines were left out, or one line of an error; never a traceback."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from berrypick.envs.importers import IMPORTERS, open_rollouts
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.foreign_rollouts import ROWS, TEXTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(
        ["<search>q</search>", "<information>", "Doc 1(Title: ", "[1] x", '{"query": 1}', "[[", "attachment://", "user"]
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["role", "content", "id", "steps", "text", "query", "name"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def opens(path: Path) -> int:
    """Number of records and of reasons; one-line errors of ours count as one."""
    refused: list[str] = []
    try:
        source = open_rollouts(path)
        found = sum(1 for _ in source.records())
    except BerrypickError as error:
        refused.append(str(error))
    if refused:
        assert "\n" not in refused[0]
        return 1
    assert all("\n" not in reason and reason.startswith(str(path)) for reason in source.skipped)
    return found + source.num_skipped


@FILES
@given(st.lists(st.binary(max_size=60) | st.builds(lambda v: json.dumps(v).encode(), VALUES), max_size=6))
def test_random_lines(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"\n".join(lines))
    assert opens(path) > 0


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values inside a row."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return (
        [path, *(found for key, item in inner for found in places(item, (*path, key)))]
        if path
        else [found for key, item in inner for found in places(item, (key,))]
    )


@pytest.mark.parametrize("name", ROWS)
@FILES
@given(data=st.data())
def test_a_row_with_anything_in_one_place(tmp_path: Path, name: str, data: st.DataObject) -> None:
    row = copy.deepcopy(ROWS[name])
    *way, last = data.draw(st.sampled_from(places(row)))
    target: Any = row
    for key in way:
        target = target[key]
    if data.draw(st.booleans()):
        target[last] = data.draw(VALUES)
    else:
        del target[last]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([json.dumps(ROWS[name]), json.dumps(row), json.dumps(ROWS[name])]))
    source = open_rollouts(path, format=name)
    found = sum(1 for _ in source.records())
    assert source.num_skipped <= 1 and found + source.num_skipped >= 3


@pytest.mark.parametrize("name", TEXTS)
@FILES
@given(data=st.data())
def test_a_text_cut_or_broken_anywhere(tmp_path: Path, name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    path = tmp_path / "log.txt"
    path.write_text(text[:start] + data.draw(st.text(max_size=9)) + text[end:], encoding="utf-8", errors="replace")
    opens(path)


@FILES
@given(at=st.integers(0, 400), bits=st.integers(1, 255), zipped=st.booleans())
def test_a_flipped_byte_or_an_early_end(tmp_path: Path, at: int, bits: int, zipped: bool) -> None:
    body = bytearray("\n".join(json.dumps(ROWS["verl"]) for _ in range(3)).encode())
    body = bytearray(gzip.compress(bytes(body))) if zipped else body
    body[at % len(body)] ^= bits
    path = tmp_path / "dump"
    path.write_bytes(body)
    opens(path)
    path.write_bytes(body[: at % len(body)])
    opens(path)


HOSTILE = "\x1b[31m<script>alert(1)</script>\u202e \ud800 {{x}} %s \x00"


@pytest.mark.parametrize("name", ["openai-chat", "nemo-gym", "inspect", "verl"])
def test_hostile_text_stays_as_it_is(tmp_path: Path, name: str) -> None:
    text = json.dumps(ROWS[name]).replace("Babbage born", json.dumps(HOSTILE)[1:-1].replace("\\", "\\\\"))
    if name in ("inspect", "verl"):  # here the query is not JSON within JSON
        text = json.dumps(ROWS[name]).replace("Babbage born", json.dumps(HOSTILE)[1:-1])
    (tmp_path / "rows.jsonl").write_text(text)
    (record,) = open_rollouts(tmp_path / "rows.jsonl").records()
    assert record.queries == [HOSTILE.strip()]


def test_a_name_of_a_field_in_a_message_is_safe(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"\x1b[31m\nx": 1}))
    with pytest.raises(BerrypickError, match="unknown format") as caught:
        open_rollouts(tmp_path / "rows.jsonl")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_every_format_has_a_hand_made_sample() -> None:
    assert set(IMPORTERS) == {*ROWS, *TEXTS}
