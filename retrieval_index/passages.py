"""Passages on disk, read one by one: an index of millions opens at once and needs no memory for them."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from .arrays import load_array
from .corpus import CorpusError, Passage, parse_passage
from .json_text import parse_json

__all__ = ["OFFSETS", "PASSAGES", "PassageTable", "line_offsets", "write_passages"]

PASSAGES = "passages.jsonl"
OFFSETS = "offsets.npy"


class PassageTable(Sequence[Passage]):
    """Row -> passage over a memory-mapped JSONL file. Thread-safe; rows are parsed on access."""

    def __init__(self, path: Path, offsets: NDArray[np.int64]) -> None:
        """Opens a table.

        Args:
            path: JSONL, uncompressed.
            offsets: int64 [rows, 2], byte offsets of the begin and end of each row's line.
        """
        self._path, self._offsets = path, offsets
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @classmethod
    def open(cls, folder: Path) -> PassageTable:
        """Opens a folder that `write_passages` wrote."""
        return cls(folder / PASSAGES, load_array(folder / OFFSETS, np.int64, 2))

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, row: int) -> Passage: ...
    @overload
    def __getitem__(self, row: slice) -> list[Passage]: ...
    def __getitem__(self, row: int | slice) -> Passage | list[Passage]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        begin, end = self._offsets[row]
        try:
            line = parse_json(self._map[begin:end])
            return parse_passage(self._path, row % len(self) + 1, line)
        except (ValueError, TypeError, AttributeError) as error:
            raise CorpusError(f"{self._path}: passage {row} cannot be read ({error}); rebuild the index") from error

    def close(self) -> None:
        """Closes the file."""
        self._map.close()


def write_passages(folder: Path, passages: Iterable[Passage]) -> None:
    """Writes {"id", "title", "text"} lines in the given order, and the byte offsets of each line."""
    ends = []
    at = 0
    with (folder / PASSAGES).open("wb") as file:
        for passage in passages:
            line = {"id": passage.id, "title": passage.title, "text": passage.text}
            body = json.dumps(line, ensure_ascii=False).encode()
            file.write(body + b"\n")
            ends.append((at, at + len(body)))
            at += len(body) + 1
    np.save(folder / OFFSETS, np.array(ends, np.int64).reshape(-1, 2))


def line_offsets(path: Path) -> NDArray[np.int64]:
    """int64 [lines, 2], byte offsets of begin and end of each non-blank line of an uncompressed file."""
    spans = []
    at = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                spans.append((at, at + len(line)))
            at += len(line)
    return np.array(spans, np.int64).reshape(-1, 2)
