"""The figure of the findings: pass@1 against pass@8 with the exact frontier, and what of DARLING's loss is waste."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..grid.condition import Condition
from ..grid.figures import PICKED
from ..grid.tables import middle_strength
from ..report.figure_files import can_draw, save_figure
from ..report.format import Report
from ..report.palette import arm_colours
from .taxes import ARM

__all__ = ["write_findings_figure"]

_PANELS = ("priced/diverse", "steep/diverse", "priced-cue/diverse")
_LADDER = "pass_mix"
_COLOURS = arm_colours(PICKED)
_ARMS = {
    name: (label, _COLOURS[name])
    for name, label in (("dr_grpo", "Dr. GRPO (control)"), (ARM, "DARLING"), (_LADDER, "mixture"))
}
_GREY, _TEXT = "#777777", "#222222"
_GAP = 0.085
"""Least distance of two labels, as a share of the panel's height."""


def write_findings_figure(report: Report, folder: Path, *, prefix: str) -> list[Path]:
    """Writes PREFIX_findings.svg and .png; equal reports give equal files.

    Without the `plots` extra it writes nothing and logs a warning, and without the arms there is no figure.
    """
    panels = {name: _points(report, name) for name in _PANELS if name in report["conditions"]}
    panels = {name: points for name, points in panels.items() if points}
    return save_figure(_figure(report, panels), folder, f"{prefix}_findings") if panels and can_draw() else []


def _points(report: Report, condition: str) -> dict[str, tuple[float, float]]:
    """Label -> (pass@1, pass@k), means over worlds; empty unless both the arm and its control are there."""
    k, content = report["group_k"], report["conditions"][condition]
    start = content["start"]
    out: dict[str, tuple[float, float]] = {}
    if content["frontier"] is None or not start:
        return out
    for arm, (label, _) in _ARMS.items():
        strengths = content["arms"].get(arm, {})
        measures = strengths[middle_strength(strengths)]["measures"] if strengths else {}
        if measures.get("pass@1") and measures.get(f"pass@{k}"):
            out[label] = (measures["pass@1"]["value"], measures[f"pass@{k}"]["value"])
    if not {_ARMS["dr_grpo"][0], _ARMS[ARM][0]} <= set(out):
        return {}
    if not Condition.of(condition).has_cue:  # there it lies so far off that all the rest would be one dot
        out["start of training"] = (start["pass@1"]["value"], start[f"pass@{k}"]["value"])
    for arm in ("dr_grpo", ARM):
        row = report["language_model"].get(condition, {}).get(arm, {}).get("measures", {})
        one, many = (row.get(f"pass@{n}_population") for n in (1, k))
        if one and many:
            out[f"{_ARMS[arm][0].removesuffix(' (control)')}, language model"] = (one["value"], many["value"])
    return out


def _figure(report: Report, panels: Mapping[str, Mapping[str, tuple[float, float]]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.1 * len(panels), 3.9), layout="constrained", facecolor="white")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, points) in zip(axes, panels.items()):
        _draw_panel(axis, name, report["conditions"][name], points, report["group_k"])
    axes[0].set_ylabel(f"pass@{report['group_k']}: one of {report['group_k']} episodes is right", color=_TEXT)
    return figure


def _draw_panel(axis: Any, name: str, content: Report, points: Mapping[str, tuple[float, float]], k: int) -> None:
    axis.set_facecolor("white")
    axis.set_title(name.removesuffix("/diverse"), fontsize=10, color=_TEXT)
    axis.tick_params(labelsize=8, colors=_TEXT)
    axis.set_xlabel("pass@1: a single episode is right", color=_TEXT)
    frontier = content["frontier"]["points"]
    axis.plot([x for x, _ in frontier], [y for _, y in frontier], color=_TEXT, linewidth=1.4)
    ladder = content["arms"].get(_LADDER, {})
    ends = [one["measures"] for one in ladder.values() if one["measures"]["pass@1"]]
    axis.plot(
        [one["pass@1"]["value"] for one in ends], [one[f"pass@{k}"]["value"] for one in ends], ".-",
        color=_ARMS[_LADDER][1], markersize=4, linewidth=0.8,
    )  # fmt: skip
    colours = dict(_ARMS.values())
    for label, (x, y) in points.items():
        colour = colours.get(label, _GREY if label.startswith("start") else _TEXT)
        if label.endswith("language model"):
            colour = next(c for text, c in _ARMS.values() if text.startswith(label.split(",")[0]))
            axis.plot(x, y, "o", markerfacecolor="white", color=colour, markersize=6, zorder=3)
        else:
            axis.plot(x, y, "o", color=colour, markersize=6, zorder=3)
    x, y = points[_ARMS[ARM][0]]
    best = _best_pass_at_1(frontier, y)
    axis.plot([x, best], [y, y], ":", color=_ARMS[ARM][1], linewidth=1.4)
    labels = {**points, "exact frontier": frontier[len(frontier) // 2], "waste of DARLING": ((x + best) / 2, y)}
    _draw_labels(axis, labels)


def _best_pass_at_1(frontier: Sequence[Sequence[float]], wanted: float) -> float:
    """The largest pass@1 on the drawn frontier with at least this pass@k."""
    return max((x for x, y in frontier if y >= wanted), default=frontier[0][0])


def _draw_labels(axis: Any, labels: Mapping[str, tuple[float, float]]) -> None:
    """One column of words right of the points, in their order from above, each joined to its point by a thin line."""
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    axis.set_xlim(left, right + 0.85 * (right - left))
    axis.set_ylim(bottom, top)
    column, height = right + 0.06 * (right - left), top - bottom
    names = sorted(labels, key=lambda name: -labels[name][1])
    places: list[float] = []
    for name in names:
        highest = places[-1] - _GAP * height if places else top - 0.04 * height
        places.append(min(labels[name][1], highest))
    below = bottom + 0.03 * height - places[-1]
    for at in reversed(range(len(places))):  # the lowest ones are pushed up again, as far as needed
        lowest = bottom + 0.03 * height + (len(places) - 1 - at) * _GAP * height
        places[at] = max(places[at], lowest) if below > 0 else places[at]
    for name, place in zip(names, places):
        axis.annotate(
            name, labels[name], (column, place), fontsize=8, va="center", color=_TEXT,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": _GREY},
        )  # fmt: skip
