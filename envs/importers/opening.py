"""Opens rollouts of any known system; the format is recognised by content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .own import NAME, own_episodes
from .source import RolloutSource

__all__ = ["open_rollouts"]


def open_rollouts(
    path: Path | str, *, format: str | None = None, mapping: Mapping[str, str] | None = None, skip_bad: bool = True
) -> RolloutSource:
    """Opens a file of rollouts.

    Args:
        path: the file, plain or gzipped.
        format: name of its format, or FILE.py:NAME; by default it is recognised by content.
        mapping: our field -> their field, for JSONL of no known format, e.g. {"question": "prompt"}.
        skip_bad: leave bad lines out and list them in `skipped`; otherwise the first one raises.

    Raises:
        RecordError: the file cannot be read, or its format is not known.
    """
    place = Path(path)
    return RolloutSource(place, NAME, lambda: own_episodes(place), skip_bad=skip_bad)
