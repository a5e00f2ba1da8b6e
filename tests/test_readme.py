"""The README is true: its code runs, its commands parse, its excerpt is what the results render to."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fixtures.machine import patience

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    (berrypick [a-z]+(?: .*?)?)(?:\s{2,}#.*)?$", README, re.MULTILINE)


def test_the_python_block_prints_what_the_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```\n```text\n(.*?)```", README, re.DOTALL)
    assert blocks and len(blocks) == README.count("```python")
    for code, shown in blocks:
        exec(compile(code, "README.md", "exec"), {})
        printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
        assert [line for line in printed if line] == shown.splitlines()


def test_the_sentence_about_the_other_records_is_true() -> None:
    import berrypick  # noqa: F401
    import gymnasium as gym

    assert "The ledger and the charter would have" in README
    for kind in ("ledger", "charter"):
        env = gym.make("berrypick/World-v0", preset="priced")
        env.reset(seed=7)
        assert f"{kind}: the founder of vufinka is lost." in env.step(f"<search> {kind} founder vufinka </search>")[0]


def test_the_readme_is_short_and_its_make_targets_exist() -> None:
    assert len(README.splitlines()) <= 130
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^    make ([\w-]+)", README, re.MULTILINE)
    assert {"demo", "agent"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    from berrypick.experiments.commands.parser import parse_command

    assert parse_command(shlex.split(command)[1:])


SMALL = {"--sft-steps": ("2",), "--steps": ("1",), "HuggingFaceTB/SmolLM2-135M-Instruct": ("tiny",)}
"""What a test changes: little training, and no model hub."""


def small(command: str) -> list[str]:
    """The command's arguments, for a run of seconds."""
    arguments = [word.replace("sft-000520", "sft-000002") for word in shlex.split(command)[1:]]
    for name, value in SMALL.items():
        if name in arguments and "0" not in arguments[arguments.index(name) + 1 :][:1]:
            at = arguments.index(name) + (1 if name.startswith("--") else 0)
            arguments[at] = value[0]
    if arguments[0] == "train":
        arguments += ["--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "8"]
    if arguments[0] == "eval":
        arguments += ["--questions", "1"]
    return arguments


@pytest.mark.timeout(patience(600))  # it trains
@pytest.mark.slow
def test_the_recipes_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from berrypick.__main__ import main

    monkeypatch.chdir(tmp_path)
    docs = ROOT / "docs"
    for name, body in re.findall(r"```jsonl (\w+)\n(.*?)```", (docs / "data.md").read_text(), re.DOTALL):
        Path(f"{name}.jsonl").write_text(body)
    (rollouts,) = re.findall(r"```jsonl rollouts\n(.*?)```", (docs / "rollouts.md").read_text(), re.DOTALL)
    Path("THEIRS.jsonl").write_text(rollouts)
    objective = re.findall(r"```python\n(.*?)```", (docs / "objectives.md").read_text(), re.DOTALL)[0]
    Path("few_queries.py").write_text(objective)
    recipes = README.split("## Recipes")[1].split("\n## ")[0]
    commands = [command for command in COMMANDS if command in recipes]
    assert len(commands) == 11 and len(re.findall(r"^\*\*", recipes, re.MULTILINE)) == 5
    for command in commands:
        assert main(small(command)) == 0, (command, capsys.readouterr().err)
    assert all(Path(f"runs/{name}/rollouts.jsonl").is_file() for name in ("a-test", "b-test", "model", "mine"))
    assert Path("runs/b-test/comparison.html").is_file()
    assert "few_queries" in Path("runs/few/config.json").read_text()


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 5


def test_local_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_answer_is_that_of_the_findings() -> None:
    page = (ROOT / "docs" / "findings.md").read_text().split("-->")[1].strip()
    answer = page.splitlines()[0].strip("*")
    line = README.splitlines()[2]
    assert answer in line
    assert "when, and why?" in line and "Scope: planted worlds and tables" in line


def test_the_verdicts_are_those_of_their_page() -> None:
    page = (ROOT / "docs" / "verdicts.md").read_text()
    (found,) = re.findall(r"(\d+) of the papers \(([^()]*)\)", page)
    said = " ".join(README.split())
    assert f"verdicts](docs/verdicts.md) on {found[0]} claims of the papers: {found[1]} ([figure]" in said


def test_the_badges_are_true() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (badges,) = re.findall(r"^`Python (.*?)` `(\w+)` `(\w+)` ", README, re.MULTILINE)
    versions = [line.split(" :: ")[-1] for line in project["classifiers"] if ":: 3." in line]
    assert badges[0].split(" | ") == versions
    assert badges[1] == project["license"]
    assert "Typing :: Typed" in project["classifiers"] and badges[2] == "typed" and (ROOT / "py.typed").is_file()


def test_the_figure_is_drawn_from_the_committed_results() -> None:
    done = subprocess.run([sys.executable, "docs/tools/headline_figure.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    drawn = (ROOT / "docs" / "headline.svg").read_text()
    assert drawn == done.stdout, "run: python docs/tools/headline_figure.py > docs/headline.svg"
    answer = README.splitlines()[2]
    said = re.findall(r"([\d.]+) ±[\d.]+, of it ([\d.]+) asked", drawn)
    assert len(said) == 2
    for tax, price in said:
        assert re.search(rf"(helps|cue\)): {tax} less", answer) and f"asks {price}" in answer
    assert "prefers-color-scheme:dark" in drawn


def test_the_recording_is_small_still_for_those_who_ask_and_harmless() -> None:
    film = ROOT / "docs" / "live.svg"
    text = film.read_text(encoding="utf-8")
    assert film.stat().st_size <= 1_000_000
    root = ElementTree.fromstring(text)
    names = {element.tag.split("}")[1] for element in root.iter()}
    assert names <= {"svg", "title", "style", "rect", "text", "tspan", "defs", "g", "use"}
    assert not re.search(r"(?:href|src)=\"(?!#)|url\(|@import|<script", text)
    assert "prefers-reduced-motion" in text and "berrypick train" in text
    shown = " ".join(root.itertext())
    assert all(word in shown for word in ("SFT loss", "reward", "pass@1", "breadth", "an episode of the last step"))


RESULTS = ROOT / "results" / "demo"


def test_the_excerpt_is_what_the_committed_report_renders_to() -> None:
    from berrypick.experiments.demo.demo import print_demo
    from rich.console import Console

    screen = io.StringIO()
    print_demo(json.loads((RESULTS / "seed-0.json").read_text()), Console(file=screen, width=100))
    rendered = [line.rstrip() for line in screen.getvalue().splitlines()]
    excerpt = re.search(r"<!-- excerpt:demo -->\n+(.*?)\n+<!-- /excerpt -->", README, re.DOTALL)
    assert excerpt
    shown = [line[4:].rstrip() for line in excerpt.group(1).splitlines()]
    assert len(shown) > 10
    assert "\n".join(shown) in "\n".join(rendered)


def test_the_results_page_is_generated_from_the_committed_numbers() -> None:
    from berrypick.experiments.demo.page import demo_page

    checks = {path.stem.removeprefix("sft-check-"): path for path in sorted(RESULTS.glob("sft-check-*.json"))}
    assert checks
    pooled = json.loads((RESULTS / "report.json").read_text())
    page = demo_page(pooled, {seed: json.loads(path.read_text()) for seed, path in checks.items()})
    assert (RESULTS / "README.md").read_text() == page
