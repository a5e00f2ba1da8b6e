"""Draws the figure of the README from committed results: `python docs/tools/headline_figure.py > docs/headline.svg`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_WIDTH, _HEIGHT, _LEFT, _SCALE = 720, 300, 190, 5600
"""_SCALE is pixels per unit of pass@1."""

_STYLE = (
    "svg{color:#1f2328;background:#fff}.asked{fill:#0072b2}.wasted{fill:#d55e00}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}.asked{fill:#56b4e9}.wasted{fill:#e69f00}}"
)

Row = Mapping[str, Mapping[str, Any]]


def rows() -> list[tuple[str, str, Row]]:
    """(label, where the numbers are from, tax and price) of each bar, from results/."""
    law = json.loads((ROOT / "results" / "price_law" / "report.json").read_text(encoding="utf-8"))
    grid = json.loads((ROOT / "results" / "diversity_tax" / "report.json").read_text(encoding="utf-8"))
    run = law["runs"]["darling-0.1"]
    free = next(
        row
        for row in grid["taxes"]
        if (row["policy"], row["arm"], row["condition"]) == ("tabular", "darling", "free/diverse")
    )
    return [
        ("no cue", f"{run['no cue']['tax']['n']} random worlds", run["no cue"]),
        ("a cue in the question", f"{run['cue']['tax']['n']} random worlds", run["cue"]),
        ("equal search kinds", f"{free['tax']['n']} worlds", free),
    ]


def figure() -> str:
    """The figure as SVG: one bar per kind of world, its part that the task asks and its part that the method wastes."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        'font-family="sans-serif" font-size="14" fill="currentColor">',
        "<title>pass@1 that training for diversity costs</title>",
        f"<style>{_STYLE}</style>",
        _text(20, 30, "pass@1 lost by training for diversity (Dr. GRPO minus DARLING)", 'font-size="17"'),
        f'<rect class="asked" x="20" y="46" width="12" height="12"/>{_text(38, 57, "what the task asks (price)")}',
        f'<rect class="wasted" x="236" y="46" width="12" height="12"/>{_text(254, 57, "what the method wastes")}',
    ]
    for number, (label, where, row) in enumerate(rows()):
        y = 84 + 58 * number
        tax, price = -row["tax"]["value"], -row["price"]["value"]
        asked, lost = max(0.0, price) * _SCALE, max(0.0, tax) * _SCALE
        half = (row["tax"]["high"] - row["tax"]["low"]) / 2
        parts.append(_text(_LEFT - 12, y + 14, label, 'text-anchor="end"'))
        parts.append(_text(_LEFT - 12, y + 31, where, 'text-anchor="end" font-size="12" opacity=".75"'))
        parts.append(f'<rect class="asked" x="{_LEFT}" y="{y}" width="{asked:.1f}" height="34"/>')
        parts.append(f'<rect class="wasted" x="{_LEFT + asked:.1f}" y="{y}" width="{lost - asked:.1f}" height="34"/>')
        if tax > 5e-4:
            ends = [_LEFT + value * _SCALE for value in (tax - half, tax + half)]
            bar = f"M{ends[0]:.1f} {y + 17}H{ends[1]:.1f}M{ends[0]:.1f} {y + 12}v10M{ends[1]:.1f} {y + 12}v10"
            parts.append(f'<path d="{bar}" fill="none" stroke="currentColor" stroke-width="1.5"/>')
        end = _LEFT + (tax + half) * _SCALE + 10 if tax > 5e-4 else _LEFT + 8
        words = f"{_short(tax)} ±{_short(half)}, of it {_short(price)} asked" if tax > 5e-4 else "0"
        parts.append(_text(end, y + 22, words))
    parts.append(f'<path d="M{_LEFT} 76V250" stroke="currentColor" opacity=".5"/>')
    parts.append(
        _text(20, 284, "Planted worlds, tabular policy, exact values; ± is half a 95 % interval over worlds.", _SMALL)
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


_SMALL = 'font-size="12" opacity=".75"'


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" {more}>{escape(words)}</text>'.replace('" >', '">')


def _short(value: float) -> str:
    return "0" if abs(value) < 5e-4 else f"{value:.3f}".replace("0.", ".", 1)


if __name__ == "__main__":
    sys.stdout.write(figure())
