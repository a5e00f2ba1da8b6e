"""`make pages` writes again what tests hold to the results and the code."""

from __future__ import annotations

import runpy
from pathlib import Path
from shutil import copy, copytree

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_all_generated_texts_are_written_again_and_nothing_else_changes(tmp_path: Path) -> None:
    if not (ROOT / "results" / "darling" / "report.json").is_file():
        pytest.skip("no committed results")
    copytree(ROOT / "results", tmp_path / "results")
    (tmp_path / "docs").mkdir()
    for page in (ROOT / "docs").glob("*.md"):
        copy(page, tmp_path / "docs")
    copy(ROOT / "README.md", tmp_path)
    write = runpy.run_path(str(ROOT / "tools" / "pages.py"))["main"]
    assert write(tmp_path) == []

    def damage(name: str, text: str, other: str) -> None:
        file = tmp_path / name
        assert text in file.read_text("utf-8")
        file.write_text(file.read_text("utf-8").replace(text, other, 1), "utf-8")

    damage("README.md", " supported, ", "0 supported, ")
    damage("results/README.md", "grid_cells.jsonl.xz` | ", "grid_cells.jsonl.xz` | 1")
    damage("docs/darling.md", "## Limits", "## Limit")
    damage("docs/measures.md", "# Measures", "# Measure")
    damage("docs/verdicts.md", "#", "##")
    damaged = ["README.md", "docs/darling.md", "docs/measures.md", "docs/verdicts.md", "results/README.md"]
    assert write(tmp_path) == damaged
    for name in damaged:
        assert (tmp_path / name).read_text("utf-8") == (ROOT / name).read_text("utf-8")
