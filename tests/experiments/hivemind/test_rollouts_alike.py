"""Rollouts on a real corpus: played by scripted policies, compared by two encoders, shown on the page, or skipped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.hivemind import EXPERIMENT
from berrypick.experiments.hivemind.rollouts import AGENT, ARMS, rollout_cells, rollout_section, run_rollout_cell
from berrypick.policies.kept import kept_folder


def few(arms: dict) -> object:
    (cell,) = rollout_cells()
    return replace(cell, config={**cell.config, "questions": 6, "samples": 2, "arms": arms})


def test_without_data_the_cell_says_why_it_is_skipped(monkeypatch, tmp_path):
    monkeypatch.setenv("BERRYPICK_DATA", str(tmp_path))
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path))
    found = run_rollout_cell(few({"question": ["question", 1.0, 1.0]}))
    assert "hotpotqa" in found["skipped"] and found["checkpoints"] == {"0": {}}
    assert "Skipped: " in rollout_section(found)


def test_the_grid_has_the_cell_at_full_scale_alone_and_reports_without_it():
    keys = {scale: [cell.key for cell in EXPERIMENT.cells(scale, 1)] for scale in ("smoke", "full")}
    assert "real/hotpotqa" in keys["full"] and "real/hotpotqa" not in keys["smoke"]
    report = EXPERIMENT.report(Results(), "full", 1)
    assert report["rollouts"] == {} and "Not run." in EXPERIMENT.pages({**report, "command": ""})["hivemind.md"]


def test_the_demonstrator_is_the_one_that_the_agents_card_names():
    policy, temperature, top_p = ARMS["its demonstrator"]
    card = kept_folder(AGENT) / "README.md"
    assert f"demonstrations of the scripted policy `{policy}` " in " ".join(card.read_text().split())
    assert (temperature, top_p) == (1.0, 1.0)


@pytest.mark.slow
def test_scripted_policies_on_hotpotqa(shared_data, monkeypatch):
    monkeypatch.setenv("BERRYPICK_DATA", str(shared_data))
    arms = {name: list(ARMS[name]) for name in ("asks the question", "follows titles")}
    found = run_rollout_cell(few(arms))["likeness"]
    assert set(found) == {"words", "MiniLM"}
    for rows in found.values():
        assert set(rows) == {*arms, "asks the question | follows titles", "a web search agent", "a finance agent"}
        asks = rows["asks the question"]
        # it always does the same, so that rollouts differ by question alone
        assert asks["alike"]["value"] == pytest.approx(1, abs=1e-5)
        assert rows["follows titles"]["alike"]["value"] < 0.95
        assert asks["high"]["value"] == 1 and asks["floor"]["value"] < 0.7
        assert "alike" not in rows["a finance agent"]
    text = rollout_section({"likeness": found})
    assert text.count("| a finance agent") == 2 and "asks the question with follows titles" in text
