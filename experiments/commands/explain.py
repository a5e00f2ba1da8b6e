"""`berrypick explain`: what a measure is."""

from __future__ import annotations

import sys

from ...retrieval_index.plain_text import safe_text
from ..report.explain import all_measures, explain, explanation_text
from ..report.format import text_columns
from .flags import Explain
from .json_output import print_json
from .typos import unknown_name

__all__ = ["run_explain"]


def run_explain(flags: Explain) -> int:
    """Prints one measure, or one line for each."""
    if not flags.measure:
        rows = all_measures()
        if flags.json:
            print_json(rows)
        else:
            text = text_columns(["key", "unit", "label"], [[row["key"], row["unit"], row["label"]] for row in rows])
            text += "\n\nberrypick explain MEASURE says what one is and how it is computed."
            sys.stdout.write(safe_text(text) + "\n")
        return 0
    found = explain(flags.measure)
    if found is None:
        known = [name.replace("{k}", "8") for row in all_measures() for name in (row["key"], row["label"])]
        raise unknown_name("measure", flags.measure, known, "berrypick explain", listed="berrypick explain")
    if flags.json:
        print_json(found)
    else:
        sys.stdout.write(safe_text(explanation_text(found)) + "\n")
    return 0
