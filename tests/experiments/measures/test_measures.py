"""The registry of measures: one key and one label each, for every value that a report holds."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from berrypick.experiments.commands.parser import parse_command
from berrypick.experiments.measures.measures import FAMILIES, MEASURES, measure_of
from berrypick.experiments.report import columns
from berrypick.experiments.report.documentation import measures_page

ROOT = Path(__file__).resolve().parents[3]


def test_docs_measures_is_generated_from_the_registry() -> None:
    page = (ROOT / "docs" / "measures.md").read_text()
    assert page == measures_page(), "run: python -m berrypick.experiments.report.documentation > docs/measures.md"


@pytest.mark.parametrize("command", re.findall(r"^    berrypick (.*)$", measures_page(), re.MULTILINE))
def test_a_command_of_the_page_parses(command: str) -> None:
    parse_command(shlex.split(command))


def test_no_two_measures_share_a_label_and_each_says_what_it_means() -> None:
    measures = [*MEASURES.values(), *FAMILIES]
    for names in ([m.label for m in measures], [m.short for m in measures if m.short]):
        assert len(set(names)) == len(names)
    assert all(m.unit and m.meaning for m in measures)
    assert all(key == measure.key for key, measure in MEASURES.items())


def test_the_number_in_a_key_is_the_number_in_its_label() -> None:
    assert measure_of("pass@16").label == "pass@16"
    assert measure_of("pass@16_plan").label == "planned pass@16"
    assert "one of 16 rollouts" in measure_of("pass@16").meaning
    assert measure_of("pass@1_plan").short == "planned"


def test_an_unknown_key_of_an_older_report_is_its_own_label() -> None:
    assert measure_of("of_old").label == "of_old"
    assert measure_of("of_old").meaning == ""


def test_every_measure_of_a_committed_report_is_in_the_registry() -> None:
    report = json.loads((ROOT / "results" / "demo" / "seed-0.json").read_text())
    keys = {key for arm in report["arms"].values() for key in [*arm["measures"], *arm["absent"]]}
    keys |= {key for row in report["references"].values() for key in row}
    assert len(keys) > 30
    assert not [key for key in keys if not measure_of(key).meaning]


def test_heads_of_columns_are_as_narrow_as_an_estimate_or_little_wider() -> None:
    blocks = [*columns.WORLD_BLOCKS.values(), *columns.TEXT_BLOCKS.values()]
    for key in (key for block in blocks for key in block):
        measure = measure_of(key)
        assert measure.meaning and len(measure.short or measure.label) <= 14, key
