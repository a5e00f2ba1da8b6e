"""The page of a published system: plain words, published figures beside ours, verdicts, checks, tables, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from ..report.format import NOTHING, Report, markdown_table, number, plain, signed, text_columns
from .language_table import language_section
from .page import failures, generated_mark, pilot_check, registration_section
from .system_parts import Published, SystemTable
from .tables import middle_strength, range_over_settings

__all__ = [
    "VERDICTS",
    "claim_value",
    "count_verdicts",
    "counted_verdicts",
    "language_value",
    "measured_value",
    "percent",
    "system_page",
    "system_screen",
    "verdict_of",
]

_UNIT = (
    "Values of the tabular policy are exact; brackets are 95 % t-intervals over worlds, each with a training seed of "
    "its own. Endpoints, signs, margins and numbers of worlds were registered in a commit of their own after the pilot "
    "and before the first cell that they are about. Each family of verdicts, support and contradiction, is "
    "Holm-adjusted over all claims of this experiment at 5 %, so that a claim can be inconclusive though its interval "
    "lies beyond the margin. "
    'A value of +0.050 of an endpoint that ends in "minus 1" is 5 %.'
)


class _System(Protocol):
    """What a page reads of an experiment."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def published(self) -> Published | None: ...
    @property
    def tables(self) -> Sequence[SystemTable]: ...
    @property
    def limits(self) -> Sequence[str]: ...
    @property
    def corrections(self) -> Sequence[str]: ...
    @property
    def reproduced(self) -> str: ...
    @property
    def language_measures(self) -> Sequence[str]: ...
    @property
    def language_about(self) -> str: ...


