"""The page of `berrypick report --by step`: curves with the onset, alarms, values and episodes by step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, write_records
from fixtures.browser import acted, visit
from fixtures.step_records import step_records

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"> \x1b[31m \u202egnihton"
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def rollouts(step: int, width: int) -> list[EpisodeRecord]:
    """Rollouts with hostile questions and the same group ids at every step."""
    return step_records(step, width, text=HOSTILE, group="{number}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    write_records(
        path, [record for step, width in {0: 4, 10: 4, 20: 1, 30: 1}.items() for record in rollouts(step, width)]
    )
    return path


def test_the_page_shows_the_curves_the_onset_and_the_alarms(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(file), "--by", "step"]) == 0
    page = file.with_name("run.jsonl.report_by_step.html")
    assert f"page:     {page}" in capsys.readouterr().out
    script = """
    const text = (selector) => [...document.querySelectorAll(selector)].map((part) => part.textContent);
    const policy = document.getElementById("policy");
    const options = [...policy.options].map((option) => option.textContent);
    policy.value = "2"; policy.dispatchEvent(new Event("change")); await sleep(300);
    return { takeaway: text(".takeaway"), alarms: text(".alarms li"), curves: text(".curves svg > title"),
             dashed: document.querySelectorAll(".curves path[stroke-dasharray]").length,
             names: text(".curves text.name"), fallen: text(".fallen"), options,
             count: document.getElementById("count").textContent, owned: document.querySelectorAll("img").length };
    """
    found, seen = acted(page, script)
    assert seen.console == []
    assert "narrower from step 20 on (distinct passages, " in found["takeaway"][0]
    assert len(found["alarms"]) == 1 and found["alarms"][0].startswith("narrowing, since step 20: entropy fell")
    assert "distinct passages over training steps" in found["curves"]
    assert "EM over training steps" not in found["curves"], "it never changes"
    assert found["dashed"] == found["names"].count("narrower from step 20") >= 3
    assert found["fallen"] and all(text.startswith("↓") for text in found["fallen"])
    assert found["options"] == ["all policies", "step 0", "step 10", "step 20", "step 30"]
    assert found["count"] == "80 of 320 episodes" and found["owned"] == 0
    assert "\u202e" not in seen.document and "\x1b" not in seen.document


def test_two_series_share_their_curves_and_keep_their_own_words(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    healthy = file.with_name("healthy.jsonl")
    write_records(healthy, [record for step in (0, 10, 20) for record in rollouts(step, 3 + step // 10)])
    page = file.with_name("both.html")
    assert main(["report", str(file), str(healthy), "--by", "step", "--html", str(page)]) == 0
    seen = visit(page)
    assert seen.console == []
    assert [
        text.endswith("no narrowing can be seen.") for text in re.findall(r'class="takeaway">(.*?)</p>', seen.document)
    ] == [
        False,
        True,
    ]
    assert "healthy.jsonl, step 20" in seen.document and "run.jsonl, step 20" in seen.document


def test_no_page_with_json_and_none_if_nobody_wants_one(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(file), "--by", "step", "--json"]) == 0
    change = json.loads(capsys.readouterr().out)["series"]["run.jsonl"]["change"]
    assert change["differences"]["distinct_passages"]["value"] == -3 and change["num_shared"] == 20
    assert main(["report", str(file), "--by", "step", "--no-html"]) == 0
    assert [path.name for path in file.parent.iterdir()] == ["run.jsonl"]
