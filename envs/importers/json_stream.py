"""JSON values of a file one by one, without the whole file in memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

__all__ = ["JsonStream", "elements"]

_CHUNK = 1 << 16
_BLANK = " \t\r\n\ufeff"


class JsonStream:
    """Reads values from a stream; keeps only the value that is being read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._chunk, self._ended = "", 0, _CHUNK, False

    def _more(self) -> bool:
        """Reads on; the chunks grow with the value, so that a long one is not parsed again and again."""
        if self._ended:
            return False
        data = self._file.read(self._chunk)
        self._ended = not data
        self._text = self._text[self._at :] + self._decode(data, self._ended)
        self._at = 0
        self._chunk = max(_CHUNK, len(self._text))
        return bool(data)

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self, char: str) -> bool:
        """Steps over a character if it is the next one."""
        if self.peek() != char:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """The next value.

        Raises:
            ValueError: it is no JSON, or the file ends within it.
        """
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                inside = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - 16
                if inside and self._more():
                    continue
                raise
            if end == len(self._text) and self._more():  # a number may go on
                continue
            self._at = end
            self._chunk = _CHUNK
            return value


def elements(file: IO[bytes], inner: str) -> Iterator[Any]:
    """Yields the elements of a list, or the values of a file that holds several, one after the other.

    Args:
        file: starts with "[" or "{".
        inner: name of a field. Where an object has a list of this name, its elements are yielded one by one, each with
            the object's earlier fields under `"header"`; the object itself is then not yielded.

    Raises:
        ValueError: it is no JSON, or the file ends early; what was read before was yielded.
        RecursionError: it is nested too deeply.
    """
    stream = JsonStream(file)
    while (first := stream.peek()) != "":
        if first == "[":
            stream.skip("[")
            yield from _list(stream)
        elif first == "{":
            stream.skip("{")
            yield from _object(stream, inner)
        else:
            raise ValueError(f"neither a list nor an object: {stream.value()!r:.60}")


def _list(stream: JsonStream) -> Iterator[Any]:
    while not stream.skip("]"):
        yield stream.value()
        if not stream.skip(",") and stream.peek() != "]":
            raise ValueError("the list is cut off or damaged")


def _object(stream: JsonStream, inner: str) -> Iterator[Any]:
    fields: dict[str, Any] = {}
    streamed = False
    while not stream.skip("}"):
        name = stream.value()
        if not isinstance(name, str) or not stream.skip(":"):
            raise ValueError("the object is cut off or damaged")
        if name == inner and stream.peek() == "[" and not streamed:
            streamed = True
            stream.skip("[")
            for item in _list(stream):
                yield {**item, "header": fields} if isinstance(item, dict) else item
        else:
            fields[name] = stream.value()
        if not stream.skip(",") and stream.peek() != "}":
            raise ValueError("the object is cut off or damaged")
    if not streamed:
        yield fields
