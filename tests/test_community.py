"""The files around the code: citation, templates, changelog, cards. Each is what its readers expect."""

from __future__ import annotations

import csv
import gzip
import lzma
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="the train extra brings PyYAML")

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
CFF_KEYS = {
    "cff-version", "message", "type", "title", "abstract", "authors", "version", "date-released", "license", "keywords",
    "doi", "identifiers", "repository-code", "url", "preferred-citation", "references", "contact", "commit",
}  # fmt: skip
"""Keys of the Citation File Format 1.2.0 that a citation of software may have."""


def test_the_citation_is_valid_in_version_1_2_0_of_the_format() -> None:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= found.keys() <= CFF_KEYS
    assert found["cff-version"] == "1.2.0" and found["type"] in ("software", "dataset")
    assert all(isinstance(found[key], str) and found[key] for key in ("message", "title", "abstract", "version"))
    assert found["authors"] and all({"name"} <= author.keys() for author in found["authors"])
    assert all(isinstance(word, str) for word in found["keywords"]) and len(set(found["keywords"])) >= 3
    assert (found["version"], found["license"]) == (PROJECT["version"], PROJECT["license"])
    assert [author["name"] for author in found["authors"]] == [author["name"] for author in PROJECT["authors"]]


@pytest.mark.parametrize("file", [file for file in TEMPLATES if file.stem != "config"], ids=lambda file: file.stem)
def test_an_issue_template_is_a_form(file: Path) -> None:
    form = yaml.safe_load(file.read_text())
    assert form["name"] and form["description"] and isinstance(form["labels"], list)
    ids = [part["id"] for part in form["body"]]
    assert len(ids) == len(set(ids)) and {part["type"] for part in form["body"]} <= KINDS
    for part in form["body"]:
        assert part["attributes"]["label"]
        assert part["type"] not in ("dropdown", "checkboxes") or part["attributes"]["options"]
        assert isinstance(part.get("validations", {}).get("required", False), bool)


def test_there_are_templates_for_bugs_questions_additions_and_changes() -> None:
    assert {file.stem for file in TEMPLATES} == {"bug", "question", "addition", "config"}
    text = (ROOT / ".github" / "pull_request_template.md").read_text()
    assert "make lint" in text and "CHANGELOG.md" in text


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (\d+\.\d+\.\d+)(?: \((?:not released yet|\d{4}-\d{2}-\d{2})\))?$", text, re.MULTILINE)
    assert headings and headings[0] == PROJECT["version"] and len(headings) == text.count("\n## ")
    for command in re.findall(r"`berrypick ([a-z-]+)(?: ([a-z]+))?`", text):
        from berrypick.experiments.commands.parser import COMMANDS, CommandGroup

        entry = COMMANDS[command[0]]
        assert not command[1] or (isinstance(entry, CommandGroup) and command[1] in entry.commands())


def front_matter(file: Path) -> tuple[dict[str, Any], str]:
    head, text = re.fullmatch(r"---\n(.*?)\n---\n(.*)", file.read_text(), re.DOTALL).groups()  # type: ignore[union-attr]
    return yaml.safe_load(head), text


def test_each_kept_policy_has_a_model_card_that_hubs_can_read() -> None:
    cards = sorted((ROOT / "policies" / "kept").glob("*/README.md"))
    assert cards
    for card in cards:
        head, text = front_matter(card)
        assert head["license"] and head["base_model"] and head["datasets"] and head["library_name"] == "peft"
        assert all(part in text for part in ("## Training", "## Figures", "## Limits", "licences"))


RESULTS = ROOT / "results"


def test_the_card_of_the_results_names_every_table_with_its_rows() -> None:
    head, text = front_matter(RESULTS / "README.md")
    assert head["license"] == "mit" and head["pretty_name"]
    rows = {
        name: int(count) for name, count in re.findall(r"^\| `([\w/.]+\.(?:gz|xz))` \| (\d+) \|", text, re.MULTILINE)
    }
    files = [file for end in ("csv.gz", "jsonl.xz") for file in RESULTS.rglob(f"*.{end}")]
    assert {file.relative_to(RESULTS).as_posix() for file in files} == rows.keys()
    for name, count in rows.items():
        if name.endswith(".gz"):
            with gzip.open(RESULTS / name, "rt") as file:
                assert sum(1 for _ in csv.DictReader(file)) == count, name
        else:
            with lzma.open(RESULTS / name) as file:
                assert sum(1 for _ in file) == count, name
    assert sum(count for name, count in rows.items() if name.endswith(".gz")) > 10_000, "the size category"
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (RESULTS / target).resolve().exists(), target


def test_the_code_of_the_card_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (RESULTS / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(code, "results/README.md", "exec", dont_inherit=True), {})
    assert capsys.readouterr().out == "208 True\n"
