"""Rewrites everything that is generated from the committed results and the code; a test holds each text to them.

`python tools/pages.py` writes the pages of experiments and verdicts, the reference pages of environments, rollouts and
measures, and the counts in README.md and results/README.md, and prints the files that have changed.
"""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from berrypick.envs.documentation import environments_page
from berrypick.envs.importers.documentation import rollouts_page
from berrypick.experiments.registry import EXPERIMENTS, open_experiment
from berrypick.experiments.report.documentation import measures_page
from berrypick.experiments.verdicts import write_verdicts

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent


def main(root: Path = ROOT) -> list[str]:
    """Writes them; returns the files, below the root, whose text has changed."""
    results, docs = root / "results", root / "docs"
    kept = {file: file.read_text("utf-8") for file in (*docs.glob("*.md"), root / "README.md", results / "README.md")}
    for name in EXPERIMENTS:
        report = results / name / "report.json"
        if report.is_file():
            for page, text in open_experiment(name).pages(json.loads(report.read_text("utf-8")), results).items():
                (docs / page).write_text(text, "utf-8")
    write_verdicts(root)
    for page, text in (("environments", environments_page), ("rollouts", rollouts_page), ("measures", measures_page)):
        (docs / f"{page}.md").write_text(text(), "utf-8")
    (root / "README.md").write_text(_with_verdicts(kept[root / "README.md"], docs / "verdicts.md"), "utf-8")
    card = results / "README.md"
    card.write_text(
        re.sub(r"^\| `([\w/.]+\.(?:gz|xz))` \| \d+ \|", lambda row: _counted(results, row[1]), kept[card], flags=re.M),
        "utf-8",
    )
    return sorted(file.relative_to(root).as_posix() for file, text in kept.items() if file.read_text("utf-8") != text)


def _with_verdicts(text: str, page: Path) -> str:
    """README with the counts of the page of verdicts."""
    ((claims, counts),) = re.findall(r"(\d+) of the papers \(([^()]*)\)", page.read_text("utf-8"))
    said = r"(verdicts\]\(docs/verdicts\.md\)\s+on )\d+( claims of the papers: )[^()]*?( \(\[figure\])"
    return re.sub(said, rf"\g<1>{claims}\g<2>{counts}\g<3>", text)


def _counted(results: Path, name: str) -> str:
    """The first cells of a row of the table of files: its name and its number of rows."""
    if name.endswith(".gz"):
        with gzip.open(results / name, "rt") as table:
            count = sum(1 for _ in csv.DictReader(table))
    else:
        with lzma.open(results / name) as lines:
            count = sum(1 for _ in lines)
    return f"| `{name}` | {count} |"


def _print(files: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{file}\n" for file in files) or "nothing has changed\n")


if __name__ == "__main__":
    _print(main())
