"""`berrypick report`: bad lines, arms of different sizes, and a screen as wide as the terminal."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.experiments.report.columns import blocks, column_notes
from berrypick.experiments.report.terminal import final_screen
from rich.console import Console

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6"]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    play(tmp_path / "run")
    capsys.readouterr()
    return tmp_path / "run"


def play(out: Path, *more: str, policy: str = "random_order", samples: int = 4) -> None:
    words = ["eval", *WORLD, "--policy", policy, "--samples", str(samples), "--out", str(out), *more]
    assert main(words) == 0


def test_a_line_that_was_cut_off_is_left_out_and_named_and_strict_stops_there(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run / "rollouts.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert main(["report", str(run), "--strict"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "rollouts.jsonl:24: not valid JSON" in err and "report without --strict" in err
    assert main(["report", str(run), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0].startswith(f"skipped {file}:24: not valid JSON")
    assert err.splitlines()[1:] == ["1 line skipped"]
    report = json.loads(out)
    assert report["lines_left_out"] == 1
    assert report["arms"]["run"]["num_episodes"] == 23
    assert main(["report", str(run), "--skip-bad"]) == 0
    assert "bad lines left out: 1" in capsys.readouterr().out


def test_eval_resume_says_how_a_damaged_record_is_played_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run / "rollouts.jsonl"
    before = file.read_bytes()
    file.write_bytes(before[:-20])
    assert main(["eval", *WORLD, "--policy", "random_order", "--samples", "4", "--out", str(run), "--resume"]) == 2
    assert f"remove {file} and play it again with --resume" in capsys.readouterr().err
    file.unlink()
    play(run, "--resume")
    assert file.read_bytes() == before


def test_episodes_are_never_counted_twice(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = tmp_path / "twice.jsonl"
    twice.write_bytes((run / "rollouts.jsonl").read_bytes() * 2)
    assert main(["report", str(twice), "--strict"]) == 2
    assert "twice.jsonl:25: sample 0 of group" in capsys.readouterr().err
    assert main(["report", str(twice), "--skip-bad", "--json"]) == 0
    once = json.loads(capsys.readouterr().out)["arms"]["twice.jsonl"]
    assert main(["report", str(run), "--json"]) == 0
    assert once == json.loads(capsys.readouterr().out)["arms"]["run"]


def test_arms_of_different_sizes_are_told_apart_and_what_is_paired_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(tmp_path / "fewer", "--questions", "5", policy="best_order", samples=8)
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert main(["report", str(run), str(tmp_path / "fewer"), "--html", str(page)]) == 0
    out = capsys.readouterr().out
    for shown in (out, page.read_text()):
        assert "run: 6 questions x 4 samples" in shown
        assert "fewer: 5 questions x 8 samples" in shown
        assert "compared on the 5 questions of both, 4 samples each; questions of one arm only: 1" in shown
        assert "these arms answered different ones" in " ".join(shown.split())
    assert "not measured in run: pass@8\n" in out


def test_arms_of_one_size_share_a_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    play(tmp_path / "other", policy="best_order")
    capsys.readouterr()
    assert main(["report", str(run), str(tmp_path / "other")]) == 0
    out = capsys.readouterr().out
    assert out.count("6 questions x 4 samples") == 1
    assert "compared on" not in out


def test_a_question_with_fewer_samples_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run / "rollouts.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-3]))
    assert main(["report", str(run)]) == 0
    assert "6 questions, 21 episodes, a different number for each question" in capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_row_is_wider_than_the_terminal_and_none_is_cut(
    width: int, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads((run / "report.json").read_text())
    report["arms"] = {"a": report["arms"]["run"], "another policy": report["arms"]["run"]}
    with Console(width=width, record=True, force_terminal=True) as console:
        final_screen(console, "title", report)
    capsys.readouterr()
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= min(width, 100)
    assert "…" not in text
    for label in ("pass@1", "to frontier", "evid. recall", "right search", "semantic", "another policy"):
        assert label in text


def test_the_screen_ends_with_the_takeaway_the_places_and_the_next_command(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(tmp_path / "other", policy="best_order")
    assert "95 % interval" in capsys.readouterr().out
    assert main(["report", str(run), str(tmp_path / "other")]) == 0
    lines = capsys.readouterr().out.splitlines()
    places = [line.split(":")[0] for line in lines[-4:]]
    assert places == ["page", "rollouts", "rollouts", "next"]
    said = " ".join(" ".join(lines[:-4]).split("\n")).split("several tries")[-1]
    assert "other" in said and "run" in said and said.rstrip().endswith(".")


@pytest.mark.parametrize("variable", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_pipe_gets_no_colour_codes_and_no_cut_columns(
    variable: dict[str, str], run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["report", str(run)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "…" not in out
    assert "to frontier" in out and "berrypick explain MEASURE" in out


def test_no_color_on_a_terminal_leaves_no_colours(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    codes = {}
    for name, environment in (("coloured", {}), ("plain", {"NO_COLOR": "1"})):
        console = Console(
            width=100, record=True, force_terminal=True, color_system="truecolor", _environ=environment, file=StringIO()
        )
        final_screen(console, "title", report)
        codes[name] = console.file.getvalue()
    colour = re.compile(r"\x1b\[1;[39]\d")  # rich keeps the codes of the first console that used a style
    assert colour.search(codes["coloured"]) and not colour.search(codes["plain"])


def test_each_table_is_explained_in_one_line_of_100_columns(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads((run / "report.json").read_text())
    for keys in blocks(report).values():
        assert 0 < len(column_notes(keys)) <= 100
    for arm in report["arms"].values():
        arm["measures"] = {key: row for key, row in arm["measures"].items() if "plan" not in key}
    for keys in blocks(report).values():
        assert 0 < len(column_notes(keys)) <= 100


def test_names_and_paths_with_escapes_are_shown_as_text(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "a\x1b[31m\u202ered [bold]b"
    odd.mkdir()
    (odd / "rollouts.jsonl").write_bytes((run / "rollouts.jsonl").read_bytes())
    assert main(["report", str(run), str(odd)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\u202e" not in out
    assert "a\\u001b[31m\\u202ered [bold]b/report.html" not in out  # the page is beside the first path
    assert "\\u001b[31m\\u202ered [bold]b/rollouts.jsonl" in out
