"""The log of the server is bounded in length and number of its lines."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from berrypick.retrieval_index.server.logs import BoundedHandler
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def logged(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def record(message: str, level: int = logging.INFO, name: str = "berrypick.server", **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "", 0, message, None, None)
    made.fields = fields
    return made


def test_a_burst_is_written_then_some_lines_per_second_and_the_rest_is_counted() -> None:
    stream, clock = io.StringIO(), Clock()
    handler = BoundedHandler(stream, burst=3, lines_per_s=2, clock=clock)
    for number in range(1000):
        handler.handle(record(f"refused {number}"))
    assert [line["message"] for line in logged(stream)] == ["refused 0", "refused 1", "refused 2"]
    handler.handle(record("an error", logging.ERROR))  # floods of one kind hide no other
    handler.handle(record("another", name="uvicorn.error"))
    clock.now = 0.5
    handler.handle(record("later"))
    handler.handle(record("too early"))
    said = [(line["message"], line.get("left_out")) for line in logged(stream)[3:]]
    assert said == [("an error", None), ("another", None), ("lines were left out", 997), ("later", None)]
    handler.close()
    assert [line["left_out"] for line in logged(stream)[7:]] == [1]
    clock.now = 1000.0
    for _ in range(10):
        handler.handle(record("again"))
    assert sum(line["message"] == "again" for line in logged(stream)) == 3


@pytest.mark.parametrize(
    "text", ["x" * 10**6, "\u202e" * 10**5, "\U0001f353" * 10**5, "\x1b[31m\n" * 10**4, '"\\' * 9999]
)
def test_a_line_is_one_line_of_a_few_kilobytes(text: str) -> None:
    stream = io.StringIO()
    handler = BoundedHandler(stream)
    try:
        raise ValueError(text)
    except ValueError as error:
        made = record(text, path=text, reason=text, status=422)
        made.exc_info = (ValueError, error, error.__traceback__)
    handler.handle(made)
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().isascii() and len(stream.getvalue()) < 7000
    (line,) = logged(stream)
    assert line["status"] == 422 and line["message"].startswith(text[:30]) and line["message"].endswith(text[-30:])
    assert line["exception"].startswith("Traceback")


@given(st.text(max_size=3000))
def test_short_texts_are_written_as_they_are(text: str) -> None:
    stream = io.StringIO()
    BoundedHandler(stream).handle(record(text))
    (line,) = logged(stream)
    assert len(json.dumps(line["message"])) <= 1000
    if len(json.dumps(text)) <= 1000:
        assert line["message"] == text
