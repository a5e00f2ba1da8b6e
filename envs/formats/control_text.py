"""Spellings that tokenizers and chat templates take for control, broken so that retrieved text stays text.

A trainer that encodes observations itself turns `<|im_end|>` inside a passage into the token that ends a turn, and
`<tool_call>` into the one that opens a call. A space after the bracket keeps the words and breaks the spelling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...retrieval_index.searcher import Hit

__all__ = ["break_control_text", "plain_hits"]

# Tags without spaces (<s>, </tool_call>, <start_of_turn>), bars with (<|fim hole|>), brackets (Mistral, GLM); also with
# the full-width and small forms that compatibility normalisation folds into these.
_WORD, _BARS = r"[^\s<>\uff1c\uff1e\ufe64\ufe65]{1,64}", r"[|\uff5c][^<>\n]{1,64}[|\uff5c]"
_ANGLE = rf"[<\uff1c\ufe64](?=(?:{_WORD}|{_BARS})[>\uff1e\ufe65])"
_SQUARE = r"\[(?=/?g?[A-Z][A-Z_]{2,32}\])"
_CONTROL = re.compile(f"{_ANGLE}|{_SQUARE}")


def break_control_text(text: str) -> str:
    """The text with a space after each bracket that opens a control spelling: "< |im_end|>", "[ INST]"."""
    return _CONTROL.sub(r"\g<0> ", text)


def plain_hits(hits: Sequence[Sequence[Hit]]) -> tuple[tuple[Hit, ...], ...]:
    """Hits whose titles and texts hold no control spelling."""
    return tuple(
        tuple(Hit(hit.id, break_control_text(hit.title), break_control_text(hit.text), hit.score) for hit in ranking)
        for ranking in hits
    )