def system_page(report: Report, system: _System, headline: str) -> str:
    """The text of docs/NAME.md.

    Args:
        report: of the experiment.
        system: what it declares.
        headline: the sentences in plain words.
    """
    name = system.name
    parts = [
        f"# {system.summary[0].upper()}{system.summary[1:]}",
        generated_mark("grid/system_page.py", name),
        headline,
        f"![{'Published and ours' if system.published else 'Along training'}](../results/{name}/figures/{name}.png)",
        system.about,
        *_published_section(report, system.published),
        "## Claims and verdicts",
        _UNIT,
        _verdicts(report),
        *registration_section(report),
        *_table_sections(report, system.tables),
        *language_section(report, system.language_measures, system.tables, system.language_about),
        "## Limits",
        "\n".join(f"- {limit}" for limit in system.limits),
        *(["## Corrections", "\n".join(f"- {one}" for one in system.corrections)] if system.corrections else []),
        "## Reproduce",
        _commands(report, system),
        "## Failures",
        failures(report),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _published_section(report: Report, published: Published | None) -> list[str]:
    if published is None or published.condition not in report["conditions"]:
        return []
    arms = report["conditions"][published.condition]["arms"]
    rows = []
    for arm, (label, values) in published.rows.items():
        measures = arms[arm][middle_strength(arms[arm])]["measures"] if arm in arms else {}
        ours = [plain(measures.get(measure)) for measure in published.columns.values()]
        rows.append([label, *(cell for pair in zip((f"{value:g}" for value in values), ours) for cell in pair)])
    header = ["method", *(f"{head}, {whose}" for head in published.columns for whose in ("published", "ours"))]
    about = f"{published.about} Ours: {published.condition}."
    return ["## Published figures beside ours", about, markdown_table(header, rows)]


def _verdicts(report: Report) -> str:
    rows = []
    for row in report["verdicts"]:
        claim = row["claim"]
        rows.append(
            [
                claim["statement"],
                claim["source"],
                claim["endpoint"],
                f"{claim['expected']} {claim['smallest_effect']:g}",
                claim["published"] or NOTHING,
                signed(row["estimate"]),
                range_over_settings(row),
                row["verdict"] + (f": {row['reason']}" if row["reason"] else ""),
                claim.get("doubt") or NOTHING,
            ]
        )
    header = [
        "claim", "source", "endpoint", "asked", "published", "ours", "other rates and lengths", "verdict",
        "where it could be wrong",
    ]  # fmt: skip
    return markdown_table(header, rows)


def _table_sections(report: Report, tables: Sequence[SystemTable]) -> list[str]:
    parts = []
    for table in tables:
        parts += [f"## {table.title}", table.about]
        for condition in table.conditions:
            if condition in report["conditions"]:
                parts += [f"{condition}:", _arms(report["conditions"][condition], table)]
    return parts


def _arms(content: Report, table: SystemTable) -> str:
    start = ["start", NOTHING, *(plain(content["start"].get(name)) for name in table.columns.values())]
    rows = [start]
    for arm, strengths in content["arms"].items():
        shown = strengths if table.strengths else {middle_strength(strengths): strengths[middle_strength(strengths)]}
        for strength, one in shown.items():
            at = strength if one["worlds"] and strength != "0" else NOTHING
            rows.append([arm, at, *(plain(one["measures"].get(name)) for name in table.columns.values())])
    return markdown_table(["arm", "strength", *table.columns], rows)


def _commands(report: Report, system: _System) -> str:
    cells = report["cells"]
    run = report["command"]
    published = f"results/{system.name}"
    again = (
        f"berrypick run {system.name} --scale {report['scale']} --out again --cell {system.reproduced} "
        f"--given {published}"
    )
    return (
        f"Everything: `{run}`. {cells['done']} cells done, {len(cells['failed'])} failed, {cells['not_run']} not run. "
        f"One row again, beside its line in {published} and its control: `{again}`."
    )


def system_screen(report: Report) -> list[str]:
    """What the pilot said of each claim, and the language model's measures at start and end, for the terminal."""
    return [*_pilot_screen(report), *_language_screen(report)]


def _language_screen(report: Report) -> list[str]:
    out = []
    for condition, arms in report["language_model"].items():
        rows = [
            [arm, name, plain(one["start"][name]), plain(one["measures"][name])]
            for arm, one in arms.items()
            for name in one["measures"]
        ]
        out.append(f"{condition}, language model\n" + text_columns(["arm", "measure", "start", "end"], rows))
    return out


def _pilot_screen(report: Report) -> list[str]:
    if not report["registration"]:
        return []
    rows = [
        [
            row["id"],
            number(row["pilot"]),
            f"{number(row['room'], 2)} / {number(row['needed'], 2)}",
            ", ".join(f"{name} {number(value, 2 if value < 1 else 0)}" for name, value in row.get("needs", {}).items())
            or NOTHING,
            "not decidable" if row["undecidable"] else pilot_check(row),
        ]
        for row in report["registration"]
    ]
    return ["pilot\n" + text_columns(["claim", "pilot", "room / needed", "has", "check"], rows)]


def percent(value: float | None) -> str:
    """A relative difference in words, such as "+2.3 %"."""
    return "nothing measured" if value is None else f"{100 * value:+.1f} %"


def claim_value(report: Report, claim: str) -> float | None:
    """The estimate of a claim; None before it has one."""
    row = next(row for row in report["verdicts"] if row["claim"]["id"] == claim)
    return row["estimate"]["value"] if row["estimate"] else None


def measured_value(report: Report, condition: str, arm: str, measure: str, strength: str = "") -> float | None:
    """Mean over worlds of an arm's measure, by default at the strength that claims are read at; None without one."""
    strengths = report["conditions"].get(condition, {}).get("arms", {}).get(arm)
    found = strengths.get(strength or middle_strength(strengths), {}) if strengths else {}
    row = found.get("measures", {}).get(measure)
    return row["value"] if row else None


def language_value(report: Report, condition: str, arm: str, measure: str) -> float | None:
    """Mean over worlds of a language model's measure; None without one."""
    row = report["language_model"].get(condition, {}).get(arm, {}).get("measures", {}).get(measure)
    return row["value"] if row else None


VERDICTS = ("supported", "contradicted", "inconclusive", "not decidable here", "not tested")


def verdict_of(row: Report) -> str:
    """One of `VERDICTS`; "not tested" if cells are missing, which the rules call inconclusive."""
    untested = row["verdict"] == "inconclusive" and row["p_supported"] is None
    return "not tested" if untested else str(row["verdict"])


def count_verdicts(rows: Iterable[Report]) -> str:
    """How many claims have which verdict, such as "2 supported, 3 contradicted"; "no claim" without one."""
    counts = Counter(map(verdict_of, rows))
    return ", ".join(f"{counts[kind]} {kind}" for kind in VERDICTS if counts[kind]) or "no claim"


def counted_verdicts(report: Report) -> str:
    """`count_verdicts` of all claims of a report."""
    return count_verdicts(report["verdicts"])
