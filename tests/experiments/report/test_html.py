"""The HTML page: self-contained, complete, and harmless whatever a policy or a passage wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
import zlib
from html.parser import HTMLParser

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord, write_records
from berrypick.experiments.measures.arms_report import measure_arms
from berrypick.experiments.measures.measures import measure_of
from berrypick.experiments.report.html import html_page
from berrypick.experiments.report.svg import frontier_svg

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31m \u202egnihton & <b>"
FRONT = {"k": 2, "max_gap": 0.0, "points": [[0.4, 0.8], [0.6, 0.6]]}


def episode(question, sample, text="ledger founder x", answer="miravo"):
    turns = [
        TurnRecord(
            text=f"<search> {text} </search>", action="search", queries=[text], observation=f"<information>{text}"
        ),
        TurnRecord(text=f"<answer> {answer} </answer>", action="answer"),
    ]
    turns[0].hits = [[HitRecord(id="p1", score=1.0)]]
    return EpisodeRecord(
        question=QuestionRecord(
            id=question, text=f"who is ledger founder {question} ? {HOSTILE}", answers=["miravo"], evidence=[[["p1"]]]
        ),
        group_id=question,
        sample_index=sample,
        turns=turns,
        answer_raw=answer,
        answer_norm=answer,
        em=float(answer == "miravo"),
        f1=0.0,
    )


def episodes_of(page):
    (packed,) = re.findall(r'id="episodes">(.*?)</script>', page, re.DOTALL)
    return json.loads(zlib.decompress(base64.b64decode(packed)))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes, self.texts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def sha256(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def parsed(page):
    tags = Tags()
    tags.feed(page.removeprefix("<!doctype html>\n"))
    assert not tags.open
    return tags


@pytest.fixture
def arms():
    return {
        "first": [episode("q1", s) for s in range(2)] + [episode("q2", s, answer="wrong") for s in range(2)],
        "second <i>": [episode("q1", s, text=HOSTILE) for s in range(2)] + [episode("q2", s) for s in range(2)],
    }


def test_the_page_nests_loads_nothing_and_runs_one_script_that_is_its_own(arms):
    page = html_page(arms, {**measure_arms(arms), "frontier": FRONT})
    tags = parsed(page)
    assert not {"img", "link", "iframe", "object", "base", "i"} & set(tags.seen)
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name in ("src", "href", "style")]
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [' type="text/plain" id="episodes"', ""]
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(styles) == 1
    (policy,) = [value for name, value in tags.attributes if name == "content" and "default-src" in value]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{sha256(styles[0])}'; script-src 'sha256-{sha256(scripts[1][1])}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_hostile_text_is_shown_as_what_it_is(arms):
    page = html_page(arms, measure_arms(arms))
    assert "\x1b" not in page
    assert "\u202e" not in page
    shown = "".join(parsed(page).texts)
    assert "second <i>" in shown
    (packed,) = re.findall(r'id="episodes">(.*?)</script>', page, re.DOTALL)
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", packed)
    texts = episodes_of(page)["texts"]
    assert HOSTILE.replace("\x1b", "\\u001b").replace("\u202e", "\\u202e") in texts


def test_every_measure_difference_and_episode_stands_on_the_page(arms):
    report = measure_arms(arms)
    shown = "".join(parsed(html_page(arms, report)).texts)
    for summary in report["arms"].values():
        assert all(measure_of(key).label in shown for key in summary["measures"])
        assert all(measure_of(key).meaning in shown for key in summary["measures"])
        for key, why in summary["absent"].items():
            assert measure_of(key).label in shown.split(f"Not measured ({why}): ")[1].split(".")[0].split(", ")
    data = episodes_of(html_page(arms, report))
    assert [name for name, _ in data["arms"]] == list(arms)
    played = [(data["questions"][q][0], arm, sample, right) for q, arm, sample, right, *_ in data["episodes"]]
    assert played == [
        ("q1", 0, 0, 1), ("q1", 0, 1, 1), ("q1", 1, 0, 1), ("q1", 1, 1, 1),
        ("q2", 0, 0, 0), ("q2", 0, 1, 0), ("q2", 1, 0, 1), ("q2", 1, 1, 1),
    ]  # fmt: skip
    assert "wrong" in data["texts"]


def test_the_picture_puts_better_policies_further_up_and_right():
    def at(one, many):
        return tuple({"value": v, "low": v - 0.01, "high": v + 0.01} for v in (one, many))

    root = ET.fromstring(frontier_svg({"weak": at(0.4, 0.5), "strong <": at(0.55, 0.65)}, FRONT))
    circles = {c[0].text: c for c in root.iter("{http://www.w3.org/2000/svg}circle") if len(c)}
    weak, strong = circles["weak"], circles["strong <"]
    assert float(strong.get("cx")) > float(weak.get("cx"))
    assert float(strong.get("cy")) < float(weak.get("cy"))
    (line,) = root.iter("{http://www.w3.org/2000/svg}polyline")
    assert len(line.get("points").split()) == 2


def test_the_report_command_writes_the_page(arms, tmp_path, capsys):
    write_records(tmp_path / "rollouts.jsonl", arms["first"])
    assert main(["report", str(tmp_path / "rollouts.jsonl"), "--html", str(tmp_path / "page.html")]) == 0
    capsys.readouterr()
    texts = episodes_of((tmp_path / "page.html").read_text())["texts"]
    assert any(text.startswith("who is ledger founder q1 ?") for text in texts)


def test_a_page_that_cannot_be_written_is_one_clear_line(arms, tmp_path, capsys):
    write_records(tmp_path / "rollouts.jsonl", arms["first"])
    page = tmp_path / "absent" / "page.html"
    assert main(["report", str(tmp_path / "rollouts.jsonl"), "--html", str(page)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "choose another --html" in err
