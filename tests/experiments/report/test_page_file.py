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
