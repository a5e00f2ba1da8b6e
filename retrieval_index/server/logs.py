"""The log of the server: JSON lines of bounded length, and not more of them than anyone could read."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

__all__ = ["BoundedHandler", "structured_logs"]

_MOST_CHARS = {"message": 1_000, "exception": 4_000}  # of a line, as JSON; 500 for other texts
_BURST = 100
_LINES_PER_S = 2.0


def structured_logs(level: str) -> None:
    """Sends the log of server, uvicorn, asyncio and mcp to standard error."""
    handler = BoundedHandler(sys.stderr)
    for name in ("berrypick", "uvicorn", "asyncio", "mcp"):
        target = logging.getLogger(name)
        target.handlers, target.propagate = [handler], False
        target.setLevel(level.upper())


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes lines of a few kB, and of each logger and level a burst of lines and then some lines per second.

    The first line that is written again says how many were left out before it. So does a line at the end.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        burst: int = _BURST,
        lines_per_s: float = _LINES_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self.setFormatter(_JsonLines())
        self._burst, self._lines_per_s, self._clock = burst, lines_per_s, clock
        self._tokens: dict[tuple[str, int], tuple[float, float]] = {}  # logger, level -> tokens, time
        self._left_out: dict[tuple[str, int], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, or counts it."""
        key = record.name, record.levelno
        now = self._clock()
        tokens, since = self._tokens.get(key, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - since) * self._lines_per_s)
        allowed = tokens >= 1
        self._tokens[key] = tokens - allowed, now
        if not allowed:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        self._say_left_out(key)
        super().emit(record)

    def close(self) -> None:
        """Says what was left out since the last line."""
        for key in list(self._left_out):
            self._say_left_out(key)
        super().close()

    def _say_left_out(self, key: tuple[str, int]) -> None:
        number = self._left_out.pop(key, 0)
        if number:
            name, level = key
            record = logging.LogRecord(name, level, "", 0, "lines were left out", None, None)
            record.fields = {"left_out": number}
            super().emit(record)


class _JsonLines(logging.Formatter):
    """One JSON object per line: time (s since 1970), level, logger, message, and the fields of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """A line."""
        line: dict[str, Any] = {
            "time": round(time.time(), 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: _bounded(value, _MOST_CHARS.get(key, 500)) for key, value in line.items()})


def _bounded(value: Any, most: int) -> Any:
    """A value; of a long text its beginning and its end, so that it has at most `most` characters as JSON."""
    if not isinstance(value, str):
        return value
    kept = len(value)
    text = value
    while len(json.dumps(text)) > most:
        kept = min(kept * most // len(json.dumps(text)), kept - 8)
        half = max(0, kept - 3) // 2
        text = f"{value[:half]}...{value[len(value) - half :]}"
    return text
