"""The pages of the site are true: their code and commands run, and print what they show."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from berrypick.__main__ import main
from berrypick.experiments.commands.parser import parse_command
from fixtures.machine import patience

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = (pytest.param("start", marks=pytest.mark.slow), "concepts", "models", "faq")
SMALL = {"--sft-steps": "2", "--steps": "1"}
"""What tests change in commands that train: fewer steps, on fewer questions."""


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def run(command: str) -> None:
    """Runs a command of a page as written, but trains little."""
    arguments = shlex.split(command)[1:]
    for flag, value in SMALL.items():
        if flag in arguments and arguments[0] == "train":
            arguments[arguments.index(flag) + 1] = value
    if arguments[0] == "train":
        arguments += ["--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "8"]
    if arguments[0] == "eval" and "runs/a" in arguments:
        arguments += ["--questions", "4", "--samples", "2"]
    assert main(arguments) == 0, command


@pytest.mark.timeout(patience(600))  # it trains
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.slow
def test_a_page_runs_from_its_first_line_to_its_last(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    printed = ""
    for language, file, body in FENCE.findall(page(name)):
        if language == "text":
            assert printed.strip() == body.strip()
            continue
        capsys.readouterr()
        if language == "python":
            exec(compile(body, f"docs/{name}.md", "exec", dont_inherit=True), names)
        elif language == "sh":
            for command in body.splitlines():
                run(command)
        else:
            assert language == "jsonl" and file, f"{language}: what should a test do with it?"
            Path(f"{file}.jsonl").write_text(body, encoding="utf-8")
        printed = capsys.readouterr().out


def test_the_costs_of_one_method_are_those_of_the_readme_and_of_the_reports() -> None:
    def report(name: str) -> Any:
        return json.loads((ROOT / "results" / name / "report.json").read_text(encoding="utf-8"))

    def claimed(name: str) -> float:
        (found,) = [row for row in report(name)["verdicts"] if row["claim"]["id"] == "priced-pass1"]
        return float(found["estimate"]["value"])

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    control, diverse = (
        float(re.findall(rf"^{name} +pass@1 ([.\d]+)", readme, re.M)[0]) for name in ("dr_grpo", "darling")
    )
    (model,) = re.findall(r"^\| priced +\| language model \| +8 +\| (-[.\d]+)", page("findings"), re.M)
    found = [
        diverse - control,
        claimed("diversity_tax"),
        float(model),
        -claimed("darling"),
        report("price_law")["runs"]["darling-0.1"]["tax"]["value"],
    ]
    shown = re.findall(r"^\| .* \| -(\.\d{3}) \|$", page("concepts"), re.MULTILINE)
    assert shown == [f"{-value:.3f}".removeprefix("0") for value in found]


def test_the_step_that_is_compared_with_trl_took_what_the_page_says() -> None:
    kept = json.loads((ROOT / "results" / "training" / "bench.json").read_text())
    found, text = kept["formats"], page("training")
    ours, theirs = found["GRPO step float32 s"], found["TRL step float32 s"]
    assert found["GRPO step float32: TRL / ours (bar 2)"] == pytest.approx(theirs / ours)
    said = re.search(r"took (\d+) s, and one\s+of TRL's trainer on the same questions (\d+) s: ([\d.]+) times", text)
    assert said is not None
    assert said.groups() == (f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.1f}")
    parsed = re.search(r"berrypick (bench train --policy smollm2 --formats .*)", text)
    assert parsed is not None and sorted(parsed[1].split()) == sorted(kept["command"].split())


def test_code_of_the_questions_and_answers_is_short() -> None:
    blocks = [body for language, _, body in FENCE.findall(page("faq")) if language == "python"]
    assert len(blocks) > 12
    assert max(len(body.splitlines()) for body in blocks) <= 12


def test_every_thread_of_the_questions_and_answers_has_code() -> None:
    entries = page("faq").split("\n### ")[1:]
    assert len(entries) >= 14
    for entry in entries:
        title, text = entry.split("\n", 1)
        assert re.search(r"^\*\([\w-]+ #\d+", text, re.MULTILINE), title
        assert "```" in text, title


def test_the_glossary_is_in_order_and_names_each_word_once() -> None:
    words = re.findall(r"^\| ([^|]+?) \| (?!meaning)", page("glossary"), re.MULTILINE)[0:]
    words = [word for word in words if set(word) != {"-"}]
    plain = [re.sub(r"[^a-z0-9@ ]", "", word.lower()) for word in words]
    assert len(words) > 40 and plain == sorted(plain) and len(set(words)) == len(words)
    wanted = {"episode", "turn", "hop", "rollout", "group", "query", "passage", "hit", "qrels", "advantage", "pass@k"}
    assert wanted | {"breadth", "frontier", "price"} <= set(words)


@pytest.mark.parametrize("name", ["agent", "notebooks", "training", "measures", *PAGES])
def test_commands_of_the_pages_parse(name: str) -> None:
    for command in re.findall(r"^(?:    )?berrypick .*$", page(name), re.MULTILINE):
        parse_command(shlex.split(command)[1:])
