"""Writes docs/measures.md from the registry: `python -m berrypick.experiments.report.documentation`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..measures.measure import Measure
from ..measures.measures import DERIVED, FAMILIES, OF_GROUPS
from .format import markdown_table

__all__ = ["measures_page"]

_HEAD = """# Measures

<!-- generated: python -m berrypick.experiments.report.documentation > docs/measures.md -->

Every measure has one key and one label. The key is its name in JSON and CSV; the label is its name on screens, pages
and figures. Narrow columns show the short label where there is one.

A *group* is the set of rollouts of one question. `berrypick report` computes a value for each question and prints the
mean over questions with a 95 % bootstrap interval. A measure without data is left out and listed as absent; it is never
reported as zero. Measures marked (World) need the questions of `berrypick/World-v0`.
"""


def measures_page() -> str:
    """Builds the page, in Markdown."""
    parts = [
        _HEAD,
        "## Computed from a group's rollouts",
        _table(OF_GROUPS),
        "## Computed for several values of k",
        _table(FAMILIES),
        "## Computed from other values",
        _table(DERIVED),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(measures: Iterable[Measure]) -> str:
    rows = [
        [f"`{measure.key}`", measure.label, measure.short, measure.unit, measure.meaning.replace("{k}", "k")]
        for measure in measures
    ]
    return markdown_table(["key", "label", "short label", "unit", "meaning"], rows)


if __name__ == "__main__":
    sys.stdout.write(measures_page())
