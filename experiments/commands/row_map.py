"""What the commands that open rollouts of other systems share: `--map OURS=THEIRS ...`, and what they say of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import tyro

from ...envs.importers import RolloutSource
from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.plain_text import safe_text, skipped_text

__all__ = ["RowMap", "parse_row_map", "source_text"]

RowMap = Annotated[tuple[str, ...], tyro.conf.arg(metavar="OURS=THEIRS ...", help_behavior_hint="(default: none)")]

_MOST_REASONS = 5


def parse_row_map(pairs: Sequence[str]) -> dict[str, str] | None:
    """Turns OURS=THEIRS texts into a mapping; None if there are none."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals or not ours or not theirs:
            raise BerrypickError(f"--map takes OURS=THEIRS, got {pair!r}; for example question=prompt")
        mapping[ours] = theirs
    return mapping or None


def source_text(source: RolloutSource) -> str:
    """The summary of a file of another system, the lines that were left out, and what berrypick's own file lacks.

    "" for a whole file of berrypick.
    """
    summary = "" if source.own else f"{safe_text(f'{source.path}: {source.summary()}')}\n"
    notes = "".join(f"{safe_text(note)}\n" for note in source.notes())
    return summary + skipped_text(source.skipped, _MOST_REASONS, source.num_skipped) + notes
