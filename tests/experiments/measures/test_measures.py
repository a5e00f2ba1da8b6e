"""The registry of measures: one key and one label each, for every value that a report holds."""

from __future__ import annotations

import json
import re
import shlex
import sys
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord
from berrypick.experiments.commands.parser import parse_command
from berrypick.experiments.measures.formulas import formula_of
from berrypick.experiments.measures.limits import limit_of, source_of
from berrypick.experiments.measures.measure import Measure
from berrypick.experiments.measures.measures import FAMILIES, MEASURES, extended, load_measures, measure_of
from berrypick.experiments.measures.summary import summarize
from berrypick.experiments.report import columns
from berrypick.experiments.report.documentation import measures_page
from berrypick.retrieval_index import plugins

ROOT = Path(__file__).resolve().parents[3]


def test_docs_measures_is_generated_from_the_registry() -> None:
    page = (ROOT / "docs" / "measures.md").read_text()
    assert page == measures_page(), "run: python -m berrypick.experiments.report.documentation > docs/measures.md"


def test_every_measure_has_a_formula_a_limit_and_a_source() -> None:
    for measure in (*MEASURES.values(), *FAMILIES):
        formula = formula_of(measure)
        assert "see docs/measures.md" not in formula and not formula.startswith("for each question by"), measure.key
        assert limit_of(measure) and source_of(measure), measure.key


def test_the_page_has_every_measure_that_a_report_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "measures.md").read_text()
    world = ["--env", "berrypick/World-v0", "--env-arg", "num_train=2", "num_validation=0", "num_test=4"]
    for policy in ("random_order", "best_order"):
        assert main(["eval", *world, "--policy", policy, "--samples", "4", "--out", str(tmp_path / policy)]) == 0
    capsys.readouterr()
    paths = [str(tmp_path / policy) for policy in ("random_order", "best_order")]
    assert main(["report", *paths, "--json", "--no-html"]) == 0
    report = json.loads(capsys.readouterr().out)
    keys = {key for arm in report["arms"].values() for key in [*arm["measures"], *arm["absent"]]}
    keys |= {key for row in report["references"].values() for key in row}
    keys |= (
        {key for row in report["comparisons"].values() for key in row["differences"]}
        if "comparisons" in report
        else set()
    )
    assert len(keys) > 40
    for key in keys:
        assert page.count(f"| `{measure_of(key).key}` ") == 2 or page.count(f"| `{measure_of(key).family}` ") == 2, key


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


def test_a_measure_of_a_user_points_to_its_function() -> None:
    def words(group: object) -> float:
        return 0.0

    line = words.__code__.co_firstlineno
    own = Measure("words", "words", "count", "their number", of_group=words)
    assert formula_of(own) == f"for each question by {__name__}, line {line}; mean over questions"
    partly = Measure("words", "words", "count", "their number", of_group=partial(words))
    assert formula_of(partly) == "for each question by functools; mean over questions"
    assert formula_of(Measure("of_old", "of_old", "", "")) == "as its meaning says; see docs/measures.md"
    assert limit_of(own) == source_of(own) == ""
    assert source_of(measure_of("pass@3")) == "Codex, arXiv 2107.03374"  # that of its family
    assert own.head == "words" and Measure("words", "number of words", "", "", "words").head == "words"


def test_measures_of_installed_packages_are_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_installed_measures.py").write_text(
        "from berrypick.experiments.measures import register_measure\n"
        "register_measure('of_a_package', 'of a package')(lambda group: 1.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("mine", "my_installed_measures", MEASURES.group)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    load_measures.cache_clear()
    try:
        record = {"question": {"id": "q", "text": "?", "answers": []}, "group_id": "g", "sample_index": 0, "turns": []}
        assert summarize([EpisodeRecord.model_validate(record)])["measures"]["of_a_package"]["value"] == 1.0
        assert extended() is True and measure_of("of_a_package").label == "of a package"
        MEASURES.pop("of_a_package")
        sys.modules.pop("my_installed_measures")
        load_measures.cache_clear()
        assert extended() is True, "it loads them itself"
    finally:
        MEASURES.pop("of_a_package", None)
        sys.modules.pop("my_installed_measures", None)
    assert extended() is False
