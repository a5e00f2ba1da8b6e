"""Inspect reads our logs, and its own command plays our episodes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("inspect_ai")

from berrypick.__main__ import main
from berrypick.envs.importers import open_rollouts
from berrypick.envs.record import read_records

pytestmark = pytest.mark.filterwarnings("ignore")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "hubs.md"
WORLD = "--env berrypick/World-v0 --env-arg num_train=0 num_validation=0 num_test=6"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    return tmp_path


def test_inspect_reads_a_converted_run(folder: Path) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log
    from inspect_ai.scorer import SampleScore, mean, mean_score, stderr

    assert main(shlex.split(f"eval {WORLD} --policy random_order --samples 3 --out run")) == 0
    assert main(shlex.split("convert run/rollouts.jsonl --to inspect --out run.json")) == 0
    records = read_records(Path("run/rollouts.jsonl"))
    log = read_eval_log("run.json")
    assert (log.status, log.eval.task, log.eval.model) == ("success", "berrypick/World-v0", "random_order")
    assert log.results is not None and log.samples is not None and len(log.samples) == 18
    assert read_eval_log("run.json", header_only=True).results == log.results
    by_name = {score.name: score for score in log.results.scores}
    assert set(by_name) == {"em", "f1", "reward", "evidence_recall"}
    grouped: dict[object, list[SampleScore]] = {}
    for sample, record in zip(log.samples, records):
        assert sample.scores is not None and sample.scores["em"].value == record.em
        assert sample.input == record.question.text and sample.target == record.question.answers
        said = [message for message in sample.messages if message.role == "assistant"]
        assert [message.text for message in said] == [turn.text for turn in record.turns]
        asked = [q for message in said for call in message.tool_calls or [] for q in call.arguments["query_list"]]
        assert asked == record.queries
        grouped.setdefault(sample.id, []).append(SampleScore(score=sample.scores["em"]))
    reduced = [SampleScore(score=mean_score()([one.score for one in scores])) for scores in grouped.values()]
    metrics = by_name["em"].metrics
    assert metrics["mean"].value == pytest.approx(mean()(reduced))
    assert metrics["stderr"].value == pytest.approx(stderr()(reduced))
    write_eval_log(log, "again.eval")  # Inspect's own format, with its attachments
    assert list(open_rollouts("again.eval").records()) == records


OFFLINE = """
import tiktoken

class Words:
    def encode(self, text, **_):
        return text.split()

tiktoken.get_encoding = lambda name: Words()  # the mock model counts tokens with a vocabulary that is downloaded
"""


def test_inspects_command_plays_our_episodes_with_its_mock_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sitecustomize.py").write_text(OFFLINE)
    (command,) = re.findall(r"^inspect eval .*$", PAGE.read_text(), re.MULTILINE)
    words = [str(Path(sys.executable).with_name("inspect")), *shlex.split(command)[1:]]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    (log,) = (folder / "logs").iterdir()
    records = list(open_rollouts(log).records())
    assert len(records) == 6 and {record.policy_id for record in records} == {"mockllm/model"}
    assert {(record.em, record.truncated, record.turns[0].action) for record in records} == {(0.0, True, "invalid")}
    assert records[0].turns[0].text == "Default output from mockllm/model"
    assert {record.sample_index for record in records} == {0, 1}
    assert main(["report", str(log), "--json"]) == 0
    (arm,) = json.loads(capsys.readouterr().out)["arms"].values()
    assert arm["num_episodes"] == 6 and arm["measures"]["pass@1"]["value"] == 0.0


def test_a_model_that_searches_and_answers_is_paid_and_its_whole_record_is_in_the_log(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import berrypick
    from berrypick.envs.adapters.inspect import search
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    sizes = {"num_train": 0, "num_validation": 0, "num_test": 4}
    questions = {q.text: q for q in berrypick.make_task("berrypick/World-v0", **sizes).split("test")}

    def reply(messages: list, *_: object) -> ModelOutput:
        question = questions[next(text for text in questions if text in messages[-1].text or text in messages[0].text)]
        world = question.metadata["world"]
        said = [message for message in messages if message.role == "assistant"]
        query = f"{world['kinds'][0]} {world['relations'][0]} {world['entities'][0]}"
        turns = [f"<search> {query} </search> and now I invent a passage", f"<answer> {question.answers[0]} </answer>"]
        return ModelOutput.from_content("mockllm", turns[len(said)]).model_copy(update={"usage": ModelUsage()})

    model = get_model("mockllm/model", custom_outputs=reply)
    (log,) = inspect_eval(search(**sizes), model=model, log_dir=str(folder / "logs"), display="none")
    assert log.status == "success" and log.results is not None
    means = {score.name: score.metrics["mean"].value for score in log.results.scores}
    assert means["em"] == means["reward"] == 1.0 and 0 < means["evidence_recall"] <= 1
    records = list(open_rollouts(log.location.removeprefix("file://")).records())
    for record in records:
        world = record.question.metadata["world"]
        assert record.turns[0].text.endswith("</search>") and "invent" not in str(log.samples[0].messages)
        assert record.shown_ids and world["passages"][0][0] in record.shown_ids
        assert record.hop_hits and record.em == 1.0
    capsys.readouterr()
    assert main(["report", log.location.removeprefix("file://"), "--json"]) == 0
    (arm,) = json.loads(capsys.readouterr().out)["arms"].values()
    assert arm["measures"]["pass@1"]["value"] == 1.0 and arm["measures"]["evidence_recall"]["value"] > 0
