"""The table of language models on a page, from rows written by hand."""

from __future__ import annotations

import re

from berrypick.experiments.grid.language_table import language_section
from berrypick.experiments.grid.system_parts import SystemTable

TABLES = (SystemTable("t", "about", {"first": "share_0"}, ("priced",)),)


def estimate(value):
    return {"value": value, "low": value, "high": value, "n": 1}


def arm(start, end, worlds=(1, 2)):
    names = ("share_0", "pass@1")
    return {
        "start": {name: estimate(value) for name, value in zip(names, start)},
        "measures": {name: estimate(value) for name, value in zip(names, end)},
        "worlds": list(worlds),
    }


def report(arms, not_run=0):
    cells = {"language_model_not_run": not_run, "language_model_cells": 9}
    return {"language_model": {"priced": arms} if arms else {}, "cells": cells}


def cells(text):
    return [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]


def test_equal_starts_are_one_column_and_rows_have_the_names_of_other_tables():
    arms = {"rl": arm((0.5, 0.25), (0.75, 0.5)), "kl": arm((0.5, 0.25), (0.625, 0.375), worlds=(1,))}
    head, about, condition, table = language_section(report(arms), ("share_0", "pass@1"), TABLES, "A model.")
    assert (head, about, condition) == ("## Language model", "A model.", "priced:")
    heads, _, *rows = cells(table)
    assert heads == ["measure", "start", "rl", "kl"]
    assert [[row[0], *(cell[:5] for cell in row[1:])] for row in rows] == [
        ["first", "0.500", "0.750", "0.625"],
        ["pass@1", "0.250", "0.500", "0.375"],
    ]
    assert table.endswith("Worlds: rl 2, kl 1.")


def test_unequal_starts_have_a_column_each():
    arms = {"rl": arm((0.5, 0.25), (0.75, 0.5)), "kl": arm((0.4, 0.25), (0.625, 0.375))}
    *_, table = language_section(report(arms), ("share_0",), TABLES, "")
    assert cells(table)[0] == ["measure", "rl, start", "rl, end", "kl, start", "kl, end"]
    assert [cell[:5] for cell in cells(table)[2]] == ["first", "0.500", "0.750", "0.400", "0.625"]


def test_cells_that_are_not_run_are_counted_without_a_table():
    head, missing = language_section(report({}, not_run=9), (), TABLES, "A model.")
    assert head == "## Language model" and missing.startswith("9 of 9 cells")
    assert language_section(report({}), (), TABLES, "A model.") == []
