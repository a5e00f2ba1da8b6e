"""The registry of formats: how each is recognised and read, and what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...retrieval_index.plugins import Registry
from ..record import EpisodeRecord
from .files import Row
from .rollout import Rollout

__all__ = ["IMPORTERS", "NO_EVIDENCE", "NO_TOKENS", "Importer", "find_importer", "register_importer"]

Read = Callable[[Row], Rollout | EpisodeRecord | Iterable[Rollout | EpisodeRecord]]
"""Reads a row: a line of JSONL, an element of a JSON list, a row of Parquet, a sample of a log, or {"text": ...}."""

NO_TOKENS = {"token probabilities": "the format holds no entropies of tokens"}
"""What most formats lack."""

NO_EVIDENCE = {"evidence": "the format does not say which passages are relevant"}
"""What most formats lack."""


@dataclass(frozen=True, slots=True)
class Importer:
    """A format.

    Attributes:
        name: what `--format` calls it, e.g. "verl".
        title: its name in sentences, e.g. "verl dump".
        read: makes rollouts of a row. Any `ValueError`, `KeyError`, `TypeError`, `AttributeError` or `IndexError` is
            the reason why this row is left out.
        recognise: whether a row is of this format.
        summary: which system writes such files, in one line.
        gives: what a record of it holds, in a few words.
        lacks: part of an episode (`absent.PARTS`) -> why the format does not hold it.
        split: for formats that are not rows: cuts the lines of a text into rollouts, as (line number, text).
        generic: recognised only if no other format is.
    """

    name: str
    title: str
    read: Read
    recognise: Callable[[Row], bool]
    summary: str = ""
    gives: str = ""
    lacks: Mapping[str, str] = field(default_factory=lambda: {**NO_TOKENS, **NO_EVIDENCE})
    split: Callable[[Iterator[tuple[int, str]]], Iterator[tuple[int, str]]] | None = None
    generic: bool = False


IMPORTERS: Registry[Importer] = Registry("format of rollouts", "berrypick.importers", "my_importer.py:NAME")
"""Formats by name, in the order in which they are tried."""


def register_importer(
    name: str,
    *,
    recognise: Callable[[Row], bool],
    title: str = "",
    summary: str = "",
    gives: str = "",
    lacks: Mapping[str, str] | None = None,
    split: Callable[[Iterator[tuple[int, str]]], Iterator[tuple[int, str]]] | None = None,
    generic: bool = False,
) -> Callable[[Read], Read]:
    """Decorator that makes a function from a row to rollouts a format that `open_rollouts` recognises.

    The arguments are the attributes of `Importer`.

    Raises:
        BerrypickError: another module has registered this name.
    """

    def register(read: Read) -> Read:
        known = {**NO_TOKENS, **NO_EVIDENCE} if lacks is None else dict(lacks)
        entry = Importer(name, title or name, read, recognise, summary, gives, known, split, generic)
        IMPORTERS.register(name, entry, read.__module__)
        return read

    return register


def find_importer(spec: str) -> Importer:
    """The format of a name, or of FILE.py:NAME for one that FILE.py registers.

    Raises:
        UnknownNameError: there is none; the message offers the nearest names.
    """
    return IMPORTERS.find(IMPORTERS.load_files(spec))
