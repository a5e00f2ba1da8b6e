"""Measures on real corpora: what each control must give whoever plays, and the page that is made of a run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.experiments.grid.experiment import Results
from berrypick.experiments.grid.publishing import publish
from berrypick.experiments.grid.runner import run_experiment
from berrypick.experiments.real_corpora.experiment import EXPERIMENT, RETRIEVALS, RealCorpora
from berrypick.experiments.real_corpora.page import page

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "real_corpora" / "report.json"

PLACES = ("Arlo", "Bexley", "Corvin", "Dunmore", "Elsin", "Farrow")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Six two-hop questions, each with its two passages."""
    folder = tmp_path_factory.mktemp("toy")
    passages, questions = [], []
    for number, place in enumerate(PLACES):
        first, second = f"p{number}a", f"p{number}b"
        passages.append({"id": first, "title": place, "text": f"{place} was founded by Lady {place}son."})
        passages.append(
            {"id": second, "title": f"Lady {place}son", "text": f"Lady {place}son died in {1700 + number}."}
        )
        questions.append(
            {
                "id": f"q{number}",
                "question": f"When did the founder of {place} die?",
                "golden_answers": [str(1700 + number)],
                "metadata": {"supporting_ids": [first, second], "split": "dev"},
            }
        )
    for name, rows in (("corpus", passages), ("questions", questions)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = {"corpus": str(folder / "corpus.jsonl"), "questions": str(folder / "questions.jsonl")}
    return RealCorpora(sets="Custom", env_args=arguments, split="dev")


@pytest.fixture(scope="module")
def run(toy, tmp_path_factory):
    out = tmp_path_factory.mktemp("real") / "run"
    return out, run_experiment(toy, out, scale="smoke", num_seeds=2)


def rows(report):
    return {(row["policy"], row["retrieval"]): row["measures"] for row in report["rows"]}


def test_every_policy_is_played_under_every_control(run):
    _, report = run
    assert report["cells"] == {"done": 40, "failed": {}, "not_run": 0}
    assert {retrieval for _, retrieval in rows(report)} == set(RETRIEVALS)


def test_the_oracle_answers_right_with_a_closed_book_and_shows_evidence_only_where_there_is_retrieval(run):
    measures = rows(run[1])
    for retrieval in RETRIEVALS:
        assert measures["oracle", retrieval]["em"]["value"] == 1
    assert measures["oracle", "bm25"]["all_hops"]["value"] == 1
    assert measures["oracle", "closed_book"]["searches"]["value"] == 0
    assert measures["oracle", "empty"]["evidence_recall"]["value"] == 0


def test_oracle_retrieval_shows_all_evidence_to_whoever_asks_twice(run):
    measures = rows(run[1])
    assert measures["follow_titles", "oracle"]["all_hops"]["value"] == 1
    assert measures["random_words", "oracle"]["all_hops"]["value"] == 1
    assert measures["question", "oracle"]["evidence_recall"]["value"] == 0.5  # one query, the first hop


def test_gains_are_differences_to_the_closed_book(run):
    report = run[1]
    measures = rows(report)
    for gain in report["gains"]:
        ours, closed = (measures[gain["policy"], kind]["f1"]["value"] for kind in (gain["retrieval"], "closed_book"))
        assert gain["gain"]["f1"]["value"] == pytest.approx(ours - closed, abs=1e-9)


def test_a_run_is_published_as_results_and_page(toy, run, tmp_path):
    out, report = run
    (tmp_path / "pyproject.toml").write_text("")
    publish(toy, out, tmp_path)
    assert json.loads((tmp_path / "results" / "real_corpora" / "report.json").read_text()) == report
    assert (tmp_path / "docs" / "real_corpora.md").read_text() == page(report)


def test_a_set_without_evidence_is_refused_before_the_first_cell(toy, tmp_path):
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"id": "q", "question": "Who?", "golden_answers": ["Me"], "metadata": {"split": "dev"}}\n')
    bare = RealCorpora(
        sets="Custom", policies="question", env_args={**toy.env_args, "questions": str(questions)}, split="dev"
    )
    with pytest.raises(BerrypickError, match="Custom has no annotated evidence"):
        run_experiment(bare, tmp_path / "run", scale="smoke", num_seeds=1)
    assert not (tmp_path / "run").exists()


def test_small_scale_adds_the_language_model_with_fewer_questions():
    sizes = {cell.config["policy"]: cell.config["questions"] for cell in EXPERIMENT.cells("small", 1)}
    assert sizes["smollm2"] == 8 and sizes["smollm2-search"] == 40
    assert sizes["question"] == 200
    arguments = EXPERIMENT.cells("small", 1)[0].config["env_args"]
    assert arguments["holdout"] == 300 and arguments["max_passage_words"] == 100  # as the agent was trained


def test_the_agent_is_compared_with_its_floors_on_the_questions_that_both_answered(toy):
    cells = dataclasses.replace(toy, policies="smollm2-search,question").cells("small", 1)
    found = {
        ("smollm2-search", "bm25"): [1.0, 0.0, 1.0],
        ("smollm2-search", "empty"): [0.0, 0.0, 1.0],
        ("question", "bm25"): [1.0, 1.0, 0.0, 1.0, 1.0],
    }
    done = {}
    for cell in cells:
        values = found.get((cell.config["policy"], cell.config["retrieval"]))
        if values:
            done[cell.key] = {"columns": {"em": values, "f1": values}}
    report = dataclasses.replace(toy, policies="smollm2-search,question").report(Results(done, {}, []), "small", 1)
    gains = {
        (row["policy"], row["retrieval"]): (row["questions"], row["gain"]["em"]["value"]) for row in report["floors"]
    }
    assert gains == {
        ("smollm2-search", "empty"): (3, pytest.approx(1 / 3)),
        ("question", "bm25"): (3, pytest.approx(0.0)),
    }


def test_the_committed_page_is_made_of_the_committed_report():
    if not RESULTS.is_file():
        pytest.skip("no committed results")
    assert (ROOT / "docs" / "real_corpora.md").read_text() == page(json.loads(RESULTS.read_text()))
