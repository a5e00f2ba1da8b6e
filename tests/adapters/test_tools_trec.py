"""Other tools score our TREC runs as we do: ir_measures over trec_eval."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ir_measures")

import ir_measures
from berrypick.__main__ import main
from berrypick.envs.record import read_records
from berrypick.retrieval_index.evaluation import recall

CORPUS = [
    {"id": "b 1", "contents": "berries grow on the hill"},
    {"id": "a", "contents": "berries grow on the hill"},
    {"id": "c", "contents": "berries and nuts and other fruit of the forest"},
    {"id": "d", "contents": "the hill is green"},
    {"id": "e", "contents": "nuts fall in autumn"},
]
QUESTIONS = [
    {
        "id": "q1",
        "question": "berries on the hill",
        "golden_answers": ["x"],
        "metadata": {"supporting_ids": ["b 1", "d"]},
    },
    {"id": "q 2", "question": "nuts in autumn", "golden_answers": ["x"], "metadata": {"supporting_ids": ["c"]}},
    {"id": "q3", "question": "nuts and berries", "golden_answers": ["x"], "metadata": {"supporting_ids": ["e", "a"]}},
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an index, questions, one rollout of each that searches for its text, its run and its qrels."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("corpus", CORPUS), ("questions", QUESTIONS)):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for command in (
        "index build --corpus corpus.jsonl --backend bm25s --out index",
        "eval --env berrypick/Custom-v0 --env-arg corpus=corpus.jsonl questions=questions.jsonl index=index top_k=5"
        " --policy question --out run",
        "convert run/rollouts.jsonl --to trec --out searches.run",
        "convert run/rollouts.jsonl --to qrels --out searches.qrels",
    ):
        assert main(shlex.split(command)) == 0, command
    return tmp_path


def test_recall_is_ours_and_ndcg_is_the_formula(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["index", "eval", "index", "--questions", "questions.jsonl", "--k", "1", "2", "5", "--json"]) == 0
    ours = json.loads(capsys.readouterr().out)
    qrels = list(ir_measures.read_trec_qrels("searches.qrels"))
    run = list(ir_measures.read_trec_run("searches.run"))
    R, nDCG = ir_measures.R, ir_measures.nDCG
    theirs = ir_measures.calc_aggregate([R @ 1, R @ 2, R @ 5, nDCG @ 3], qrels, run)
    for k in (1, 2, 5):
        assert theirs[R @ k] == pytest.approx(ours[f"recall@{k}"]), k
    gains = []
    for record in read_records(Path("run/rollouts.jsonl")):
        relevant = {key for hop in record.question.evidence[0] for key in hop}
        shown = [hit.id for hit in record.turns[0].hits[0]]
        gain = sum(1 / math.log2(rank + 1) for rank, key in enumerate(shown[:3], 1) if key in relevant)
        gains.append(gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(3, len(relevant)) + 1)))
    assert theirs[nDCG @ 3] == pytest.approx(sum(gains) / len(gains)) and 0 < theirs[nDCG @ 3] < 1


def test_equal_scores_keep_our_order(files: Path) -> None:
    """trec_eval would put "b%201" before "a", which has the same text and so the same score."""
    record = read_records(Path("run/rollouts.jsonl"))[0]
    first, second = record.turns[0].hits[0][:2]
    assert first.score == second.score and (first.id, second.id) == ("a", "b 1")
    qrels = [ir_measures.Qrel("q1/1/1", "a", 1)]
    run = list(ir_measures.read_trec_run("searches.run"))
    assert ir_measures.calc_aggregate([ir_measures.P @ 1], qrels, run)[ir_measures.P @ 1] == 1.0


def test_every_search_of_a_world_is_scored_as_we_score_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    world = "--env berrypick/World-v0 --env-arg num_train=0 num_validation=0 num_test=12"
    assert main(shlex.split(f"eval {world} --policy random_order --samples 3 --out run")) == 0
    for to in ("trec", "qrels"):
        assert main(["convert", "run/rollouts.jsonl", "--to", to, "--out", f"searches.{to}"]) == 0
    expected = {}
    for record in read_records(Path("run/rollouts.jsonl")):
        wanted = sorted({key for path in record.question.evidence for hop in path for key in hop})
        rankings = [ranking for turn in record.turns if turn.action == "search" for ranking in turn.hits]
        for number, ranking in enumerate(rankings, 1):
            topic = f"{record.question.id}/{record.sample_index + 1}/{number}"
            expected[topic] = recall([hit.id for hit in ranking], wanted, 3)
    qrels = ir_measures.read_trec_qrels("searches.qrels")
    run = ir_measures.read_trec_run("searches.trec")
    scored = {metric.query_id: metric.value for metric in ir_measures.iter_calc([ir_measures.R @ 3], qrels, run)}
    assert len(expected) > 50 and len(set(expected.values())) > 1
    assert scored == pytest.approx(expected)


def test_the_command_of_ir_measures_reads_the_files(files: Path) -> None:
    command = [str(Path(sys.executable).with_name("ir_measures")), "searches.qrels", "searches.run", "R@5", "nDCG@3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[::2] == ["R@5", "nDCG@3"]
