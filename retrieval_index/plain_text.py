"""Text for terminals: untrusted text made safe, counts, and lists of skipped lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["counted", "encodable", "one_line", "safe_text", "skipped_text"]

_LONGEST_LINE = 2_000


def encodable(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD, because UTF-8 cannot encode surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)
    return text


def safe_text(text: str) -> str:
    """Replaces control characters, escapes, bidi marks and lone surrogates by visible text, except line breaks."""
    if text.replace("\n", "").isprintable():
        return text
    out = []
    for char in text:
        category = unicodedata.category(char)
        if char == "\n" or category[0] not in "CZ" or category == "Zs":
            out.append(char)
        elif char == "\t":
            out.append("    ")
        else:
            out.append(f"\\u{ord(char):04x}" if category != "Zl" and category != "Zp" else " ")
    return "".join(out)


def one_line(text: str) -> str:
    """The text as one harmless line, see `safe_text`; of more than 2000 characters the beginning and the end."""
    if len(text) > _LONGEST_LINE:
        text = f"{text[: _LONGEST_LINE // 2]} ... {text[-_LONGEST_LINE // 2 :]}"
    return safe_text(text).replace("\n", " ")


def counted(number: int, what: str) -> str:
    """ "1 leak", "2 leaks"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def skipped_text(lines: Sequence[str], most: int = 10, number: int | None = None) -> str:
    """One line for each of the first skipped lines, and their number; "" if none was skipped.

    Args:
        lines: "FILE:LINE: reason; cure" each. The cure is dropped: the user chose to skip them.
        most: number of lines to show.
        number: how many were skipped, if `lines` are only the first of them.
    """
    shown = [f"skipped {safe_text(line.rpartition('; ')[0] or line)}\n" for line in lines[:most]]
    return "".join([*shown, f"{counted(len(lines) if number is None else number, 'line')} skipped\n"] if lines else [])
