"""`berrypick agent` on invented sets with a fresh tiny model: trained, measured beside its floors, resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import read_records
from berrypick.experiments.agent import FLOORS, RULES
from berrypick.experiments.agent.card import model_card
from berrypick.experiments.agent.recipe import AgentRecipe
from berrypick.experiments.commands.flags import Agent
from berrypick.policies.policy_rules import rules_of_policy
from fixtures.invented_sets import invented_sets

SMALL = ("--policy", "tiny", "--sft-steps", "2", "--holdout", "4", "--questions", "3")


def test_the_command_line_has_the_defaults_of_the_recipe() -> None:
    recipe, flags = asdict(AgentRecipe()), asdict(Agent())
    shared = flags.keys() & recipe.keys()
    assert shared == flags.keys() - {"out", "resume"}
    assert {name: flags[name] for name in shared} == {name: recipe[name] for name in shared}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run on two of three sets; tests leave it as it is."""
    place = tmp_path_factory.mktemp("agent")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BERRYPICK_DATA", str(invented_sets(place / "data", ("hotpotqa", "musique"))))
        assert main(["agent", "--out", str(place / "run"), *SMALL]) == 0
        yield place / "run"


@pytest.mark.slow
def test_it_trains_on_the_sets_that_are_there_and_measures_beside_the_floors(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert list(report["sets"]) == ["hotpotqa", "musique"]
    assert set(report["left_out"]) == {"2wikimultihopqa", "wiki18_singlehop"}
    assert report["training"] == {"questions": 24, "demonstrations": 16}
    rules = rules_of_policy(str(run / "train" / "adapter"))
    assert {name: rules[name] for name in RULES} == RULES and rules["max_new_tokens"] == 64
    for found in report["sets"].values():
        assert set(found["arms"]) == {"agent", *FLOORS}
        assert found["arms"]["never searches"]["measures"]["searches"]["value"] == 0
        assert found["arms"]["first title"]["measures"]["evidence_recall"]["value"] > 0
        assert found["arms"]["finds nothing"]["measures"]["evidence_recall"]["value"] == 0
        for floor in FLOORS:
            difference = found["differences"][f"agent - {floor}"]["differences"]["f1"]["value"]
            agent, other = (found["arms"][arm]["measures"]["f1"]["value"] for arm in ("agent", floor))
            assert difference == pytest.approx(agent - other)
    played = read_records(run / "hotpotqa" / "agent" / "rollouts.jsonl")
    demonstrated = {record.question.id for record in read_records(run / "train" / "demonstrations.jsonl")}
    assert len(played) == 3 and not demonstrated & {record.question.id for record in played}


@pytest.mark.slow
def test_a_second_call_plays_nothing_again_and_other_settings_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [*run.rglob("rollouts.jsonl"), *run.rglob("adapter_model.safetensors")]
    before = {file: file.stat().st_mtime_ns for file in files}
    assert len(before) == 2 * (1 + len(FLOORS)) + 1
    assert main(["agent", "--out", str(run), *SMALL]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["agent", "--out", str(run), *SMALL, "--resume"]) == 0
    assert {file: file.stat().st_mtime_ns for file in files} == before
    shown = capsys.readouterr().out
    assert "without 2wikimultihopqa: no folder" in shown and "berrypick play" in shown
    assert max(map(len, shown.partition("without")[0].splitlines())) <= 80
    (run / "musique" / "agent" / "rollouts.jsonl").unlink()
    assert main(["agent", "--out", str(run), *SMALL, "--resume"]) == 0
    assert (run / "musique" / "agent" / "rollouts.jsonl").is_file()
    assert main(["agent", "--out", str(run), *SMALL[:-1], "2", "--resume"]) == 2
    assert "questions" in capsys.readouterr().err


@pytest.mark.slow
def test_the_model_card_has_the_figures_of_the_report(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    card = (run / "train" / "adapter" / "README.md").read_text()
    assert card == model_card(report)
    row = report["sets"]["musique"]["arms"]["first title"]["measures"]["f1"]
    assert row["value"] == row["low"] == 0 and f"| 0.000 ≤{row['high']:.3f} |" in card
    assert "half of the 95 % interval over questions; ≤ ≥ its other end. Floors:" in card
    assert "HotpotQA (Yang et al., 2018), CC BY-SA 4.0" in card and "2WikiMultiHopQA (Ho" not in card


def test_without_any_set_one_line_says_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BERRYPICK_DATA", raising=False)
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path / "cache"))
    assert main(["agent", "--out", str(tmp_path / "run"), *SMALL]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1 and "berrypick data get hotpotqa" in error
    assert not (tmp_path / "run").exists()
