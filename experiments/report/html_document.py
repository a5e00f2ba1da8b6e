"""The frame of an HTML page: its head, its parts, and the episodes with the script that shows them.

The page loads nothing. Its policy allows one style and one script, by their hashes; without JavaScript it shows all
but the episodes. All text of policies and passages is escaped, and control and bidirectional characters are shown as
escapes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

from ...retrieval_index.plain_text import safe_text
from .page_data import PageData
from .page_file import PAGE_MARK

__all__ = ["CURVE_WIDTH", "NARROW", "document", "episode_parts", "escaped", "figure"]

CURVE_WIDTH = 440
"""Width of a curve along training; the page shows several side by side."""

NARROW = 380
"""Width of the figures on narrow screens, where the wide ones would be unreadably small."""

_BROWSER = """<p class="note keys"><kbd>/</kbd> search, <kbd>j</kbd> <kbd>k</kbd> next and previous episode,
<kbd>Enter</kbd> read it, <kbd>Esc</kbd> back and clear the search</p>
<div id="browser" hidden>
<div id="filters">
<input id="search" type="search" placeholder="search questions, queries, passages, answers"
aria-label="search all texts">
<input id="question" type="search" placeholder="question" aria-label="question: id or words">
<select id="policy" aria-label="policy"><option value="">all policies</option></select>
<select id="result" aria-label="result by exact match"><option value="">right and wrong</option>
<option value="1">right (exact match)</option><option value="0">wrong (no exact match)</option></select>
<select id="kind" aria-label="record kinds in the order they were tried">
<option value="">all kind paths</option></select>
<span id="count" role="status"></span>
</div>
<div id="list" role="listbox" tabindex="0" aria-label="episodes"><div id="rows"></div></div>
<div id="detail" tabindex="-1"></div>
</div>"""


def document(parts: Sequence[str], data: PageData, *, browser: bool = True) -> str:
    """Builds the page.

    Args:
        parts: HTML, one after the other.
        data: the episodes; `episode_parts` shows them.
        browser: whether the parts have a browser of episodes, which needs the script.
    """
    style, script = _asset("page.css"), _asset("page.js") if browser else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{PAGE_MARK}"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # nothing may be loaded, and nothing but these two texts may act, whatever a policy wrote
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'\">"
        f"<title>berrypick report</title><style>{style}</style></head><body>\n<h1>berrypick report</h1>\n"
        + "\n".join(parts)
        + (
            f'\n<script type="text/plain" id="episodes">{data.packed}</script>\n<script>{script}</script>'
            if browser
            else ""
        )
        + "\n</body></html>\n"
    )


def episode_parts(data: PageData, total: int) -> list[str]:
    """The episode browser.

    Args:
        data: the episodes of the page.
        total: number of episodes that were measured.
    """
    return ["<h2>Episodes</h2>", _kept(data, total), _BROWSER, "<noscript><p>Episodes need JavaScript.</p></noscript>"]


def escaped(value: object) -> str:
    """Any value as text of the page."""
    return escape(safe_text(str(value)))


def figure(figures: Sequence[str], caption: str) -> str:
    """A figure in two widths, of which a screen shows one."""
    wide, narrow = (svg.replace("<svg ", f'<svg class="{name}" ', 1) for svg, name in zip(figures, ("wide", "narrow")))
    return f"<figure>{wide}{narrow}<figcaption>{escaped(caption)}</figcaption></figure>"


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _kept(data: PageData, total: int) -> str:
    """Says what the page leaves out; "" if it holds everything."""
    lines = []
    if data.kept < total:
        lines.append(
            f"To keep this file small, it holds the first {data.kept:,} of {total:,} episodes, in the order of "
            "the questions. The measures are of all of them."
        )
    if data.texts_cut:
        lines.append(f"Texts longer than {data.text_limit:,} characters are cut, with a mark.")
    return f'<p class="note">{escaped(" ".join(lines))}</p>' if lines else ""
