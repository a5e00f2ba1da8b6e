"""`berrypick report --by step`: the table, the onset of narrowing and the alarms, on planted series."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import write_records
from berrypick.experiments.measures.by_step import series_by_step
from berrypick.retrieval_index.errors import BerrypickError
from fixtures.step_records import step_records


def file_of(path: Path, widths: dict[int | None, int]) -> Path:
    write_records(path, [record for step, width in widths.items() for record in step_records(step, width)])
    return path


def test_the_onset_is_the_first_step_from_which_all_are_below() -> None:
    widths = {0: 4, 10: 3, 20: 4, 30: 2, 40: 1}
    records = [record for step, width in widths.items() for record in step_records(step, width)]
    (series,) = series_by_step({"run": records}).values()
    assert [row["step"] for row in series["steps"]] == [0, 10, 20, 30, 40]
    assert [row["measures"]["distinct_passages"]["value"] for row in series["steps"]] == [4, 3, 4, 2, 1]
    # step 10 is below too, but step 20 is not
    assert series["onset"]["distinct_passages"] == {"step": 30, "steps_below": 2}
    assert series["onset"]["path_entropy"] == {"step": 30, "steps_below": 2}
    assert "breadth" not in series["onset"], "no evidence is known"
    (alarm,) = series["alarms"]
    assert alarm["name"] == "narrowing" and alarm["step"] == 30 and alarm["lasts"]


def test_a_stationary_series_has_no_onset() -> None:
    records = [record for step in range(5) for record in step_records(step, 3)]
    (series,) = series_by_step({"run": records}).values()
    assert set(series["onset"].values()) == {None} and series["alarms"] == []


def test_steps_are_compared_on_shared_questions_and_equally_many_rollouts() -> None:
    first, second = step_records(0, 4), step_records(10, 4, questions=5)
    second = [record for record in second if record.sample_index < 2]
    (series,) = series_by_step({"run": [*first, *second]}).values()
    assert [(row["num_questions"], row["samples"]) for row in series["steps"]] == [(5, 2), (5, 2)]
    assert series["shared"] and set(series["onset"].values()) == {None}


def test_arms_of_one_step_each_are_one_series() -> None:
    arms = {"a": step_records(0, 4), "b": step_records(10, 1)}
    assert list(series_by_step(arms)) == ["a, b"]
    both = {"a": [*step_records(0, 4), *step_records(10, 4)], "b": [*step_records(0, 4), *step_records(10, 1)]}
    assert list(series_by_step(both)) == ["a", "b"]


def test_the_screen_marks_the_onset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = file_of(tmp_path / "run.jsonl", {0: 4, 10: 4, 20: 1, 30: 1, None: 2})
    assert main(["report", str(file), "--by", "step"]) == 0
    out = capsys.readouterr().out
    assert "left out: 80 rollouts without a step" in out
    flat = " ".join(out.split())
    assert re.search(
        r"< narrowing from step 20 on: distinct passages, .* \(below the first step's interval at 2 of 4", flat
    )
    assert "narrower from step 20 on (distinct passages, " in flat and "1 alarm: narrowing." in flat
    assert "alarm: narrowing, since step 20: entropy fell from" in out
    row = next(line for line in out.split("Breadth")[1].splitlines() if line.strip().startswith("step 20"))
    assert row.count("<") >= 3
    assert "<" not in next(line for line in out.splitlines() if line.strip().startswith("step 10"))
    assert main(["report", str(file), "--by", "step", "--json"]) == 0
    series = json.loads(capsys.readouterr().out)["series"]["run.jsonl"]
    assert series["onset"]["distinct_passages"]["step"] == 20 and series["left_out"] == 80
    assert main(["report", str(file), "--json"]) == 0  # all steps at once, which is said
    assert "run.jsonl: 5 checkpoint steps are measured together; --by step keeps them apart" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("widths", "message"),
    [({None: 4}, "has no checkpoint_step"), ({7: 4}, "has rollouts of step 7 only; a series needs two steps")],
)
def test_what_is_no_series_is_one_line(
    widths: dict[int | None, int], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(file_of(tmp_path / "r.jsonl", widths)), "--by", "step"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def of_run(widths: dict[int, int]):
    records = [record for step, width in widths.items() for record in step_records(step, width)]
    return series_by_step({"run": records})["run"]


def test_a_fall_at_the_second_step_is_an_onset_and_the_change_is_last_minus_first() -> None:
    series = of_run({10: 1, 0: 4})
    assert series["onset"]["distinct_passages"] == {"step": 10, "steps_below": 1}
    assert series["change"]["differences"]["distinct_passages"]["value"] == -3.0
    assert series["left_out"] == 0 and series["shared"] is True
    three = of_run({0: 4, 10: 1, 20: 2})
    assert three["change"]["differences"]["distinct_passages"]["value"] == -2.0  # of the last, not of the second


def test_one_narrow_checkpoint_is_no_alarm() -> None:
    assert of_run({0: 4, 10: 1, 20: 4})["alarms"] == []
    (alarm,) = of_run({0: 4, 10: 1, 20: 1})["alarms"]
    assert (alarm["step"], alarm["until"], alarm["lasts"]) == (10, 20, True) and alarm["text"].startswith("narrowing")


def test_steps_without_a_shared_question_are_measured_apart() -> None:
    second = [
        record.model_copy(update={"question": record.question.model_copy(update={"id": f"other{record.question.id}"})})
        for record in step_records(10, 2)
    ]
    (series,) = series_by_step({"run": [*step_records(0, 4), *second]}).values()
    assert series["shared"] is False and series["change"] is None
    assert [row["num_questions"] for row in series["steps"]] == [20, 20]
    assert [row["measures"]["distinct_passages"]["value"] for row in series["steps"]] == [4, 2]


def test_the_first_rollouts_of_each_question_are_compared_in_any_order_of_the_file() -> None:
    few = [record for record in step_records(10, 4) if record.sample_index < 1]
    (series,) = series_by_step({"run": [*step_records(0, 4)[::-1], *few]}).values()
    assert [row["samples"] for row in series["steps"]] == [1, 1]
    assert [row["measures"]["pass@1"]["value"] for row in series["steps"]] == [0.0, 0.0]  # odd samples are right


def test_arms_are_one_series_only_if_each_has_a_step_of_its_own() -> None:
    lost = step_records(None, 4)[:6]
    (merged,) = series_by_step({"a": [*step_records(0, 4), *lost], "b": [*step_records(10, 1), *lost[:2]]}).values()
    assert merged["left_out"] == 8 and [row["step"] for row in merged["steps"]] == [0, 10]
    two = [*step_records(0, 4), *step_records(10, 4)]
    for arms in ({"a": two, "b": step_records(20, 1)}, {"a": step_records(0, 4), "b": step_records(0, 1)}):
        with pytest.raises(BerrypickError, match="only; a series needs two steps"):
            series_by_step(arms)


def test_a_reward_that_contradicts_exact_match_is_in_the_table_and_the_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [record for step in (0, 10) for record in step_records(step, 2)]
    for record in records:
        record.em, record.reward = 0.0, float(record.checkpoint_step == 10)
    write_records(tmp_path / "run.jsonl", records)
    assert main(["report", str(tmp_path / "run.jsonl"), "--by", "step", "--no-html"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    half = len(records) // 2
    assert f"which the recorded rewards contradict in {half} of {half} rollouts of step 10." in shown
    assert "rec. reward" in shown
    (series,) = series_by_step({"run": records}).values()
    first, last = series["steps"]
    assert "reward_against_em" not in first and last["reward_against_em"]["rewarded"] == half
