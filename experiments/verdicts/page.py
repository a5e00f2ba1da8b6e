"""docs/verdicts.md: all claims of all published systems in one table, made from results/ alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from ..report.format import NOTHING, Report, markdown_table, number, signed
from .collect import HEADLINE, SYSTEMS, TESTS, claims_of, published_reports
from .figure import write_figure

__all__ = ["verdicts_page", "verdicts_screen", "write_verdicts"]

FIGURE = "verdicts"
_KINDS = ("supported", "contradicted", "inconclusive", "not decidable here")


def write_verdicts(project: Path) -> list[Path]:
    """Writes docs/verdicts.md and results/figures/verdicts.png from the results of a project; returns the files."""
    reports = published_reports(project / "results")
    page = project / "docs" / "verdicts.md"
    page.write_text(verdicts_page(reports), "utf-8")
    with TemporaryDirectory() as folder:
        drawn = [file for file in write_figure(reports, Path(folder), FIGURE) if file.suffix == ".png"]
        figures = project / "results" / "figures"
        figures.mkdir(parents=True, exist_ok=True)
        return [page, *(Path(copyfile(file, figures / file.name)) for file in drawn)]


def verdicts_page(reports: Mapping[str, Report]) -> str:
    """The text of the page.

    Args:
        reports: of the headline experiment and of the systems that have results.
    """
    parts = [
        "# Every claim of the published systems, and what came of it here",
        "<!-- written by experiments/verdicts/page.py from results/; do not edit -->",
        _plain(reports),
        f"![pass@1 and pass@k of every arm, with the exact frontier](../results/figures/{FIGURE}.png)",
        "Each panel is one system in its own World, after training: tabular policies, values in the population of all "
        "questions, means over worlds. The line is the exact frontier, which no policy can exceed; a panel without a "
        "line is one whose values are of training questions. A large dot is an arm at the strength that claims are "
        "read at.",
        "## The tests",
        "A test is a claim of a paper in a form that can be decided here. Room is the largest effect that any policy "
        "could have, over three times the smallest effect of interest; below 1 a claim is not decidable. The smallest "
        "of the test's claims is shown.",
        _tests(reports),
        "## All claims",
        "Values are differences of the endpoint, with 95 % t-intervals over worlds; pages of the systems say how each "
        "is measured, and give other rates and lengths. Claims of our own design and controls are among them, because "
        "a verdict on a paper is worth as much as its controls.",
        _claims(reports),
    ]
    return "\n\n".join(parts) + "\n"


def verdicts_screen(reports: Mapping[str, Report]) -> str:
    """How many claims of each experiment have which verdict, for the terminal."""
    return "\n".join(f"{name}: {_counts(report['verdicts'])}" for name, report in reports.items())


def _counts(rows: Sequence[Report]) -> str:
    kinds = Counter(row["verdict"] for row in rows)
    return ", ".join(f"{kinds[kind]} {kind}" for kind in _KINDS if kinds[kind]) or "no claim"


def _plain(reports: Mapping[str, Report]) -> str:
    tried = [system for system in SYSTEMS if system.name in reports]
    rest = [system.title for system in SYSTEMS if system.name not in reports]
    rows = [row for system in tried for row in reports[system.name]["verdicts"]]
    waiting = sum(row["reason"] == "not run" for row in rows)
    papers = [row for row in rows if row["claim"]["source"][:1].isdigit() and "control" not in row["claim"]["source"]]
    return (
        "Papers on diversity in reinforcement learning disagree, so their claims were put into forms that a planted "
        f"World with exact values can decide, registered before any cell was run, and tried. Of {len(SYSTEMS)} systems "
        f"{len(tried)} have been run, with {len(rows)} claims ({_counts(rows)}), of which {len(papers)} are the "
        f"papers' own ({_counts(papers)}). The Worlds are small, the policies are tables or models of under a million "
        f"weights, {waiting} claims wait for language models that have not been run"
        + (f", and {', '.join(rest)} have not been tried at all." if rest else ".")
    )


def _tests(reports: Mapping[str, Report]) -> str:
    rows = []
    for test, (text, owner) in TESTS.items():
        found = claims_of(reports, test)
        pilots = [one for _, _, one in found if one]
        rooms = [one["room"] / one["needed"] for one in pilots if one["needed"] and one["room"] is not None]
        undecidable = [one["undecidable"] for one in pilots if one["undecidable"]]
        verdicts = _counts([row for _, row, _ in found]) if found else f"not run: {owner}"
        if owner not in reports and found:
            verdicts += f"; {owner} not run"
        where = ", ".join(_link(name) for name in dict.fromkeys(name for name, _, _ in found)) or NOTHING
        room = number(min(rooms), 1) if rooms else NOTHING
        rows.append([test, text, where, verdicts, room + (f" ({undecidable[0]})" if undecidable else "")])
    return markdown_table(["test", "what is said", "experiment", "verdicts", "room / needed"], rows)


def _claims(reports: Mapping[str, Report]) -> str:
    rows = []
    for name, report in reports.items():
        for row in report["verdicts"]:
            claim = row["claim"]
            rows.append(
                [
                    _link(name),
                    claim["statement"],
                    claim["source"],
                    claim["published"] or NOTHING,
                    signed(row["estimate"]),
                    row["verdict"] + (f": {row['reason']}" if row["reason"] else ""),
                    claim.get("doubt") or NOTHING,
                ]
            )
    header = ["system", "claim", "source", "published", "ours", "verdict", "where it could be wrong"]
    return markdown_table(header, rows)


def _link(name: str) -> str:
    page = "findings" if name == HEADLINE else name
    return f"[{name}]({page}.md)"
