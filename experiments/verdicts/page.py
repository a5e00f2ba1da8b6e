"""docs/verdicts.md: all claims of all published systems in one table, made from results/ alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from ...retrieval_index.plain_text import counted
from ..grid.system_page import VERDICTS, count_verdicts, verdict_of
from ..grid.tables import range_over_settings
from ..report.format import NOTHING, Report, markdown_table, number, signed
from .collect import HEADLINE, SYSTEMS, TESTS, claims_of, is_of_paper, published_reports
from .figure import write_figure

__all__ = ["verdicts_page", "verdicts_screen", "write_verdicts"]

FIGURE = "verdicts"


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
    rows = [(name, row) for name, report in reports.items() for row in report["verdicts"]]
    papers = [(name, row) for name, row in rows if is_of_paper(name, row)]
    others = [(name, row) for name, row in rows if not is_of_paper(name, row)]
    parts = [
        "# Every claim of the published systems, and what came of it here",
        "<!-- written by experiments/verdicts/page.py from results/; do not edit -->",
        _plain(reports),
        f"![pass@1 and pass@k of every arm, with the exact frontier](../results/figures/{FIGURE}.png)",
        "Each panel is one experiment in its own World, after training: tabular policies, values in the population of "
        "all questions, means over worlds. The line is the exact frontier, which no policy can exceed; a panel without "
        "a line is one whose values are of training questions. A dot is an arm at the strength that claims are read "
        "at. Vector Policy Optimization, which answers in sets, is on its own page alone.",
        "## System by system",
        "This table counts the verdicts on the papers' own claims; the last column counts controls and claims of our "
        "own. All verdicts follow the rules that were registered. Each experiment's page lists under *Corrections* "
        "what was found wrong later, and which verdicts the design alone decides.",
        _systems(reports),
        "## The tests",
        "A test is a claim of a paper in a form that can be decided here; controls are counted apart. Room is the "
        "largest effect that any policy could have, divided by three times the smallest effect of interest; below 1 a "
        "claim is not decidable. The smallest of the test's claims is shown.",
        _tests(reports),
        "## Claims of the papers",
        "Values are differences of the endpoint, with 95 % t-intervals over worlds. The range over other learning "
        "rates and lengths of training is that of the same difference; where it lies on both sides of the smallest "
        "effect of interest, the verdict is one about the setting that claims are read at, and the row says so. "
        "Published figures are as carried over from earlier readings of the papers.",
        _claims(papers),
        "## Controls, and claims of our own design",
        "A verdict on a paper is worth as much as these. A claim here whose source is an arXiv id "
        "alone was registered as the paper's, but the paper does not make it: see *Corrections* of that experiment.",
        _claims(others),
        "## Run them",
        "`berrypick run all --scale small --seeds 24 --out all` runs what is there, goes on where it was, and shares "
        "its cells with other processes that run the same line, or with a Ray cluster (`--ray ADDRESS`). `--publish .` "
        "writes results and pages.",
    ]
    return "\n\n".join(parts) + "\n"


def verdicts_screen(reports: Mapping[str, Report]) -> str:
    """How many claims of each experiment have which verdict, for the terminal."""
    return "\n".join(f"{name}: {count_verdicts(report['verdicts'])}" for name, report in reports.items())


def _plain(reports: Mapping[str, Report]) -> str:
    tried = [system for system in SYSTEMS if system.name in reports]
    rest = [system.title for system in SYSTEMS if system.name not in reports]
    rows = [row for report in reports.values() for row in report["verdicts"]]
    papers = [row for name, report in reports.items() for row in report["verdicts"] if is_of_paper(name, row)]
    waiting = sum(verdict_of(row) == "not tested" for row in rows)
    have = f"Of {len(SYSTEMS)} systems {len(tried)} have" if rest else f"All {len(SYSTEMS)} systems have"
    return (
        "Papers on diversity in reinforcement learning disagree, so their claims were put into forms that a planted "
        "World with exact values can decide, registered before the cells that decide them, and tried. "
        f"{have} an experiment of their own here, and with the headline experiment "
        f"there are {counted(len(rows), 'claim')}: {len(papers)} of the papers ({count_verdicts(papers)}) and "
        f"{len(rows) - len(papers)} controls and claims of our own. The Worlds are small, the policies are tables or "
        f"models of three million weights at most, {counted(waiting, 'claim')} of language models still wait for cells"
        + (f", and {', '.join(rest)} have no experiment of their own yet." if rest else ".")
    )


def _systems(reports: Mapping[str, Report]) -> str:
    """A row for each experiment: its papers, and how many claims have which verdict."""
    known = {system.name: system for system in SYSTEMS}
    rows = []
    for name, report in reports.items():
        papers = [row for row in report["verdicts"] if is_of_paper(name, row)]
        kinds = Counter(map(verdict_of, papers))
        system = known.get(name)
        title, sources = (system.title, system.papers) if system else ("the question of this suite", "several")
        cells = [str(kinds[kind]) for kind in VERDICTS]
        rows.append([_link(name), title, sources, *cells, str(len(report["verdicts"]) - len(papers))])
    return markdown_table(["experiment", "system", "arXiv", *VERDICTS, "controls and our own"], rows)


def _tests(reports: Mapping[str, Report]) -> str:
    rows = []
    for test, (text, owner) in TESTS.items():
        found = claims_of(reports, test)
        rooms = [
            (one["room"] / one["needed"], one["undecidable"])
            for _, _, one in found
            if one and one["needed"] and one["room"] is not None
        ]
        claims = [row for name, row, _ in found if is_of_paper(name, row)]
        controls = [row for name, row, _ in found if not is_of_paper(name, row)]
        verdicts = count_verdicts(claims) if claims else f"not run: {owner}"
        if owner not in reports and found:
            verdicts += f"; {owner} not run"
        where = ", ".join(_link(name) for name in dict.fromkeys(name for name, _, _ in found)) or NOTHING
        least, reason = min(rooms, key=lambda one: one[0], default=(None, ""))
        rows.append(
            [
                test,
                text,
                where,
                verdicts,
                count_verdicts(controls) if controls else NOTHING,
                (NOTHING if least is None else number(least, 1)) + (f" ({reason})" if reason else ""),
            ]
        )
    return markdown_table(["test", "what is said", "experiment", "verdicts", "controls", "room / needed"], rows)


def _claims(rows: Sequence[tuple[str, Report]]) -> str:
    shown = []
    for name, row in rows:
        claim = row["claim"]
        shown.append(
            [
                _link(name),
                claim["statement"],
                claim["source"],
                claim["endpoint"],
                claim["published"] or NOTHING,
                signed(row["estimate"]),
                _elsewhere(row),
                row["verdict"] + (f": {row['reason']}" if row["reason"] else ""),
                claim.get("doubt") or NOTHING,
            ]
        )
    header = [
        "system", "claim", "source", "endpoint", "published", "ours", "other rates and lengths", "verdict",
        "where it could be wrong",
    ]  # fmt: skip
    return markdown_table(header, shown)


def _elsewhere(row: Report) -> str:
    """The range of the difference in other settings, and whether it lies on both sides of what was asked."""
    known = [*row["settings"].values(), row["estimate"]] if row["settings"] else []
    asked, effect = row["claim"]["expected"], row["claim"]["smallest_effect"]
    sides = {_is_asked(asked, effect, one["value"]) for one in known if one}
    return range_over_settings(row) + (f": on both sides of {effect:g}" if len(sides) > 1 else "")


def _is_asked(asked: str, effect: float, value: float) -> bool:
    kinds = {"increase": value >= effect, "decrease": value <= -effect, "at most": value <= effect}
    return kinds.get(asked, abs(value) <= effect)


def _link(name: str) -> str:
    page = "findings" if name == HEADLINE else name
    return f"[{name}]({page}.md)"
