"""JSON values of a file one by one, without the whole file in memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

from . import json_text

__all__ = ["JsonStream", "elements", "list_elements", "pairs"]

_CHUNK = 1 << 16
_BLANK = " \t\r\n\ufeff"


class JsonStream:
    """Reads values from a stream; keeps only the value that is being read.

    Attributes:
        size: characters of the value that was read last.
    """

    def __init__(self, file: IO[bytes], errors: str = "replace") -> None:
        """Wraps a file.

        Args:
            file: UTF-8.
            errors: what becomes of bytes that are no UTF-8: "replace" or "strict", as for `bytes.decode`.
        """
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")(errors).decode
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._chunk, self._ended = "", 0, _CHUNK, False
        self.size = 0

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
            ValueError: it is no JSON, is longer than `json_text.MOST_BYTES` or nested deeper than
                `json_text.MOST_DEPTH`, or the file ends within it.
        """
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                inside = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - 16
                if inside and self._is_short() and self._more():
                    continue
                raise
            except RecursionError:
                raise ValueError("it is nested too deeply") from None
            if end == len(self._text) and self._more():  # a number may go on
                self._is_short()
                continue
            self.size, self._at = end - self._at, end
            self._chunk = _CHUNK
            json_text.check_depth(value)
            return value

    def _is_short(self) -> bool:
        """True; raises ValueError if the value that is being read is too long for the memory."""
        if len(self._text) - self._at > json_text.MOST_BYTES:
            raise ValueError(f"a value has more than {json_text.MOST_BYTES >> 20} MiB")
        return True


def elements(file: IO[bytes], inner: str) -> Iterator[Any]:
    """Yields the elements of a list, or the values of a file that holds several, one after the other.

    Args:
        file: starts with "[" or "{".
        inner: name of a field. Where an object has a list of this name, its elements are yielded one by one, each with
            the object's earlier fields under `"header"`; the object itself is then not yielded.

    Raises:
        ValueError: it is no JSON, a value is too long or nested too deeply, or the file ends early; what was read
            before was yielded.
    """
    stream = JsonStream(file)
    while (first := stream.peek()) != "":
        if first == "[":
            yield from _list(stream)
        elif first == "{":
            yield from _object(stream, inner)
        else:
            raise ValueError(f"neither a list nor an object: {stream.value()!r:.60}")


def list_elements(file: IO[bytes]) -> Iterator[Any]:
    """Yields the elements of a file that is one JSON list; see `elements` for the errors, which bad UTF-8 is too."""
    stream = JsonStream(file, "strict")
    yield from _list(stream)
    if stream.peek():
        raise ValueError("there is more after the list")


def pairs(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yields the names and values of a file that is one JSON object; see `list_elements`."""
    stream = JsonStream(file, "strict")
    for name in _names(stream):
        yield name, stream.value()
    if stream.peek():
        raise ValueError("there is more after the object")


def _list(stream: JsonStream) -> Iterator[Any]:
    stream.skip("[")
    while not stream.skip("]"):
        yield stream.value()
        if not stream.skip(",") and stream.peek() != "]":
            raise ValueError("the list is cut off or damaged")


def _names(stream: JsonStream) -> Iterator[str]:
    """Yields each name of an object; the caller reads its value before it asks for the next one."""
    stream.skip("{")
    while not stream.skip("}"):
        name = stream.value()
        if not isinstance(name, str) or not stream.skip(":"):
            raise ValueError("the object is cut off or damaged")
        yield name
        if not stream.skip(",") and stream.peek() != "}":
            raise ValueError("the object is cut off or damaged")


def _object(stream: JsonStream, inner: str) -> Iterator[Any]:
    fields: dict[str, Any] = {}
    streamed, size = False, 0
    for name in _names(stream):
        if name == inner and stream.peek() == "[" and not streamed:
            streamed = True
            for item in _list(stream):
                yield {**item, "header": fields} if isinstance(item, dict) else item
            continue
        fields[name] = stream.value()
        size += len(name) + stream.size
        if size > json_text.MOST_BYTES:
            raise ValueError(f"an object has more than {json_text.MOST_BYTES >> 20} MiB")
    if not streamed:
        yield fields
