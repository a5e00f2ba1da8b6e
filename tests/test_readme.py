"""The README is true: its code runs, its commands parse, its excerpt is what the results render to."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import pytest

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


def test_the_readme_is_short_and_its_make_targets_and_folders_exist() -> None:
    assert len(README.splitlines()) <= 110
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^    make ([\w-]+)", README, re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    folders = re.findall(r"^    (\w+)/ +(.*)$", README.split("## Layout")[1], re.MULTILINE)
    assert {folder for folder, _ in folders} == {"retrieval_index", "envs", "policies", "experiments"}
    assert all((ROOT / folder).is_dir() for folder, _ in folders)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    from berrypick.experiments.commands.parser import parse_command

    assert parse_command(shlex.split(command)[1:])


def test_the_commands_for_your_own_corpus_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from berrypick.__main__ import main

    monkeypatch.chdir(tmp_path)
    data = (ROOT / "docs" / "data.md").read_text()
    for name, body in re.findall(r"```jsonl (\w+)\n(.*?)```", data, re.DOTALL):
        Path(f"{name}.jsonl").write_text(body)
    commands = [command for command in COMMANDS if "corpus.jsonl" in command or "questions.jsonl" in command]
    assert len(commands) == 3
    for command in commands:
        arguments = shlex.split(command)[1:]
        if "--policy" in arguments:  # a model hub is not asked
            arguments[arguments.index("--policy") + 1] = "question"
        assert main(arguments) == 0, command
    assert Path("runs/mine/rollouts.jsonl").is_file()


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 5


def test_local_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_answer_is_that_of_the_findings() -> None:
    page = (ROOT / "docs" / "findings.md").read_text().split("-->")[1].strip()
    answer = page.splitlines()[0].strip("*")
    quoted = " ".join(line[2:] for line in README.splitlines() if line.startswith("> "))
    assert quoted == answer


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
