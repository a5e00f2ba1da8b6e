"""Figures of a grid: each arm's pass@1 against pass@k and against breadth, with the exact frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..report.figure_files import can_draw, save_figure
from ..report.format import Report
from ..report.palette import arm_colours
from .condition import Condition
from .tables import middle_strength

__all__ = ["PICKED", "write_grid_figures"]

PICKED = ("grpo", "dr_grpo", "darling", "pass_mix", "entropy", "pass_at_k", "batch")
"""The arms that are drawn where there are more: as many as there are colours that everybody can tell apart."""


def write_grid_figures(report: Report, folder: Path, *, prefix: str) -> list[Path]:
    """Writes PREFIX_pass and PREFIX_breadth as .svg and .png, of conditions with a cue and of language models apart.

    Without the `plots` extra it writes nothing and logs a warning.
    """
    if not can_draw():
        return []
    k = report["group_k"]
    kinds = {"": _without_suffix(report["conditions"]), "_cue": _with_cue(report["conditions"])}
    pictures = [
        (f"{prefix}_{name}{suffix}", conditions, measure, label)
        for suffix, conditions in kinds.items()
        if conditions
        for name, measure, label in (
            ("pass", f"pass@{k}", f"pass@{k}"),
            ("breadth", "breadth", "breadth of a group of 8"),
        )
    ]
    language = _language_conditions(report)
    if language:
        pictures += [
            (f"{prefix}_language_pass", language, f"pass@{k}", f"pass@{k}"),
            (f"{prefix}_language_breadth", language, "breadth", "breadth of a group of 16"),
        ]
    return [
        path
        for name, conditions, measure, label in pictures
        for path in save_figure(_figure(conditions, measure, label), folder, name)
    ]


def _shown(conditions: Report) -> list[str]:
    """The arms that are drawn: a selection if there are many, so that colours stay distinct."""
    arms = list(dict.fromkeys(arm for content in conditions.values() for arm in content["arms"]))
    return [arm for arm in PICKED if arm in arms] if len(arms) > len(PICKED) else arms


def _without_suffix(conditions: Report) -> dict[str, Report]:
    """Conditions with one answer and no cue, in the settings that claims are read in."""
    found = {name: Condition.of(name) for name in conditions if name.count("/") == 1}
    return {name: conditions[name] for name, one in found.items() if not (one.has_cue or one.has_answers)}


def _with_cue(conditions: Report) -> dict[str, Report]:
    return {
        name: content for name, content in conditions.items() if Condition.of(name).has_cue and name.count("/") == 1
    }


def _language_conditions(report: Report) -> dict[str, Report]:
    """The rows of the language model in the shape of tabular ones: values in the population, under their names."""
    plan = {"pass@1_population": "pass@1", f"pass@{report['group_k']}_population": f"pass@{report['group_k']}"}

    def renamed(values: Report) -> Report:
        kept = {name: value for name, value in values.items() if name not in plan.values()}
        return {plan.get(name, name): value for name, value in kept.items()}

    return {
        condition: {
            "frontier": report["conditions"].get(condition, {}).get("frontier", {"points": []}),
            "arms": {
                arm: {
                    "": {
                        "measures": renamed(row["measures"]),
                        "broken": bool(row["broken"]),
                        "trajectory": {step: renamed(values) for step, values in row["trajectory"].items()},
                    }
                }
                for arm, row in arms.items()
            },
        }
        for condition, arms in report["language_model"].items()
    }


def _figure(conditions: Mapping[str, Report], measure: str, label: str) -> Any:
    """One panel per condition: presets side by side, starts below each other."""
    from matplotlib.figure import Figure

    places = {name: Condition.of(name) for name in conditions}
    starts = list(dict.fromkeys(place.start for place in places.values()))
    presets = list(dict.fromkeys(place.preset for place in places.values()))
    figure = Figure(figsize=(3.4 * len(presets) + 1.6, 3.3 * len(starts) + 0.4), layout="constrained")
    axes = figure.subplots(len(starts), len(presets), squeeze=False)
    shown = _shown(conditions)
    for row in axes:
        for axis in row:
            axis.set_visible(False)
    for name, place in places.items():
        axis = axes[starts.index(place.start)][presets.index(place.preset)]
        axis.set_visible(True)
        _draw_panel(axis, f"{place.preset}, {place.start} start", conditions[name], measure, shown)
    for row in axes:
        row[0].set_ylabel(label, fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("pass@1", fontsize=8)
    _draw_legend(figure, axes[0][0], conditions)
    return figure


def _draw_panel(axis: Any, title: str, content: Report, measure: str, shown: Sequence[str]) -> None:
    axis.set_title(title, fontsize=9)
    axis.tick_params(labelsize=7)
    axis.locator_params(axis="x", nbins=6)
    axis.grid(alpha=0.25, linewidth=0.5)
    if measure.startswith("pass@") and content["frontier"]:
        points = content["frontier"]["points"]
        axis.plot([x for x, _ in points], [y for _, y in points], color="black", linewidth=1.2, label="exact frontier")
    colours = arm_colours(shown)
    here = [arm for arm in shown if arm in content["arms"]]
    for arm in here:
        _draw_arm(axis, arm, content["arms"][arm], measure, colours[arm])
    seen = axis.get_xlim(), axis.get_ylim()
    for arm in here:
        _draw_interval(axis, content["arms"][arm], measure, colours[arm])
    _keep_in_view(axis, *seen)


def _draw_legend(figure: Any, axis: Any, conditions: Mapping[str, Report]) -> None:
    from matplotlib.lines import Line2D

    handles, labels = axis.get_legend_handles_labels()
    arms = [
        one for content in conditions.values() for strengths in content["arms"].values() for one in strengths.values()
    ]
    if any(one.get("broken") for one in arms):
        handles.append(Line2D([], [], color="black", markerfacecolor="none", marker="X", linestyle=""))
        labels.append("a world broke: its plan\nsays little")
    figure.legend(handles, labels, loc="outside right upper", fontsize=7, frameon=False)


def _draw_arm(axis: Any, arm: str, strengths: Report, measure: str, colour: str) -> None:
    """The path of the middle strength from its start to its end, and the ends of the other strengths."""
    middle = middle_strength(strengths)
    for key, one in strengths.items():
        end = {name: one["measures"][name] for name in ("pass@1", measure)}
        if any(value is None for value in end.values()):
            continue
        x, y = end["pass@1"], end[measure]
        if key != middle:
            axis.plot(x["value"], y["value"], ".", color=colour, markersize=3, alpha=0.6)
            continue
        steps = sorted(one["trajectory"], key=int)
        path = [(one["trajectory"][step]["pass@1"], one["trajectory"][step][measure]) for step in steps]
        axis.plot([a for a, _ in path], [b for _, b in path], "-", color=colour, linewidth=0.8, alpha=0.7)
        axis.plot(x["value"], y["value"], "X" if one.get("broken") else "o", color=colour, markersize=4, label=arm)


def _draw_interval(axis: Any, strengths: Report, measure: str, colour: str) -> None:
    """The intervals of the middle strength's end."""
    measures = strengths[middle_strength(strengths)]["measures"]
    x, y = measures["pass@1"], measures[measure]
    if x is not None and y is not None and x["low"] is not None:
        half_x, half_y = (x["high"] - x["low"]) / 2, (y["high"] - y["low"]) / 2
        axis.errorbar(x["value"], y["value"], half_y, half_x, color=colour, linewidth=0.8)


def _keep_in_view(axis: Any, across: tuple[float, float], up: tuple[float, float]) -> None:
    """Limits the axes to three times what the points span: an interval over two seeds may be wider than all points."""
    for (low, high), get, put in ((across, axis.get_xlim, axis.set_xlim), (up, axis.get_ylim, axis.set_ylim)):
        wide_low, wide_high = get()
        put(max(wide_low, low - (high - low)), min(wide_high, high + (high - low)))
