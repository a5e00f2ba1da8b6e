"""The digest of a row is of its content: other programs may write the row again, but no change goes unnoticed."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

import pytest
from berrypick.retrieval_index.sealed import sealed_row, unsealed_row
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.text(max_size=5).filter(lambda key: key != "sha256")
PARTS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e15, 1e15) | st.text(max_size=12)
VALUES = st.recursive(PARTS, lambda part: st.lists(part, max_size=4) | st.dictionaries(KEYS, part, max_size=4))
ROWS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=6)


def text_of(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def javascript_numbers(value: object) -> object:
    """JavaScript has one kind of number: it writes 1 for 1.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: javascript_numbers(part) for key, part in value.items()}
    return [javascript_numbers(part) for part in value] if isinstance(value, list) else value


def test_a_row_ends_with_the_digest_of_its_json() -> None:
    row = '{"a": 1, "b": ["é", 0.25]}'
    digest = hashlib.sha256(row.encode()).hexdigest()
    assert sealed_row(row) == f'{{"a": 1, "b": ["é", 0.25], "sha256": "{digest}"}}'
    assert unsealed_row(sealed_row(row).encode() + b"\n") == (row.encode(), True)


@given(ROWS)
def test_a_row_that_was_written_again_keeps_its_digest(value: dict[str, object]) -> None:
    line = sealed_row(text_of(value))
    read = json.loads(line)
    backwards = dict(reversed(read.items()))
    for again in (line, json.dumps(read), json.dumps(backwards, separators=(",", ":"), ensure_ascii=False)):
        plain, was_sealed = unsealed_row(again.encode())
        assert was_sealed and json.loads(plain) == value
    numbers = javascript_numbers({key: part for key, part in read.items() if "-0.0" not in repr(part)})
    if len(numbers) == len(read):  # type: ignore[arg-type]
        assert unsealed_row(json.dumps(numbers).encode())[1]


@given(ROWS, ROWS)
def test_another_content_has_another_digest(value: dict[str, object], other: dict[str, object]) -> None:
    digest = json.loads(sealed_row(text_of(value)))["sha256"]
    changed = json.dumps({**other, "sha256": digest}).encode()
    if javascript_numbers(value) == javascript_numbers(other):
        return
    with pytest.raises(ValueError, match="its checksum is wrong"):
        unsealed_row(changed)


def test_a_row_without_a_digest_and_a_line_that_is_no_row_come_back_as_they_are() -> None:
    for line in (b'{"a": 1}', b'{"a": {"sha256": "x"}}\n', b'{"a": "sha256"', b"[1]", b"\xff", b""):
        assert unsealed_row(line) == (line, False)


@pytest.mark.parametrize("depth", range(900, 1001, 5))
def test_a_deep_row_is_no_recursion_error(depth: int) -> None:
    line = b'{"sha256": "x", "a": ' + b"[" * depth + b"]" * depth + b"}"
    with suppress(ValueError):  # its checksum is wrong, where it is not too deep to be checked
        assert unsealed_row(line) == (line, False)


def test_no_flip_of_a_row_is_silent() -> None:
    value = {"a": [1, 2.0, 1e-300, "x, 0.0, y"], "metadata": {"sha256": "q"}, "text": 'tab\t "é" \u001b', "z": None}
    line = sealed_row(text_of(value)).encode()
    named = harmless = 0
    for at in range(len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[at] ^= 1 << bit
            try:
                plain, was_sealed = unsealed_row(bytes(damaged))
                read = json.loads(plain)
            except ValueError:
                named += 1
                continue
            # a flip in the name of the digest leaves a row without one, which readers count
            assert read == value if was_sealed else {key: read[key] for key in value} == value, (at, bit)
            harmless += 1
    assert named > 20 * harmless
