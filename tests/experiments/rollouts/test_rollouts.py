"""`berrypick.Rollouts`: its numbers are those of the report, its texts are safe, its pages run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import berrypick
import pytest
from berrypick import Rollouts
from berrypick.__main__ import main
from berrypick.envs.record import EpisodeRecord, QuestionRecord, TurnRecord, read_records, write_records
from berrypick.experiments.rollouts import FIGURES
from berrypick.experiments.rollouts.notebook import CELLS, notebook_document
from berrypick.experiments.rollouts.tour import TOUR, VARIES
from berrypick.retrieval_index.errors import BerrypickError, MissingExtraError
from fixtures.machine import patience

DOCS = Path(__file__).resolve().parents[3] / "docs"
WORLD = ["--env", "berrypick/World-v0", "--env-arg", "num_train=0", "num_validation=0", "num_test=8"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two evaluations over the same eight questions: a-test in random order, b-test in the best one."""
    folder = tmp_path_factory.mktemp("here") / "runs"
    for name, policy in (("a-test", "random_order"), ("b-test", "best_order")):
        assert main(["eval", *WORLD, "--policy", policy, "--samples", "4", "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture
def a(runs: Path) -> Rollouts:
    return Rollouts.load(runs / "a-test")


def plain(
    question: str,
    sample: int,
    *,
    em: float | None = None,
    reward: float | None = None,
    text: str = "x",
    answer: str = "y",
) -> EpisodeRecord:
    """An episode of no World."""
    return EpisodeRecord(
        question=QuestionRecord(id=question, text=text, answers=["y"]),
        group_id=question,
        sample_index=sample,
        turns=[TurnRecord(text="t", action="answer")],
        answer_raw=answer,
        em=em,
        reward=reward,
    )


# The same numbers as the report


def test_metrics_and_differences_are_those_of_the_report(
    runs: Path, a: Rollouts, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["report", str(runs / "a-test"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["arms"]["a-test"]["measures"] == a.metrics()
    assert main(["report", str(runs / "a-test"), str(runs / "b-test"), "--json"]) == 0
    differences = json.loads(capsys.readouterr().out)["differences"]
    assert differences == {"b-test - a-test": a.compare(Rollouts.load(runs / "b-test"))}


def test_a_file_loads_as_its_folder_does(runs: Path, a: Rollouts) -> None:
    from_file = Rollouts.load(str(runs / "a-test" / "rollouts.jsonl"))
    assert from_file.metrics() == a.metrics() and from_file.name == "a-test"


def test_it_is_a_sequence_of_the_records_of_the_file(runs: Path, a: Rollouts) -> None:
    records = read_records(runs / "a-test" / "rollouts.jsonl")
    assert list(a) == records and len(a) == 32 and a[3] == records[3] and a[-1] == records[-1]
    assert isinstance(a[:4], Rollouts) and list(a[:4]) == records[:4]


def test_filters_combine(a: Rollouts) -> None:
    question = a[0].question.id
    assert len(a.filter(question=question)) == 4
    assert len(a.filter(right=True)) + len(a.filter(right=False)) == len(a)
    both = a.filter(lambda record: record.sample_index < 2, question=question)
    assert [record.sample_index for record in both] == [0, 1] and both.name == a.name
    ungraded = Rollouts([plain("q", 0)])
    assert len(ungraded.filter(right=True)) == len(ungraded.filter(right=False)) == 0


# Tables


def test_the_table_has_one_row_per_episode(a: Rollouts) -> None:
    frame = a.to_pandas()
    assert len(frame) == len(a)
    assert frame["question_id"].tolist() == [record.question.id for record in a]
    assert frame["right"].tolist() == [record.em == 1 for record in a]
    assert frame["searches"].tolist() == [len(record.queries) for record in a]
    assert frame.groupby("question_id")["em"].mean().mean() == pytest.approx(a.metrics()["pass@1"]["value"])
    assert list(Rollouts([]).to_pandas().columns) == list(frame.columns)


# Figures


def test_the_curve_shows_the_values_of_pass_at_k(a: Rollouts) -> None:
    axes = a.figure("pass@k").axes[0]
    (container,) = axes.containers
    values = [a.metrics()[f"pass@{k}"]["value"] for k in (1, 2, 4)]
    assert container.lines[0].get_xdata().tolist() == [1, 2, 4]
    assert container.lines[0].get_ydata().tolist() == values
    planned = next(line for line in axes.lines if line.get_label() == "planned")
    assert list(planned.get_ydata()) == [a.metrics()[f"pass@{k}_plan"]["value"] for k in (1, 2, 4)]


def test_the_frontier_shows_the_actual_values(a: Rollouts) -> None:
    (container,) = a.figure("frontier").axes[0].containers
    point = container.lines[0]
    assert point.get_xdata()[0] == a.metrics()["pass@1"]["value"]
    assert point.get_ydata()[0] == a.metrics()["pass@4"]["value"]


def test_the_bars_add_up_to_the_episodes(a: Rollouts) -> None:
    right, other = a.figure("queries").axes[0].containers
    assert sum(bar.get_height() for bar in right) == len(a.filter(right=True))
    assert sum(bar.get_height() for bar in other) == len(a.filter(right=False))


def test_a_figure_draws_any_name_and_leaves_the_settings_alone(a: Rollouts) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    odd = Rollouts(list(a), name="$\\frac{\x1b$")
    for kind in FIGURES:
        odd.figure(kind).canvas.draw()
    assert dict(mpl.rcParams) == before


# Bad input


def test_what_cannot_be_shown_is_one_line(a: Rollouts, tmp_path: Path) -> None:
    nothing, ungraded = a.filter(question="none"), Rollouts([plain("q", 0)], name="mine")
    for call, message in (
        (lambda: a.figure("frontiers"), "did you mean frontier"),
        (lambda: Rollouts([plain("q", 0, em=1.0)]).figure("frontier"), "no exact frontier"),
        (lambda: ungraded.figure("pass@k"), "not graded"),
        (lambda: nothing.metrics(), "a-test has no episodes"),
        (lambda: nothing.figure("queries"), "a-test has no episodes"),
        (lambda: nothing.compare(a), "a-test has no episodes"),
        (lambda: a.compare(ungraded), "share no question"),
        (lambda: Rollouts.load(tmp_path / "no"), "no such file or folder"),
    ):
        with pytest.raises(BerrypickError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    assert len(ungraded.figure("queries").axes) == 1


def test_a_folder_of_several_policies_names_them(runs: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "eval" / name).mkdir(parents=True)
        (tmp_path / "eval" / name / "rollouts.jsonl").write_bytes((runs / "a-test" / "rollouts.jsonl").read_bytes())
    with pytest.raises(BerrypickError, match=r"rollouts of 2 policies \((one, two|two, one)\); give the folder of one"):
        Rollouts.load(tmp_path)


def test_bad_lines_can_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    write_records(file, [plain("q", 0, em=1.0)])
    with file.open("a") as more:
        more.write("{}\n")
    with pytest.raises(BerrypickError, match=":2:"):
        Rollouts.load(file)
    assert len(Rollouts.load(file, skip_bad=True)) == 1


@pytest.mark.parametrize(("package", "call"), [("pandas", "to_pandas"), ("matplotlib", "figure")])
def test_without_an_optional_package_one_line_says_how_to_install_it(
    package: str, call: str, a: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as `import` and `find_spec` see a package that is not there
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed.*pip install \"berrypick\[") as error:
        getattr(a, call)()
    assert "\n" not in str(error.value)


# What a notebook shows


def test_its_text_says_what_it_is(a: Rollouts) -> None:
    share = sum(record.em == 1 for record in a) / len(a)
    assert repr(a) == f"<Rollouts a-test: 32 episodes of 8 questions; random_order; {share:.3f} right>"
    assert repr(Rollouts([])) == "<Rollouts rollouts: 0 episodes of 0 questions>"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


def test_nothing_that_a_file_holds_becomes_markup_or_control(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\x1b[2J\u202e\"'&"
    record = plain(evil, 0, em=0.0, text=evil, answer=evil)
    record.policy_id = evil
    shown = Rollouts([record], name=evil)
    tags = Tags()
    tags.feed(shown._repr_html_())
    assert tags.seen <= {"p", "b", "table", "thead", "tbody", "tr", "th", "td"}
    for text in (shown._repr_html_(), repr(shown)):
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)
    assert "and 4 more episodes" in Rollouts([plain("q", n) for n in range(9)])._repr_html_()


def test_a_recorded_reward_that_contradicts_exact_match_is_said(runs: Path, a: Rollouts) -> None:
    shown = Rollouts([plain("q", 0, em=0.0, reward=1.0), plain("q", 1, em=1.0, reward=1.0)], name="judged")
    assert "0.500 right by exact match; mean recorded reward 1.000" in repr(shown)
    assert "<th>right (exact match)</th><th>reward</th>" in shown._repr_html_()
    assert "<td>no</td><td>1.000</td>" in shown._repr_html_()
    assert "mean recorded reward 0.250" in repr(Rollouts([plain("q", 0, reward=0.25)]))
    assert "reward" not in a._repr_html_(), "equal rewards say nothing more"


def test_the_package_loads_neither_measures_nor_tables_until_rollouts_are_used() -> None:
    code = (
        "import sys, berrypick; heavy = {'pandas', 'matplotlib', 'torch', 'berrypick.experiments'};"
        "print(sorted(heavy & set(sys.modules))); berrypick.Rollouts;"
        "print(sorted((heavy - {'berrypick.experiments'}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.split() == ["[]", "[]"]
    assert "Rollouts" in dir(berrypick)


# The pages


def text_outputs(cells: list[dict[str, object]]) -> list[object]:
    """The outputs of the cells without their images, whose bytes depend on fonts."""
    out = []
    for cell in cells:
        for output in cell.get("outputs", []):
            data = {kind: text for kind, text in output.get("data", {}).items() if kind != "image/png"}
            out.append({**output, "data": data})
    return out


def test_the_notebook_in_the_docs_runs_and_shows_what_it_says() -> None:
    stored = json.loads((DOCS / "rollouts.ipynb").read_text(encoding="utf-8"))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in stored["cells"]]
    assert tuple(cells) == CELLS, "write it again: python -m berrypick.experiments.rollouts.notebook"
    again = notebook_document(cells)
    assert text_outputs(stored["cells"]) == text_outputs(again["cells"])
    images = [output for cell in stored["cells"] for output in cell.get("outputs", []) if "data" in output]
    assert sum("image/png" in output["data"] for output in images) == 2
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in stored["cells"]}) == len(stored["cells"])


@pytest.mark.timeout(patience(600))  # it trains
@pytest.mark.slow
def test_the_tour_runs_and_shows_what_does_not_depend_on_the_processor() -> None:
    stored = json.loads((DOCS / "tour.ipynb").read_text(encoding="utf-8"))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in stored["cells"]]
    assert tuple(cells) == TOUR, "write it again: python -m berrypick.experiments.rollouts.notebook tour"
    again = notebook_document(cells)
    assert text_outputs(stored["cells"][:VARIES]) == text_outputs(again["cells"][:VARIES])
    kinds = [[output["output_type"] for output in cell.get("outputs", [])] for cell in stored["cells"]]
    assert kinds == [[output["output_type"] for output in cell.get("outputs", [])] for cell in again["cells"]]
    text = "".join(line for output in text_outputs(again["cells"][VARIES:]) for line in output.get("text", []))
    values = dict(re.findall(r"^(\S+) +([\d.]+) \[", text, re.MULTILINE))
    assert float(values["pass@1"]) > 0, "the trained policy answers some questions"


def test_the_page_runs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs.parent)
    page = (DOCS / "notebooks.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code) == 2
    exec(compile("\n".join(code), "notebooks.md", "exec", dont_inherit=True), {"__name__": "page"})


def test_the_commands_of_the_page_run(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs.parent)
    page = (DOCS / "notebooks.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    berrypick (play .*)$", page, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        if "HotpotQA" in command and "BERRYPICK_DATA" not in os.environ:
            continue
        assert main(shlex.split(command)) == 0, command
        assert capsys.readouterr().out.startswith("a new episode;" if "--policy" in command else "episode ")
