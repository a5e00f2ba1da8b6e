"""The page in a real browser: it loads without errors, its filters and keys work, and hostile text does nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, HitRecord, QuestionRecord, TurnRecord
from berrypick.experiments.measures.arms_report import measure_arms
from berrypick.experiments.report import html
from berrypick.experiments.report.html import html_page
from fixtures.browser import acted, visit

WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=4", "num_validation=0", "num_test=6"]
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> "
    "<!--<script> \x1b[31m \u202egnihton \u2028 ${document.title='owned'} & <b id=owned>"
)

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page")
    for policy in ("random_order", "best_order"):
        words = ["eval", *WORLD, "--policy", policy, "--samples", "4", "--out", str(out / policy), "--no-html"]
        assert main(words) == 0
    file = out / "page.html"
    assert main(["report", str(out / "random_order"), str(out / "best_order"), "--html", str(file)]) == 0
    return file


def test_the_page_loads_without_a_word_on_the_console_and_shows_its_takeaway(page: Path) -> None:
    seen = visit(page)
    assert seen.console == []
    text = re.sub(r"<script.*?</script>", "", seen.document, flags=re.DOTALL)
    assert text.index("takeaway") < text.index("<svg")
    assert "48 of 48 episodes" in text
    assert "queries of its 4 rollouts" in text
    assert "exact for these 6 questions" in text


def test_without_javascript_the_takeaway_and_the_measures_are_there(page: Path) -> None:
    static = re.sub(r"<script.*?</script>", "", page.read_text(), flags=re.DOTALL)
    assert 'class="takeaway"' in static and "planned pass@1" in static
    assert "<noscript><p>Episodes need JavaScript.</p></noscript>" in static
    assert '<div id="browser" hidden>' in static


def test_the_script_puts_no_text_into_the_document_as_markup() -> None:
    script = (Path(html.__file__).with_name("page.js")).read_text()
    assert "textContent" in script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", script)


def test_search_and_filters_leave_the_episodes_that_match(page: Path) -> None:
    script = """
    const count = () => Number(document.getElementById("count").textContent.split(" ")[0]);
    const set = (id, value) => {
      const field = document.getElementById(id);
      field.value = value;
      field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input"));
      return sleep(400);
    };
    const out = { all: count() };
    await set("policy", "1"); out.policy = count();
    await set("result", "1"); out.right = count();
    await set("result", "0"); out.wrong = count();
    await set("result", ""); await set("policy", "");
    await set("question", "world-0-test-00003"); out.question = count();
    await set("question", "");
    const kind = document.getElementById("kind").options[1];
    out.kindSays = Number(kind.textContent.match(/\\((\\d+)\\)/)[1]);
    await set("kind", kind.value); out.kind = count();
    await set("kind", "");
    const title = document.querySelector("#detail h3").textContent;
    await set("search", title.toUpperCase()); out.title = count();
    await set("search", "surely-nowhere"); out.none = count();
    out.hint = document.getElementById("detail").textContent;
    await set("search", ""); out.again = count();
    return out;
    """
    found, seen = acted(page, script)
    assert seen.console == []
    assert found["all"] == found["again"] == 48
    assert found["policy"] == 24 and found["right"] + found["wrong"] == 24
    assert found["question"] == 8
    assert found["kind"] == found["kindSays"] > 0
    assert found["title"] >= 8 and found["title"] % 8 == 0
    assert found["none"] == 0 and "No episode passes these filters" in found["hint"]


def test_the_keyboard_moves_through_the_list_and_between_its_parts(page: Path) -> None:
    script = """
    const at = () => document.querySelector(".row[aria-selected=true]").id;
    const focused = () => document.activeElement.id;
    const out = [];
    press("j"); press("j"); out.push(at());
    press("k"); out.push(at());
    press("/"); out.push(focused());
    document.activeElement.value = "zzzz";
    press("j"); out.push(document.activeElement.value);
    press("Enter"); out.push(focused());
    press("/"); press("Escape"); out.push(focused(), document.getElementById("search").value);
    press("Enter"); out.push(focused());
    press("Escape"); out.push(focused());
    for (let i = 0; i < 100; i++) press("j");
    out.push(at());
    return out;
    """
    found, seen = acted(page, script)
    assert seen.console == []
    assert found[:2] == ["row2", "row1"]
    assert found[2:] == ["search", "zzzz", "list", "list", "", "detail", "list", "row47"]


def episode(sample: int, text: str, shown: list[str], answer: str = "fig") -> EpisodeRecord:
    turn = TurnRecord(
        text=f"<search> {text} </search>",
        action="search",
        queries=[text],
        hits=[[HitRecord(id=passage, score=1.0) for passage in shown]],
        observation="\n<information> "
        + " ".join(f"[{n}] about {p}" for n, p in enumerate(shown, 1))
        + " </information>",
    )
    return EpisodeRecord(
        question=QuestionRecord(id="q", text=f"which fruit ? {text}", answers=["fig"], evidence=[[["p1"]]]),
        group_id="q",
        sample_index=sample,
        turns=[turn],
        answer_raw=answer,
        answer_norm=answer,
        em=float(answer == "fig"),
    )


def written(tmp_path: Path, arms: dict[str, list[EpisodeRecord]]) -> Path:
    file = tmp_path / "page.html"
    file.write_text(html_page(arms, measure_arms(arms)), encoding="utf-8")
    return file


def test_shared_unique_and_supporting_passages_of_a_group_are_told_apart(tmp_path: Path) -> None:
    arms = {"a": [episode(0, "x", ["p1", "p2"]), episode(1, "x", ["p1", "p3"])]}
    script = """
    const chips = [...document.querySelectorAll("#detail .chip")].map((chip) => [chip.textContent, chip.className]);
    const marked = [...document.querySelectorAll("pre .support")].map((part) => part.textContent).join("");
    return { chips, marked };
    """
    found, _ = acted(written(tmp_path, arms), script)
    assert found["chips"] == [
        ["★ p1 ×2", "chip support shared"],
        ["p2 unique", "chip unique"],
        ["★ p1 ×2", "chip support shared"],
        ["p3 unique", "chip unique"],
    ]
    assert found["marked"].strip() == "[1] about p1"


def test_a_mark_says_whether_it_is_the_exact_match_or_the_reward(tmp_path: Path) -> None:
    judged = [episode(0, "x", ["p1"], "a fig"), episode(1, "x", ["p1"]), episode(2, "x", ["p1"], "a fig"),
              episode(3, "x", ["p1"], "a fig"), episode(4, "x", ["p1"])]  # fmt: skip
    for record, reward in zip(judged, (1.0, 1.0, 0.0, 0.25, 0.0)):
        record.reward = reward
    judged[3].em = None
    script = """
    const marks = [...document.querySelectorAll(".row b")].map(
      (mark) => [mark.textContent.trim(), mark.className, mark.title]);
    const groups = [...document.querySelectorAll(".group th[data-episode] span")].map((mark) => mark.textContent);
    const filters = [...document.getElementById("result").options].map((option) => option.textContent);
    return { marks, groups, filters, detail: document.querySelector("#detail h4:last-of-type").textContent };
    """
    found, seen = acted(written(tmp_path, {"a": judged}), script)
    assert seen.console == []
    assert found["marks"] == [
        ["✗ EM, reward 1", "against", "wrong (no exact match), but recorded reward 1"],
        ["✓", "right", "right (exact match)"],
        ["✗", "wrong", "wrong (no exact match)"],
        ["– reward 0.25", "", "not graded, recorded reward 0.25"],
        ["✓ EM, reward 0", "against", "right (exact match), but recorded reward 0"],
    ]
    assert found["groups"] == [mark for mark, *_ in found["marks"]]
    assert found["detail"] == "Sample 0: wrong (no exact match), but recorded reward 1, answer: a fig"
    assert found["filters"] == ["right and wrong", "right (exact match)", "wrong (no exact match)", "not graded"]


@pytest.mark.parametrize("place", ["text", "arm"])
@pytest.mark.slow
def test_hostile_text_is_shown_and_never_acts(place: str, tmp_path: Path) -> None:
    text, name = (HOSTILE, "a") if place == "text" else ("x", HOSTILE)
    arms = {
        name: [episode(0, text, [text], answer=text), episode(1, text, ["p1"])],
        "b": [episode(0, text, ["p1"]), episode(1, text, ["p2"])],
    }
    page = written(tmp_path, arms)
    seen = visit(page)
    assert seen.console == [] and "<title>berrypick report</title>" in seen.document
    script = """
    document.querySelectorAll(".group th[data-episode]")[1].click();
    return { title: document.title, owned: document.querySelectorAll("#owned, img").length,
             scripts: document.scripts.length, shown: document.body.textContent.includes("<img src=x onerror=") };
    """
    found, seen = acted(page, script)
    assert found == {"title": "berrypick report", "owned": 0, "scripts": 3, "shown": True}
    assert "\u202e" not in seen.document and "\x1b" not in seen.document


def test_a_megabyte_turn_is_cut_with_a_mark_that_the_page_explains(tmp_path: Path) -> None:
    page = written(tmp_path, {"a": [episode(0, "y" * 1_000_000, ["p1"])]})
    assert page.stat().st_size < 300_000
    found, seen = acted(page, "return document.querySelector('#detail pre').textContent.slice(-60);")
    assert seen.console == []
    assert "[980,019 more characters]" in found
    assert "Texts longer than 20,000 characters are cut" in seen.document


@pytest.mark.slow
def test_a_list_of_ten_thousand_episodes_keeps_few_rows_in_the_document(tmp_path: Path) -> None:
    arms = {"a": [episode(sample, f"word{sample}", [f"p{sample % 50}"]) for sample in range(10_000)]}
    for number, record in enumerate(arms["a"]):
        record.question.id, record.sample_index = f"q{number // 8:05}", number % 8
        record.question.text = "which fruit ?"
        record.group_id = record.question.id
    page = written(tmp_path, arms)
    assert page.stat().st_size < 20_000_000
    script = """
    const rows = () => document.querySelectorAll(".row").length;
    const before = rows();
    const list = document.getElementById("list");
    list.scrollTop = list.scrollHeight; list.dispatchEvent(new Event("scroll"));
    return { before, after: rows(), last: !!document.getElementById("row9999") };
    """
    found, seen = acted(page, script, "--window-size=1200,900")
    assert seen.console == []
    assert found["before"] < 60 and found["after"] < 60 and found["last"]


@pytest.mark.parametrize("arms", [2, 12])
def test_paper_is_white_and_cuts_no_table(arms: int, tmp_path: Path) -> None:
    """The rules for paper are applied to a screen of the width of a page, in the dark theme."""
    samples = [episode(sample, "word", [f"p{sample}", "p1"]) for sample in range(16)]
    page = written(tmp_path, {f"a policy with a long name {at}": samples for at in range(arms)})
    script = """
    const rules = [...document.styleSheets[0].cssRules].filter((rule) => rule.media?.mediaText === "print");
    const before = getComputedStyle(document.body).backgroundColor;
    for (const rule of rules) rule.media.mediaText = "all";
    document.body.style.width = "700px";
    await sleep(100);
    const right = document.body.getBoundingClientRect().right + 1;
    const cut = [...document.querySelectorAll("table, td, th, pre, svg")].filter(
      (part) => part.getBoundingClientRect().right > right).map((part) => part.outerHTML.slice(0, 200));
    return { rules: rules.length, before, after: getComputedStyle(document.body).backgroundColor, cut,
             hidden: ["filters", "list"].map((id) => getComputedStyle(document.getElementById(id)).display),
             shown: getComputedStyle(document.getElementById("detail")).display,
             heads: [...document.querySelectorAll(".group tbody tr:first-child td")].map((cell) => cell.dataset.head) };
    """
    flags = "--window-size=1300,900", "--force-dark-mode", "--blink-settings=preferredColorScheme=0"
    found, seen = acted(page, script, *flags)
    assert seen.console == []
    assert found["rules"] == 1 and found["cut"] == []
    assert found["before"] == "rgb(22, 22, 22)" and found["after"] == "rgb(255, 255, 255)"
    assert found["hidden"] == ["none", "none"] and found["shown"] == "block"
    assert found["heads"][1:3] == ["sample 0 ✓", "sample 1 ✓"] and len(found["heads"]) == 17
