"""Pictures of the diversity tax: each arm's pass@1 against pass@k and breadth, with the exact frontier."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["write_tax_figures"]

logger = logging.getLogger(__name__)

_PICKED = ("grpo", "dr_grpo", "darling", "lexical", "batch", "ucb_con", "entropy", "pass_at_k", "rejection_sampling")


def write_tax_figures(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes tax_pass.svg/.png and tax_breadth.svg/.png; nothing, with a warning, without the `plots` extra."""
    if find_spec("matplotlib") is None:
        logger.warning('no figures: install the "plots" extra: pip install "berrypick[plots]"')
        return []
    folder.mkdir(parents=True, exist_ok=True)
    k = report["group_k"]
    out = []
    kinds = {"": _without_suffix(report["conditions"]), "_cue": _with_cue(report["conditions"])}
    pictures = [
        (f"tax_{name}{suffix}", conditions, measure, label)
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
            ("tax_language_pass", language, f"pass@{k}", f"planned pass@{k}"),
            ("tax_language_breadth", language, "breadth", "breadth of a group of 16"),
        ]
    import matplotlib as mpl

    # no date and a fixed salt, so that equal reports give equal files
    with mpl.rc_context({"svg.hashsalt": "berrypick"}):
        for name, conditions, measure, label in pictures:
            figure = _figure(conditions, measure, label, "planned pass@1" if conditions is language else "pass@1")
            for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
                out.append(folder / f"{name}.{suffix}")
                figure.savefig(out[-1], dpi=110, metadata=metadata)
    return out


def _without_suffix(conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content for name, content in conditions.items() if "-" not in name}


def _with_cue(conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content for name, content in conditions.items() if name.split("/")[0].endswith("-cue")}


def _language_conditions(report: Mapping[str, Any]) -> dict[str, Any]:
    """The language model's rows as the table's: its plan takes the place of success."""
    plan = {"pass@1_plan": "pass@1", f"pass@{report['group_k']}_plan": f"pass@{report['group_k']}"}

    def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
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


def _figure(conditions: Mapping[str, Any], measure: str, label: str, across: str) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    starts = list(dict.fromkeys(condition.split("/")[1] for condition in conditions))
    presets = list(dict.fromkeys(condition.split("/")[0] for condition in conditions))
    figure = Figure(figsize=(3.4 * len(presets) + 1.6, 3.3 * len(starts) + 0.4), layout="constrained")
    axes = figure.subplots(len(starts), len(presets), squeeze=False)
    colours = {arm: f"C{at}" for at, arm in enumerate(_PICKED)}
    for condition, content in conditions.items():
        preset, start = condition.split("/")
        axis = axes[starts.index(start)][presets.index(preset)]
        axis.set_title(f"{preset}, {start} start", fontsize=9)
        axis.tick_params(labelsize=7)
        axis.locator_params(axis="x", nbins=6)
        axis.grid(alpha=0.25, linewidth=0.5)
        if measure.startswith("pass@"):
            points = content["frontier"]["points"]
            axis.plot(
                [x for x, _ in points], [y for _, y in points], color="black", linewidth=1.2, label="exact frontier"
            )
        for arm in _PICKED:
            if arm in content["arms"]:
                _draw_arm(axis, arm, content["arms"][arm], measure, colours[arm])
        seen = axis.get_xlim(), axis.get_ylim()
        for arm in _PICKED:
            if arm in content["arms"]:
                _draw_interval(axis, content["arms"][arm], measure, colours[arm])
        _keep_in_view(axis, *seen)
    for start, row in zip(starts, axes):
        for preset, axis in zip(presets, row):
            axis.set_visible(f"{preset}/{start}" in conditions)
        row[0].set_ylabel(label, fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel(across, fontsize=8)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if any(
        one.get("broken") for content in conditions.values() for arm in content["arms"].values() for one in arm.values()
    ):
        handles.append(Line2D([], [], color="black", markerfacecolor="none", marker="X", linestyle=""))
        labels.append("a seed broke: its plan\nsays little")
    figure.legend(handles, labels, loc="outside right upper", fontsize=7, frameon=False)
    return figure


def _draw_arm(axis: Any, arm: str, strengths: Mapping[str, Any], measure: str, colour: str) -> None:
    """The path of the middle strength from its start to its end, and the ends of the other strengths."""
    middle = _middle(strengths)
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


def _draw_interval(axis: Any, strengths: Mapping[str, Any], measure: str, colour: str) -> None:
    """The intervals of the middle strength's end."""
    measures = strengths[_middle(strengths)]["measures"]
    x, y = measures["pass@1"], measures[measure]
    if x is not None and y is not None and x["low"] is not None:
        half_x, half_y = (x["high"] - x["low"]) / 2, (y["high"] - y["low"]) / 2
        axis.errorbar(x["value"], y["value"], half_y, half_x, color=colour, linewidth=0.8)


def _middle(strengths: Mapping[str, Any]) -> str:
    keys = list(strengths)
    return keys[len(keys) // 2]


def _keep_in_view(axis: Any, across: tuple[float, float], up: tuple[float, float]) -> None:
    """Lets intervals double what the points span on each side, no more: those of two seeds may be wider than all."""
    for (low, high), get, put in ((across, axis.get_xlim, axis.set_xlim), (up, axis.get_ylim, axis.set_ylim)):
        wide_low, wide_high = get()
        put(max(wide_low, low - (high - low)), min(wide_high, high + (high - low)))
