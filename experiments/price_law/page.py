"""The report of the price law as terminal text and as page: made from its numbers, none typed by hand."""

from __future__ import annotations

from ..grid.arms import ARMS
from ..grid.page import failures, generated_mark
from ..grid.screen import filled, verdict_lines
from ..report.format import NOTHING, Report, failure_lines, interval, markdown_table, number, plain, text_columns
from .headline import answer, headline
from .registration import CLAIMED

__all__ = ["page", "screen"]

_STRATA = ("all", "no cue", "cue")

_UNITS = (
    "The unit is the World: intervals run over Worlds, each of which has its own kinds, hops, availabilities, budget, "
    "cue, seed and training seed. ± is half of a 95 % interval over Worlds. A World is counted as having a price for a "
    "run if the price is at least {identity:g}; R2 and the difference of wastes are over these Worlds, errors of "
    "predictions over all. Worlds without a price were left out because they were expected to favour the law only; the "
    'columns "tax without a price" (how many of them have a tax of {identity:g} or more) and "R2, all Worlds" say '
    "what that hides."
)
_DONE = (
    "Worlds are drawn at random: two hops of three to five kinds, or in one of seven three hops of three kinds; "
    "availabilities from .2 to .9; budgets from H to 2H queries for H hops; a cue of strength .8 in one of four. In "
    "each World a tabular policy imitates orders of kinds drawn at random. Every run then trains from that one start "
    "for {steps} steps on {questions:,} training questions, with the same questions and random numbers. pass@1 and "
    "pass@{k} are exact in the population of all questions that the World can draw; nothing is sampled.",
    "F(y) is the most pass@1 that any policy with pass@{k} of at least y can have, solved to 1e-5. Tax: pass@1 of the "
    "arm minus its control's. Price: F(pass@{k} of the arm) - F(pass@{k} of its control). Waste: F(a policy's "
    "pass@{k}) minus its pass@1. By arithmetic, tax = price - (waste - the control's waste), so the price explains the "
    'tax exactly as far as wastes are alike: "explained" measures their difference against the spread of the tax, '
    '"little waste" in pass@1. R2 is 1 minus the squared error of tax = price over the squared deviation of the tax '
    "from its mean. No line is fitted, so R2 is negative where the mean would do better.",
    "Two predictors know the settings of a World and nothing of what was trained in it; each half of the Worlds is "
    "predicted by a fit on the other. Constant balance: a run is taken for one weighting of pass@1 and pass@{k}, that "
    "whose optimal policies lie nearest to its ends; the frontier of a World says where that policy lies there. Its "
    "error is that of the claims. Regression: ridge on the settings, their squares and products. The last column "
    "is the error of predicting no tax at all: a prediction that does not beat it says nothing.",
)
_SMOKE = (
    "This is the smoke scale: a few Worlds, chosen because their frontiers are quick to solve, and a short training."
)
_JUDGED = (
    "Thresholds, runs and the number of Worlds were fixed before the first World was trained; only the "
    "{pilot} of the pilot had been seen, and they are in no number here. Intervals are a percentile bootstrap over "
    "Worlds, at 95 % for all claims together (Bonferroni). A claim is supported if its whole interval is on the "
    "claimed side of the threshold, contradicted if the whole interval is on the other. "
    '"Explained" and "little waste" are not decidable if fewer than half of the Worlds, or of the pilot\'s, have a '
    "price. Predictions are fitted once: intervals of their errors leave out the uncertainty of the fit."
)


def screen(report: Report) -> str:
    """The terminal text of a run, at most 80 columns wide."""
    rows = [
        [
            name,
            row["control"].removesuffix("-0"),
            _priced(row, "all"),
            _mean(row["tax"]),
            _mean(row["price"]),
            number(row["all"]["median_waste_difference"]),
            number(row["all"]["r2"], 2),
            number(row["all"]["median_error"]),
        ]
        for name, row in report["runs"].items()
    ]
    header = ["run", "control", "priced", "tax", "price", "waste", "R2", "error"]
    legend = (
        f"Means over {_of_worlds(report)}. priced: Worlds with a price of at least {report['identity']:g}; waste: "
        "median over them of its absolute difference to the control's; R2: of the price for the tax; error: median of "
        "the tax predicted from the settings."
    )
    parts = [
        filled(f"price law, scale {report['scale']}: {_state(report)}"),
        filled(answer(report)),
        *map(filled, failure_lines(report["cells"]["failed"])),
        *([text_columns(header, rows), filled(legend)] if rows else []),
        verdict_lines(report["verdicts"], _worded),
    ]
    return "\n\n".join(parts)


