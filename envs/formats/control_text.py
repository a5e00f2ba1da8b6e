"""Breaks spellings of control tokens in retrieved text, so that it stays plain text.

A trainer that encodes observations itself would turn `<|im_end|>` inside a passage into the token that ends a turn, and
`<tool_call>` into the token that opens a call. A space after the bracket breaks the spelling and preserves the words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...retrieval_index.searcher import Hit

__all__ = ["break_control_text", "plain_hits"]

# Three families: tags without spaces (<s>, </tool_call>, <start_of_turn>), bars that may contain spaces (<|fim hole|>),
# and capitals in square brackets (Mistral, GLM). Tokenizers that apply Unicode compatibility normalisation (NFKC) turn
# the full-width and small forms of < > | into ASCII, so those count as well.
_WORD, _BARS = r"[^\s<>\uff1c\uff1e\ufe64\ufe65]{1,64}", r"[|\uff5c][^<>\n]{1,64}[|\uff5c]"
_ANGLE = rf"[<\uff1c\ufe64](?=(?:{_WORD}|{_BARS})[>\uff1e\ufe65])"
_SQUARE = r"\[(?=/?g?[A-Z][A-Z_]{2,32}\])"
_CONTROL = re.compile(f"{_ANGLE}|{_SQUARE}")


def break_control_text(text: str) -> str:
    """The text with a space after each bracket that opens a control spelling: "< |im_end|>", "[ INST]"."""
    return _CONTROL.sub(r"\g<0> ", text)


def plain_hits(hits: Sequence[Sequence[Hit]]) -> tuple[tuple[Hit, ...], ...]:
    """The same hits with control spellings broken in titles and texts."""
    return tuple(
        tuple(Hit(hit.id, break_control_text(hit.title), break_control_text(hit.text), hit.score) for hit in ranking)
        for ranking in hits
    )
