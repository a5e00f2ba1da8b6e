"""The page of a grid, made from its report alone: no number in it is typed by hand."""

from __future__ import annotations

from ..report.format import Report, failure_lines, markdown_table, number
from .condition import Condition
from .tables import answer_table, arm_table, controls_table, language_table, verdict_table

__all__ = [
    "condition_sections",
    "failures",
    "generated_mark",
    "grid_page",
    "pilot_check",
    "registration_section",
    "run_line",
]

_ANSWERS = (
    "Each record of the last hop states another answer. An arm that trains on sets searches for further answers while "
    "its budget lasts. choice@k is the value of the best answer of k episodes to a user who weighs the answers by a "
    "draw from Dirichlet(1), the reward of VPO over a whole group; choice@24_searches is the same at equal queries."
)
_VERDICTS = (
    "Endpoints, expected signs, smallest effects and stopping rules were fixed before the grid was run. Differences "
    "are paired by world; brackets are 95 % t-intervals over worlds. p belongs to the verdict: to contradiction if "
    "the claim is contradicted, otherwise to support. Each family is Holm-adjusted over all claims at 5 %, "
    "so that a claim can be inconclusive though its interval lies beyond the margin."
)


def generated_mark(module: str, name: str) -> str:
    """The comment that marks a page as generated; `publish` overwrites no page without it."""
    return f"<!-- written by experiments/{module} from results/{name}/report.json; do not edit -->"


def grid_page(report: Report, title: str, about: str, headline: str) -> str:
    """The page of an experiment that adds nothing to what every grid has.

    Args:
        report: of a grid.
        title: of the page.
        about: the experiment's header: the paper, and what differs from it.
        headline: the first paragraph.
    """
    name = report["experiment"]
    parts = [
        f"# {title}",
        generated_mark("grid/page.py", name),
        headline,
        about,
        run_line(report),
        f"![pass@1 against pass@{report['group_k']}](../results/{name}/figures/{name}_pass.png)",
        "## Claims and verdicts",
        _VERDICTS,
        verdict_table(report),
        *registration_section(report),
        *condition_sections(report),
        "## Failures",
        failures(report),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def run_line(report: Report) -> str:
    """The command of the run, and how much of it is there."""
    cells, name = report["cells"], report["experiment"]
    return (
        f"Command: `{report['command']}`. {cells['done']} cells done, {len(cells['failed'])} failed, "
        f"{cells['not_run']} not run; {report['seeds']} worlds of each arm of the tabular policy, valued exactly in "
        f"the population. Values are in results/{name}/report.json, by world in per_world.csv.gz, cells in "
        "grid_cells.jsonl.xz."
    )


def pilot_check(row: Report) -> str:
    """In a word, what the pilot's row says of a claim that could be decided."""
    if not row["worlds"]:
        return "not run"
    return _room(row)


def _room(row: Report) -> str:
    return "decidable" if row["room"] is not None else "no room known"


def registration_section(report: Report) -> list[str]:
    """What the worlds kept apart said of each claim before its registration, then the room of language models."""
    return [*_pilot_section(report), *_rooms_section(report)]


def _rooms_section(report: Report) -> list[str]:
    rooms = report.get("language_rooms")
    if not rooms:
        return []
    rows = [
        [row["id"], str(row["worlds"]), number(row["room"]), number(row["needed"]), row["undecidable"] or _room(row)]
        for row in rooms
    ]
    text = (
        "The room of claims of language models was read from their own cells, after these had been run. It is the "
        "largest effect that any policy could have had over what the arm is compared with, so what the arm learned has "
        "no part in it."
    )
    return ["## Room of language models", text, markdown_table(["claim", "worlds", "room", "needed", "check"], rows)]


def _pilot_section(report: Report) -> list[str]:
    if not report["registration"]:
        return []
    rows = [
        [
            row["id"],
            str(row["worlds"]),
            number(row["pilot"]),
            number(row["room"]),
            number(row["needed"]),
            row["undecidable"] or pilot_check(row),
        ]
        for row in report["registration"]
    ]
    text = (
        "Before registration, worlds kept apart from the grid said of each claim whether it could be supported (room: "
        "the largest effect that any policy could have must be three times the smallest effect of interest) and "
        "whether it could come out otherwise (a difference of 0 by arithmetic is no claim). Of some measures no bound "
        "is known, and so no room."
    )
    header = ["claim", "pilot worlds", "pilot", "room", "needed", "check"]
    return ["## Checks before registration", text, markdown_table(header, rows)]


def condition_sections(report: Report) -> list[str]:
    """Arms and controls of every condition, then the language model."""
    parts = []
    for condition in report["conditions"]:
        parts += [f"## {condition}", arm_table(report, condition), controls_table(report, condition)]
        if Condition.of(condition).has_answers:
            parts += [_ANSWERS, answer_table(report, condition)]
    for condition in report["language_model"]:
        parts += [f"## {condition}, language model", language_table(report, condition)]
    return parts


def failures(report: Report) -> str:
    """One line per reason."""
    failed = report["cells"]["failed"]
    return "\n".join(f"- {line}" for line in failure_lines(failed)) if failed else "No cell failed."