def _state(report: Report) -> str:
    cells = report["cells"]
    return f"{cells['done']} cells done, {len(cells['failed'])} failed, {cells['not_run']} not run."


def _of_worlds(report: Report) -> str:
    return f"{report['worlds']} Worlds, {report['worlds_with_cue']} of them with a cue"


def _priced(row: Report, stratum: str) -> str:
    return f"{row[stratum]['priced']}/{row[stratum]['worlds']}"


def _mean(row: Report) -> str:
    return f"{row['value']:+.3f}"


def _worded(row: Report) -> str | None:
    if row["verdict"] == "inconclusive" and row["low"] is None:
        return None
    return f"{row['statement']}: {_value(row)}"


def _value(row: Report) -> str:
    """The value of a claim with its interval."""
    if row["value"] is None or row["low"] is None:
        return number(row["value"])
    return f"{number(row['value'])} {interval(row['low'], row['high'])}"


def page(report: Report) -> str:
    """docs/price_law.md."""
    k = report["group_k"]
    parts = [
        "# The price law: is the tax of diversity training set by the task?",
        generated_mark("price_law/page.py", "price_law"),
        " ".join(headline(report)),
        f"Command: `berrypick run price_law --scale {report['scale']}`. {_state(report)} Values are in "
        "results/price_law/report.json, one line for each World and run in per_world.csv.gz.",
        f"![tax against price, a dot for each World]({_FIGURE})" if report["runs"] else "",
        "## Runs",
        _runs(report),
        "## Claims and verdicts",
        _JUDGED.format(pilot=f"{report['pilot_worlds']} Worlds" if report["pilot_worlds"] else "Worlds"),
        _verdicts(report),
        "## What was done",
        _SMOKE if report["scale"] == "smoke" else "",
        *(text.format(k=k, **report["training"]) for text in _DONE),
        "## Failures",
        failures(report),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


_FIGURE = "../results/price_law/figures/law.png"


def _runs(report: Report) -> str:
    """The means of every run, then what is known of it in all Worlds, without and with a cue."""
    if not report["runs"]:
        return "No World has a result yet."
    k = report["group_k"]
    means = [
        [
            _marked(name),
            row["control"],
            plain(row["tax"], sign="+"),
            plain(row["gain"], sign="+"),
            plain(row["price"], sign="+"),
            plain(row["waste"]),
            plain(row["control_waste"]),
        ]
        for name, row in report["runs"].items()
    ]
    strata = [
        [
            _marked(name),
            stratum,
            plain(row[stratum]["tax"], sign="+"),
            plain(row[stratum]["price"], sign="+"),
            _priced(row, stratum),
            str(row[stratum]["taxed_without_price"]),
            number(row[stratum]["r2"], 2),
            number(row[stratum]["r2_of_all"], 2),
            *(number(row[stratum][key]) for key in ("median_waste_difference", "median_error")),
            *(number(row[stratum][key]) for key in ("regression_error", "median_tax")),
        ]
        for name, row in report["runs"].items()
        for stratum in _STRATA
    ]
    header = [
        "run",
        "Worlds",
        "tax",
        "price",
        "with a price",
        "tax without a price",
        "R2 of the price",
        "R2, all Worlds",
    ]
    errors = ["waste minus control's", "error, constant balance", "error, regression", "error, no tax"]
    return "\n\n".join(
        [
            f"{_of_worlds(report)}. * marks the runs that claims are about. {_names(report)} "
            + _UNITS.format(identity=report["identity"]),
            markdown_table(["run", "control", "tax", f"pass@{k} gained", "price", "waste", "control's waste"], means),
            "Mean tax and price, R2, the median absolute difference of wastes and median absolute errors of the tax:",
            markdown_table([*header, *errors], strata),
        ]
    )


def _names(report: Report) -> str:
    """What the number in the name of a run is."""
    arms = dict.fromkeys(name.rpartition("-")[0] for name in report["runs"])
    strengths = ", ".join(f"{ARMS[arm].strength_name} of {arm}" for arm in arms if ARMS[arm].strength_name)
    return f"The number in the name of a run is the strength of its arm: {strengths}; 0 is none."


def _marked(name: str) -> str:
    return f"{name} \\*" if name in CLAIMED else name


def _verdicts(report: Report) -> str:
    rows = [
        [
            row["statement"],
            number(row["value"]),
            NOTHING if row["low"] is None else interval(row["low"], row["high"]),
            row["verdict"] + (f": {row['reason']}" if row["reason"] else ""),
            NOTHING if row["pilot_share_priced"] is None else f"{row['pilot_share_priced']:.0%}",
        ]
        for row in report["verdicts"]
    ]
    return markdown_table(["claim", "value", "interval", "verdict", "pilot's Worlds with a price"], rows)
