"""Where a page may be written: nothing that was there is lost, but an earlier page is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from berrypick.__main__ import main

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=4"]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["eval", *WORLD, "--policy", "random_order", "--samples", "2", "--out", str(tmp_path / "e")]) == 0
    capsys.readouterr()
    return tmp_path / "e"


@pytest.mark.parametrize("name", ["rollouts.jsonl", "report.json", "new.html"])
def test_a_page_inside_a_run_folder_is_report_html_and_nothing_else(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert main(["report", str(run), "--html", str(run / name)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert main(["report", str(run), "--html", str(run / "report.html")]) == 0


def test_the_rollouts_that_are_read_are_never_the_page_even_behind_another_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = tmp_path / "rollouts.html"
    named.write_bytes((run / "rollouts.jsonl").read_bytes())
    link = tmp_path / "link.html"
    link.symlink_to(named)
    for page in (named, link):
        assert main(["report", str(named), "--html", str(page)]) == 2
        assert "choose another file" in capsys.readouterr().err
    assert named.read_bytes() == (run / "rollouts.jsonl").read_bytes()


def test_an_earlier_page_is_replaced_and_a_page_of_others_is_kept(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "ours.html", tmp_path / "theirs.htm"
    theirs.write_text("<!doctype html><title>thesis</title>")
    assert main(["report", str(run), "--html", str(ours)]) == 0
    first = ours.read_text()
    ours.write_text(first.replace("random_order", "older"))
    assert main(["report", str(run), "--html", str(ours)]) == 0
    assert ours.read_text() == first
    capsys.readouterr()
    assert main(["report", str(run), "--html", str(theirs)]) == 2
    assert "no page of berrypick" in capsys.readouterr().err
    assert theirs.read_text() == "<!doctype html><title>thesis</title>"


def test_a_report_writes_its_page_beside_the_rollouts_and_says_where(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (run / "report.html").is_file()  # eval wrote it
    (run / "report.html").unlink()
    assert main(["report", str(run), "--no-html"]) == 0
    assert "page:" not in capsys.readouterr().out and not (run / "report.html").exists()
    assert main(["report", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"page:     {run / 'report.html'}" in lines and f"rollouts: {run / 'rollouts.jsonl'}" in lines
    assert (run / "report.html").is_file()
    foreign = tmp_path / "theirs.jsonl"
    foreign.write_bytes((run / "rollouts.jsonl").read_bytes())
    assert main(["report", str(foreign), "--json"]) == 0
    assert not (tmp_path / "theirs.jsonl.report.html").exists()
    assert main(["report", str(foreign)]) == 0
    assert (tmp_path / "theirs.jsonl.report.html").is_file()


def test_a_comparison_leaves_the_page_of_each_run_alone(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "o"
    assert main(["eval", *WORLD, "--policy", "best_order", "--samples", "2", "--out", str(other)]) == 0
    own = [(folder / "report.html").read_bytes() for folder in (run, other)]
    capsys.readouterr()
    assert main(["report", str(run), str(other)]) == 0
    assert f"{run / 'comparison.html'}" in capsys.readouterr().out
    assert (run / "comparison.html").read_bytes() not in own
    assert [(folder / "report.html").read_bytes() for folder in (run, other)] == own
    assert main(["report", str(run), str(other), "--html", str(run / "new.html")]) == 2
    assert "must be named comparison.html" in capsys.readouterr().err


def test_no_page_is_written_where_it_would_be_in_the_way_and_the_screen_says_why(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shut = tmp_path / "shut"
    shut.mkdir()
    (shut / "theirs.jsonl").write_bytes((run / "rollouts.jsonl").read_bytes())
    shut.chmod(0o555)
    try:
        assert main(["report", str(shut / "theirs.jsonl")]) == 0
        assert "not writable; choose a place with --html FILE" in capsys.readouterr().out
    finally:
        shut.chmod(0o755)
    assert [file.name for file in shut.iterdir()] == ["theirs.jsonl"]
    (run / "report.html").write_text("a thesis")
    assert main(["report", str(run)]) == 0
    assert "is no page of berrypick" in capsys.readouterr().out
    assert (run / "report.html").read_text() == "a thesis"
    assert main(["report", str(run), "--html", str(tmp_path / "x.html"), "--no-html"]) == 2


def test_eval_without_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", *WORLD, "--policy", "random_order", "--samples", "2", "--out", str(tmp_path / "e"), "--no-html"]
    assert main(words) == 0
    assert not (tmp_path / "e" / "report.html").exists()
