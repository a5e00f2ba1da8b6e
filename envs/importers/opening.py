"""Opens rollouts of any known system; the format is recognised by content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from ...retrieval_index.plain_text import safe_text
from ..record import EpisodeRecord, RecordError
from ..wholeness import Wholeness
from . import atif, chats, flashrag, text_dumps, text_logs, traces  # noqa: F401  (they register their formats)
from .files import Row
from .mapped import mapped_importer
from .own import OWN, own_episodes
from .registry import IMPORTERS, Importer, find_importer
from .rollout import Groups, Rollout
from .rows import Container, container_of, rows_of, text_lines, transcripts
from .source import RolloutSource

__all__ = ["known_importers", "open_rollouts"]

_SEEN_ROWS = 100
_SEEN_CHARS = 1 << 17
_REASONS = (KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)


def open_rollouts(
    path: Path | str, *, format: str | None = None, mapping: Mapping[str, str] | None = None, skip_bad: bool = True
) -> RolloutSource:
    """Opens a file of rollouts: berrypick's own, or those of another system, whose format is recognised by content.

    Args:
        path: the file, plain or gzipped.
        format: name of its format, or FILE.py:NAME for one that FILE.py registers; by default it is recognised.
        mapping: our field -> their field, for rows of no known format, e.g. {"question": "prompt"}; see `MAPPED`.
        skip_bad: leave bad lines out and list them in `skipped`; otherwise the first one raises.

    Raises:
        RecordError: the file cannot be read, or its format is not known.
        UnknownNameError: there is no such format, or no such field of ours.
        MissingExtraError: the file is Parquet and pyarrow is not installed.
    """
    place = Path(path)
    container = container_of(place)
    if container == "empty":
        raise RecordError(f"{place}: no rollouts; give a file with one episode a line")
    if mapping:
        importer = mapped_importer(mapping)
    elif format is not None:
        importer = OWN if format == OWN.name else find_importer(format)
    else:
        importer = _recognise(place, container)
    if (importer.split is None) == (container == "text"):
        has = "text" if container == "text" else container
        raise RecordError(f"{place}: {importer.title} cannot be read from {has}; give another --format, or none")
    if importer is OWN and container == "jsonl":
        return RolloutSource(place, OWN.title, partial(own_episodes, place), skip_bad=skip_bad, own=True)
    groups: list[Groups] = []

    def episodes(_: Wholeness) -> Iterator[EpisodeRecord | RecordError]:
        groups[:] = [Groups()]
        return _episodes(importer, _places(place, container, importer), groups[0])

    def grouping() -> str:
        return f"group from {', '.join(sorted(groups[0].sources))}" if groups and groups[0].sources else ""

    return RolloutSource(place, importer.title, episodes, skip_bad=skip_bad, grouping=grouping, lacks=importer.lacks)


def _places(path: Path, container: Container, importer: Importer) -> Iterator[tuple[str, Row | RecordError]]:
    """Place and row of each rollout."""
    if importer.split is None:
        return rows_of(path, container)
    return ((f"{path}:{number}", {"text": text}) for number, text in transcripts(path, importer.split))


def _episodes(
    importer: Importer, rows: Iterable[tuple[str, Row | RecordError]], groups: Groups
) -> Iterator[EpisodeRecord | RecordError]:
    """Reads rows; a row that cannot be read is an error in its place."""
    for where, row in rows:
        if isinstance(row, RecordError):
            yield row
            continue
        try:
            found = importer.read(row)
            rollouts = [found] if isinstance(found, Rollout | EpisodeRecord) else list(found)
            records = [r if isinstance(r, EpisodeRecord) else groups.record(r) for r in rollouts]
        except RecordError as error:
            yield RecordError(f"{where}: {error}")
        except _REASONS as error:
            yield RecordError(f"{where}: not a line of {importer.title} ({_reason(error)}); fix it or leave it out")
        else:
            yield from records


def _reason(error: Exception) -> str:
    """One short line."""
    if isinstance(error, KeyError):
        return f"there is no field {error}"
    text = " ".join(safe_text(str(error)).split())
    return text[:200] or type(error).__name__


def known_importers() -> list[Importer]:
    """All formats in the order in which they are tried: berrypick's own, registered ones, then generic ones."""
    return sorted([OWN, *IMPORTERS.values()], key=lambda importer: importer.generic)


def _recognise(path: Path, container: Container) -> Importer:
    """The first format that knows one of the first rows; those of installed packages are tried too."""
    rows = list(_first_rows(path, container))
    for load in (False, True):
        if load:
            IMPORTERS.load_installed()
        candidates = [i for i in known_importers() if (i.split is None) == (container != "text")]
        for row in rows:
            for importer in candidates:
                if _knows(importer, row):
                    return importer
    raise RecordError(_unknown(path, container, rows))


def _knows(importer: Importer, row: Row) -> bool:
    try:
        return bool(importer.recognise(row))
    except _REASONS:
        return False


def _first_rows(path: Path, container: Container) -> Iterator[Row]:
    if container == "text":
        text, size = list[str](), 0
        for _, line in text_lines(path):
            text.append(line)
            size += len(line)
            if size > _SEEN_CHARS:
                break
        yield {"text": "".join(text)}
        return
    yield from (row for _, row in islice(rows_of(path, container), _SEEN_ROWS) if isinstance(row, dict))


def _unknown(path: Path, container: Container, rows: list[Row]) -> str:
    if container == "text":
        start = " ".join(rows[0]["text"].split())[:60] if rows else ""
        seen = f"a text that starts with {json.dumps(safe_text(start), ensure_ascii=False)}"
    elif rows:
        names = ", ".join(safe_text(str(name))[:40].replace("\n", " ") for name in list(rows[0])[:8])
        seen = f"{container} with the fields {names}" if names else f"{container} without fields"
    else:
        seen = f"{container} without a readable row"
    known = ", ".join(importer.name for importer in known_importers())
    return (
        f"{path}: rollouts of an unknown format ({seen}); known are {known}; for any other rows name the fields: "
        "--map question=FIELD answer=FIELD gold=FIELD"
    )
