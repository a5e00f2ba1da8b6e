"""Explains one measure, or lists all."""

from __future__ import annotations

import re
import textwrap
from typing import TypedDict

from ..measures.formulas import formula_of
from ..measures.limits import limit_of, source_of
from ..measures.measures import FAMILIES, MEASURES, Measure, load_measures, measure_of

__all__ = ["Explanation", "all_measures", "explain", "explanation_text"]


class Explanation(TypedDict):
    """What is known of a measure.

    `computed` is a formula, or the function that computes it; `limit` is what the measure does not say.
    """

    key: str
    label: str
    short: str
    unit: str
    meaning: str
    computed: str
    limit: str
    source: str


def explain(name: str) -> Explanation | None:
    """Explains a measure.

    Args:
        name: its key, label or short label; upper and lower case are the same, as are spaces and underscores.

    Returns:
        The explanation; None if no measure has this name.
    """
    load_measures()
    wanted = _folded(name)
    for measure in MEASURES.values():
        if wanted in (_folded(measure.key), _folded(measure.label), _folded(measure.head)):
            return _explanation(measure)
    measure = measure_of(_family_key(wanted))
    return _explanation(measure) if measure.meaning else None


def all_measures() -> list[Explanation]:
    """Explains every measure, those of installed packages among them; {k} stands for a number."""
    load_measures()
    return [_explanation(measure) for measure in (*MEASURES.values(), *FAMILIES)]


def explanation_text(found: Explanation) -> str:
    """Writes an explanation as lines for a terminal."""
    rows = [
        ["key", found["key"]],
        ["label", found["label"] + (f" (short: {found['short']})" if found["short"] else "")],
        ["unit", found["unit"] or "none given"],
        ["meaning", found["meaning"] or "none given"],
        ["computed", found["computed"]],
        *([["not said", found["limit"]]] if found["limit"] else []),
        *([["source", found["source"]]] if found["source"] else []),
    ]
    return "\n".join(
        textwrap.fill(text, 80, initial_indent=f"{name:<10}", subsequent_indent=" " * 10) for name, text in rows
    )


def _explanation(measure: Measure) -> Explanation:
    return {
        "key": measure.key,
        "label": measure.label,
        "short": measure.short,
        "unit": measure.unit,
        "meaning": measure.meaning,
        "computed": formula_of(measure),
        "limit": limit_of(measure),
        "source": source_of(measure),
    }


def _folded(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.strip().lower())


def _family_key(wanted: str) -> str:
    """The key of a measure with a number, such as "planned pass@8" or "distinct answers@4"; else the name itself."""
    for family in FAMILIES:
        for text in (family.key, family.label):
            found = re.fullmatch(re.escape(_folded(text)).replace(r"\{k\}", r"(\d+|k)"), wanted)
            if found:
                return family.key.replace("{k}", found[1] if found[1] != "k" else "8")
    return wanted
