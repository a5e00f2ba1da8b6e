"""Figures: policies stand where they acted, names stand next to marks, and no name covers another."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from berrypick.experiments.report.frontier_figure import draw_frontier
from berrypick.experiments.report.label_layout import Box, place_labels, text_width
from berrypick.experiments.report.svg import curve_svg, frontier_svg
from hypothesis import given
from hypothesis import strategies as st

SVG = "{http://www.w3.org/2000/svg}"
SEED_0 = Path(__file__).resolve().parents[3] / "results" / "demo" / "seed-0.json"
FRONT = {"k": 8, "max_gap": 0.0, "points": [[0.5, 0.8], [0.55, 0.77], [0.6, 0.6]]}


def at(one, many):
    return tuple({"value": v, "low": v - 0.01, "high": v + 0.01, "n": 9} for v in (one, many))


def discs(svg):
    root = ET.fromstring(svg)
    return {c[0].text: (float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle") if len(c)}


def test_a_policy_that_only_plans_well_stands_at_zero_and_its_plan_is_an_open_mark() -> None:
    svg = frontier_svg({"stub": at(0.0, 0.0), "good": at(0.52, 0.75)}, FRONT, planned={"stub": at(0.5, 0.8)})
    places = discs(svg)
    root = ET.fromstring(svg)
    assert places["stub"][0] < places["good"][0] and places["stub"][1] > places["good"][1]
    (mark,) = [c for c in root.iter(f"{SVG}circle") if c.get("fill") == "none"]
    (curve,) = root.iter(f"{SVG}polyline")
    assert curve.get("points").split()[0] == f"{mark.get('cx')},{mark.get('cy')}"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "stub at 0.000, 0.000, outside" in texts and "good" in texts and "exact frontier" in texts


def test_a_policy_alone_at_zero_is_inside_the_picture() -> None:
    svg = frontier_svg({"stub": at(0.0, 0.0)}, FRONT)
    assert "outside" not in svg and ">0.00<" in svg


def test_no_open_mark_where_the_plan_is_what_was_done() -> None:
    svg = frontier_svg({"a": at(0.55, 0.7)}, FRONT, planned={"a": at(0.55, 0.7)})
    assert 'fill="none" stroke="#' not in svg


@pytest.mark.parametrize("width", [380, 640])
def test_names_of_the_demo_cover_neither_each_other_nor_the_border(width: int) -> None:
    report = json.loads(SEED_0.read_text())
    points = {name: (arm["measures"]["pass@1"], arm["measures"]["pass@8"]) for name, arm in report["arms"].items()}
    svg = frontier_svg(points, report["frontier"], references=report["references"], width=width)
    boxes = []
    for text in ET.fromstring(svg).iter(f"{SVG}text"):
        if text.get("class") == "name":
            x, y, wide = float(text.get("x")), float(text.get("y")), text_width(text.text, 13)
            left = x - {"start": 0, "middle": wide / 2, "end": wide}[text.get("text-anchor")]
            boxes.append(Box(left, y - 10, left + wide, y + 2))
    assert len(boxes) == len(points) + 3  # two reference policies and the frontier
    assert not [1 for a in range(len(boxes)) for b in range(a) if boxes[a].covers(boxes[b])]
    assert all(box.left >= 0 and box.right <= width for box in boxes)


@given(st.lists(st.tuples(st.floats(100, 500), st.floats(60, 340)), min_size=1, max_size=6, unique=True))
def test_few_labels_always_find_room(anchors) -> None:
    bounds = Box(0, 0, 600, 400)
    boxes = place_labels(anchors, [(60.0, 14.0)] * len(anchors), bounds=bounds, obstacles=[])
    assert all(box.inside(bounds) for box in boxes)
    assert not [1 for a in range(len(boxes)) for b in range(a) if boxes[a].covers(boxes[b])]


def test_a_curve_has_a_line_a_band_and_a_name_for_each_arm() -> None:
    series = {name: [(s, at(0.1 * s + shift, 0)[0]) for s in (0, 1, 2)] for name, shift in (("GRPO", 0.1), ("b<", 0.3))}
    root = ET.fromstring(curve_svg(series, "pass@1"))
    assert len(list(root.iter(f"{SVG}polyline"))) == len(list(root.iter(f"{SVG}polygon"))) == 2
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"GRPO", "b<", "pass@1", "training step"} <= set(texts)
    assert ET.fromstring(curve_svg({}, "pass@1")) is not None


def test_the_figure_files_show_what_was_done_and_name_the_planned_marks(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    import matplotlib as mpl

    report = json.loads(SEED_0.read_text())
    with mpl.rc_context({"svg.fonttype": "none"}):
        files = draw_frontier([report], tmp_path, title="one seed")
        svg = files[0].read_text()
        draw_frontier([report, report, report], tmp_path, title="three")
    assert [file.name for file in files] == ["frontier.svg", "frontier.png"]
    words = " ".join(re.sub(r"<[^>]+>", " ", svg).split())
    assert "untrained at 0.000, 0.000, outside" in words
    assert "planned = a perfect reader replays" in words and "exact for these 256 questions" in words
    for name in (*report["arms"], "exact frontier", "best order"):
        assert name in words
