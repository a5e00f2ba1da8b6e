"""Untrusted text for terminals: what could act is shown as what it is, all else is left alone."""

from __future__ import annotations

import unicodedata

from berrypick.retrieval_index.plain_text import safe_text
from hypothesis import given
from hypothesis import strategies as st


@given(st.text())
def test_nothing_that_acts_remains_and_nothing_else_changes(text: str) -> None:
    shown = safe_text(text)
    assert all(char == "\n" or unicodedata.category(char)[0] != "C" for char in shown)
    assert not {"Zl", "Zp"} & {unicodedata.category(char) for char in shown}
    harmless = [
        c for c in text if c == "\n" or unicodedata.category(c)[0] not in "CZ" or unicodedata.category(c) == "Zs"
    ]
    if len(harmless) == len(text):
        assert shown == text


def test_escapes_bidi_marks_and_lone_surrogates_are_visible() -> None:
    assert safe_text("a\x1b[31m\u202eb\ud800\t\u2028") == "a\\u001b[31m\\u202eb\\ud800     "
