"""The table of all claims, the tests T1 to T12, and running all published systems with one command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from berrypick.__main__ import main
from berrypick.experiments.registry import EXPERIMENTS
from berrypick.experiments.verdicts import SYSTEMS, published_reports, verdicts_page, write_verdicts
from berrypick.experiments.verdicts.collect import HEADLINE, TESTS, claims_of, is_of_paper, place_of
from berrypick.retrieval_index.errors import BerrypickError

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results"


def claim(id: str, source: str, verdict: str, *, reason: str = "", value: float | None = None) -> dict[str, Any]:
    estimate = None if value is None else {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 24}
    facts = {"id": id, "statement": f"statement of {id}", "source": source, "published": "", "doubt": ""}
    facts |= {"endpoint": f"endpoint of {id}", "expected": "at most", "smallest_effect": 0.02}
    tested = {"p_supported": None if estimate is None else 0.5, "p_contradicted": None if estimate is None else 0.5}
    return {"claim": facts, "verdict": verdict, "reason": reason, "estimate": estimate, "settings": {}, **tested}


def report(rows: list[dict[str, Any]], pilot: list[dict[str, Any]]) -> dict[str, Any]:
    measures = {"pass@1": {"value": 0.5}, "pass@8": {"value": 0.7}}
    conditions = {
        "own": {"start": measures, "frontier": None, "arms": {}},
        "priced": {
            "start": measures,
            "frontier": {"points": [[0.6, 0.6], [0.5, 0.75]]},
            "arms": {
                "a": {"0": {"measures": {name: {"value": one["value"] + 0.05} for name, one in measures.items()}}}
            },
        },
    }
    return {"verdicts": rows, "registration": pilot, "conditions": conditions, "group_k": 8}


def reports() -> dict[str, Any]:
    room = {"worlds": 4, "pilot": 0.1, "needed": 0.06, "undecidable": ""}
    return {
        "diversity_tax": report([claim("d", "2505.22617 (T1)", "supported", value=-0.02)], []),
        "darling": report(
            [
                claim("more", "2509.02534 (T5)", "contradicted", value=0.031),
                claim("less", "2509.02534 (T5), control", "supported", value=0.0),
                claim("words", "2509.02534 (T5)", "inconclusive", reason="not run"),
                claim("own", "design", "supported", value=0.5),
            ],
            [
                {"id": "more", "room": 0.09, **room},
                {"id": "less", "room": 0.03, **room, "undecidable": "room below 1"},
                {"id": "words", "room": 0.06, **room, "undecidable": "nothing differs"},
            ],
        ),
    }


def test_verdicts_are_counted_over_the_systems_and_over_the_papers_own_claims() -> None:
    text = verdicts_page(reports())
    first = text.split("\n\n")[2]
    assert len(re.findall(r"\.(?= [A-Z]|$)", first)) == 3, first
    assert "Of 9 systems 1 have an experiment of their own here" in first
    assert "there are 5 claims: 3 of the papers (1 supported, 1 contradicted, 1 not tested) and 2 controls" in first
    assert "1 claim of language models still wait" in first and "Echo Chamber" in first
    papers, others = text.split("## Controls, and claims")
    assert "statement of more" in papers and "statement of more" not in others
    assert "statement of less" in others and "statement of own" in others


def test_a_verdict_that_another_setting_would_turn_says_so() -> None:
    found = reports()
    row = found["darling"]["verdicts"][0]
    row["settings"] = {"rate 0.3": {"value": 0.025}, "rate 1": {"value": 0.04}}
    assert "| +0.025 to +0.040 " in verdicts_page(found)
    row["settings"]["rate 0.3"]["value"] = 0.01
    assert "+0.010 to +0.040: on both sides of 0.02" in verdicts_page(found)
    row["claim"] |= {"expected": "equivalent", "smallest_effect": 0.05}
    assert "both sides of 0" not in verdicts_page(found)
    row["claim"]["expected"] = "increase"
    assert "both sides of 0" not in verdicts_page(found)  # all are below .05
    row["claim"] |= {"expected": "decrease", "smallest_effect": 0.02}
    row["settings"]["rate 1"]["value"] = -0.03
    assert "-0.030 to +0.010: on both sides of 0.02" in verdicts_page(found)


def test_a_test_has_the_verdicts_of_all_experiments_and_its_smallest_room() -> None:
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")]
        for line in verdicts_page(reports()).splitlines()
        if line.startswith("| T")
    }
    assert set(rows) == set(TESTS)
    assert rows["T5"][3:7] == [
        "[darling](darling.md)",
        "1 contradicted, 1 not tested",
        "1 supported",
        "0.5 (room below 1)",
    ]
    assert rows["T1"][3:7] == ["[diversity_tax](findings.md)", "1 supported", "–", "–"]
    assert rows["T12"][4] == "not run: preference_tuning"


def test_a_number_is_not_found_in_a_longer_one() -> None:
    rows = [claim("ten", "2411.16579 (T10)", "supported"), claim("one", "2504.07912, 2505.22617 (T1)", "supported")]
    found = claims_of({"x": report(rows, [])}, "T1")
    assert [row["claim"]["id"] for _, row, _ in found] == ["one"]


def test_every_claim_is_a_row_with_its_reason() -> None:
    text = verdicts_page(reports())
    assert "| [darling](darling.md)" in text and "statement of words" in text
    assert "inconclusive: not run" in text and "+0.031 [+0.021, +0.041]" in text


def test_an_experiment_stands_where_its_frontier_is_known() -> None:
    assert place_of(reports()["darling"]) == "priced"
    without = reports()["darling"]
    without["conditions"]["priced"]["frontier"] = None
    assert place_of(without) == "own"


def test_the_page_and_the_figure_are_written_into_a_project(tmp_path: Path) -> None:
    for name, one in reports().items():
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "report.json").write_text(json.dumps(one))
    (tmp_path / "docs").mkdir()
    files = write_verdicts(tmp_path)
    assert (tmp_path / "docs" / "verdicts.md").read_text() == verdicts_page(reports())
    assert [file.name for file in files] == ["verdicts.md", "verdicts.png"]
    assert files[1].stat().st_size > 5_000


def test_a_damaged_report_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "darling").mkdir()
    (tmp_path / "darling" / "report.json").write_text("{")
    with pytest.raises(BerrypickError, match=r"report\.json is damaged .*; restore it"):
        published_reports(tmp_path)


def test_tests_belong_to_systems_and_published_claims_to_tests() -> None:
    names = {system.name for system in SYSTEMS}
    assert list(TESTS) == [f"T{number}" for number in range(1, 13)]
    assert {owner for _, owner in TESTS.values()} <= names | {HEADLINE}
    for found in published_reports(RESULTS).values():
        for row in found["verdicts"]:
            assert set(re.findall(r"\bT\d+", row["claim"]["source"])) <= set(TESTS)


def test_claims_that_a_paper_does_not_make_count_as_ours() -> None:
    row = {"claim": {"id": "steep-floor", "source": "2510.22954"}}
    assert is_of_paper("darling", row) and not is_of_paper("hivemind", row)
    assert not is_of_paper("darling", {"claim": {"id": "a", "source": "control"}})
    assert not is_of_paper("darling", {"claim": {"id": "a", "source": "2510.22954, control"}})
    for name, report in published_reports(RESULTS).items():
        ours = {system.name: system.ours for system in SYSTEMS}.get(name, frozenset())
        assert ours <= {row["claim"]["id"] for row in report["verdicts"]}


def test_the_committed_page_is_that_of_the_committed_results() -> None:
    found = published_reports(RESULTS)
    if not found:
        pytest.skip("no committed results")
    assert (ROOT / "docs" / "verdicts.md").read_text() == verdicts_page(found)


def test_all_runs_each_in_its_folder_and_one_that_cannot_run_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("berrypick.experiments.commands.run.HEADLINE", "real_corpora")
    monkeypatch.setenv("BERRYPICK_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path / "cache"))
    known = {name: EXPERIMENTS[name] for name in ("real_corpora", "darling")}
    monkeypatch.setattr("berrypick.experiments.commands.run.EXPERIMENTS", known)
    command = ["run", "all", "--scale", "smoke", "--seeds", "1", "--out", str(tmp_path / "all")]
    assert main(command) == 1
    shown = capsys.readouterr()
    assert (tmp_path / "all" / "darling" / "report.json").is_file()
    assert "darling: " in shown.out and "real_corpora was not run: " in shown.out
    assert "darling (2 of 2)" in shown.err
    assert main([*command, "--json"]) == 1
    both = json.loads(capsys.readouterr().out)
    assert list(both["reports"]) == ["darling"] and list(both["refused"]) == ["real_corpora"]


def test_all_takes_no_single_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "all", "--out", str(tmp_path / "x"), "--cell", "y"]) == 2
    assert "are of one experiment" in capsys.readouterr().err


@pytest.mark.slow
def test_all_systems_run_at_smoke_and_go_on_where_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "all", "--scale", "smoke", "--seeds", "1", "--out", str(tmp_path / "all"), "--only", "tabular/*"]
    assert main(command) == 0
    names = [name for name in (HEADLINE, *(system.name for system in SYSTEMS)) if name in EXPERIMENTS]
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()[: len(names)]] == names
    stamps = {file: file.stat().st_mtime_ns for file in (tmp_path / "all").glob("*/cells/**/*.json")}
    assert main(command) == 0 and stamps
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps


def test_claims_of_a_grid_that_goes_on_wait_for_cells() -> None:
    found = reports()
    row = found["darling"]["verdicts"][2]
    row |= {"reason": "the grid goes on, 28 of its cells have not been run", "p_supported": None}
    assert "1 claim of language models still wait" in verdicts_page(found)
    row |= {"reason": "the interval holds both answers", "p_supported": 0.3}
    assert "0 claims of language models still wait" in verdicts_page(found)
