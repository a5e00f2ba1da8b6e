"""Tasks: what an environment id stands for."""

from __future__ import annotations

import json

import berrypick
import gymnasium as gym
import pytest
from berrypick.envs.recording import record_of
from berrypick.envs.rescoring import rescore
from berrypick.envs.rewards import parse_reward
from berrypick.envs.tasks.registry import TASKS, make_task
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError


def test_every_task_is_registered_with_gymnasium_and_the_other_way_round():
    registered = {name for name in gym.registry if name.startswith("berrypick/")}
    assert registered == set(TASKS)


@pytest.mark.parametrize(
    ("env_id", "arguments", "message"),
    [
        ("berrypick/Wrold-v0", {}, "did you mean berrypick/World-v0"),
        ("berrypick/World-v0", {"presett": "free"}, "did you mean preset"),
        ("berrypick/World-v0", {"preset": "pricd"}, "did you mean priced"),
        ("berrypick/World-v0", {"reward": "e"}, "unknown reward term"),
        ("berrypick/World-v0", {"turn_format": "tag"}, "did you mean tags"),
        ("berrypick/Custom-v0", {"corpsu": "x"}, "did you mean corpus"),
    ],
)
def test_unknown_names_name_the_nearest(env_id, arguments, message):
    with pytest.raises(UnknownNameError, match=message):
        make_task(env_id, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top_k": 0}, "top_k must be a whole number of at least 1"),
        ({"max_turns": 0}, "max_turns"),
        ({"hops": "two"}, "hops must be a whole number"),
        ({"hops": 9}, "hops must be 1 to 4"),
        ({"budget": 0}, "budget must be at least 1"),
        ({"num_test": -1}, "cannot be negative"),
        ({"world_seed": -1}, "seed"),
        ({"index": "no/such/folder"}, "no index at 'no/such/folder'"),
        ({"index": ""}, "no index at ''; give bm25s"),
        ({"index": 3}, "index must be bm25s, lucene"),
        ({"reward": 3}, "reward must be a text"),
        ({"aliases": "maybe"}, "World: aliases must be true or false, got 'maybe'$"),
        ({"voice": 3}, "World: voice must be closed or english, got 3$"),
    ],
)
def test_values_that_cannot_be_are_refused_with_the_cure(arguments, message):
    with pytest.raises(BerrypickError, match=message):
        make_task("berrypick/World-v0", **({"num_train": 4, "num_test": 4} | arguments))


def test_the_world_defaults_are_the_specified_ones():
    task = make_task("berrypick/World-v0")
    assert {split: len(questions) for split, questions in task.questions.items()} == {
        "train": 256,
        "validation": 128,
        "test": 512,
    }
    config = task.world
    assert (config.preset, config.hops, config.availability, config.budget) == ("priced", 2, (0.6, 0.5, 0.4), 3)
    assert (task.spec.top_k, task.spec.max_turns, task.spec.search_budget, task.spec.reward) == (1, 6, 3, "em")
    assert make_task("berrypick/World-v0", budget=5, num_train=4, num_test=4).spec.max_turns == 8


def test_an_empty_split_is_refused_and_the_default_split_has_questions():
    task = make_task("berrypick/World-v0", num_train=0, num_validation=0, num_test=4)
    with pytest.raises(BerrypickError, match="has no questions"):
        task.split("train")
    assert task.default_split == "test"
    env = gym.make("berrypick/World-v0", num_train=0, num_validation=0, num_test=4)
    assert "test" in env.reset(seed=0)[1]["question_id"]
    with pytest.raises(BerrypickError, match="has no questions; choose sizes above 0"):
        gym.make("berrypick/World-v0", num_train=0, num_validation=0, num_test=0)


def test_a_world_without_training_questions_says_which_it_asks(caplog):
    sizes = {"num_validation": 2, "num_test": 2}
    gym.make("berrypick/World-v0", num_train=0, **sizes)
    (line,) = [record.message for record in caplog.records]
    assert line == "berrypick/World-v0 has no training questions; it asks split 'validation', split=NAME changes that"
    caplog.clear()
    gym.make("berrypick/World-v0", num_train=0, split="test", **sizes)
    gym.make("berrypick/World-v0", num_train=2, **sizes)
    assert not caplog.records


def test_true_and_false_are_texts_of_a_command_line():
    sizes = {"num_train": 1, "num_validation": 0, "num_test": 0}
    for text, value in (("true", True), ("False", False), (1, True)):
        assert make_task("berrypick/World-v0", aliases=text, **sizes).world.aliases is value


@pytest.fixture
def custom(tmp_path):
    passages = [
        {"id": "a", "title": "Ada", "text": "Ada wrote the first program."},
        {"id": "b", "contents": '"Engine"\nThe engine was built by Babbage.'},
        {"id": "c", "title": "", "text": "Nothing of note."},
    ]
    questions = [
        {
            "id": "q1",
            "question": "Who built the engine?",
            "golden_answers": ["Babbage"],
            "metadata": {"split": "train", "supporting_ids": ["b"]},
        }
    ]
    for name, rows in (("corpus.jsonl", passages), ("questions.jsonl", questions)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"corpus": str(tmp_path / "corpus.jsonl"), "questions": str(tmp_path / "questions.jsonl")}


def test_your_own_files_become_an_environment(custom):
    env = gym.make("berrypick/Custom-v0", reward="em + evidence_recall", top_k=2, **custom)
    observation, _ = env.reset(seed=0)
    assert "Question: Who built the engine?" in observation and "3 times at most" in observation
    observation, *_, info = env.step("<search> who built the engine </search>")
    assert observation.startswith("\n<information> [1] (Title: Engine) The engine was built by Babbage.")
    assert info["hops_hit"] == [[True]]
    _, reward, terminated, _, _ = env.step("<answer> Babbage </answer>")
    assert (reward, terminated) == (2.0, True)


def test_custom_needs_files(custom):
    with pytest.raises(BerrypickError, match="needs questions=FILE"):
        make_task("berrypick/Custom-v0", corpus=custom["corpus"])


@pytest.mark.slow
def test_hotpotqa_plays_on_the_real_data(shared_data, monkeypatch):
    monkeypatch.setenv("BERRYPICK_DATA", str(shared_data))
    env = gym.make("berrypick/HotpotQA-v0", split="dev", reward="f1 + evidence_recall", top_k=5)
    task = env.unwrapped.task
    assert len(task.split("dev")) + len(task.split("train")) == 776
    question = next(q for q in task.split("dev") if q.metadata["type"] == "bridge")
    env.reset(options={"question_id": question.id})
    for title in question.metadata["supporting_titles"]:
        *_, info = env.step(f"<search> {title} </search>")
    assert info["hops_hit"] == [[True, True]]
    assert env.step(f"<answer> {question.answers[0]} </answer>")[1] == 2.0


def test_hotpotqa_without_data_says_what_to_set(monkeypatch):
    monkeypatch.delenv("BERRYPICK_DATA", raising=False)
    with pytest.raises(BerrypickError, match="set BERRYPICK_DATA"):
        berrypick.make_task("berrypick/HotpotQA-v0")


def test_bad_records_are_left_out_counted_and_logged(custom, caplog):
    with open(custom["questions"], "a") as file:
        file.write('{"id": "q2", "question": "", "golden_answers": ["x"]}\n')
    with pytest.raises(BerrypickError, match=":2: question must be a text"):
        make_task("berrypick/Custom-v0", **custom)
    task = make_task("berrypick/Custom-v0", skip_bad=1, **custom)
    assert len(task.split("train")) == 1
    assert "left out 1 bad records" in caplog.text and ":2:" in caplog.text


def test_a_budget_of_minus_one_leaves_only_the_turns_to_limit_searches(custom):
    assert make_task("berrypick/Custom-v0", search_budget=-1, **custom).spec.search_budget is None
    assert make_task("berrypick/Custom-v0", search_budget=0, **custom).spec.search_budget == 0
    with pytest.raises(BerrypickError, match="search_budget"):
        make_task("berrypick/Custom-v0", search_budget=-2, **custom)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env_id", "num_questions"),
    [
        ("HotpotQA", 776), ("2WikiMultiHopQA", 770), ("MuSiQue", 876), ("StrategyQA", 160), ("Bamboogle", 87),
        ("NQ", 686), ("TriviaQA", 720), ("PopQA", 683),
    ],
)  # fmt: skip
def test_every_public_set_plays_on_the_real_data(shared_data, monkeypatch, env_id, num_questions):
    monkeypatch.setenv("BERRYPICK_DATA", str(shared_data))
    env = gym.make(f"berrypick/{env_id}-v0")
    task = env.unwrapped.task
    assert sum(map(len, task.questions.values())) == num_questions
    _, info = env.reset(seed=0)
    question = env.unwrapped.episode.question
    *_, info = env.step(f"<search> {question.text} </search>")
    assert len(info["retrieved_ids"][0]) == 3
    assert env.step(f"<answer> {question.answers[0]} </answer>")[1] == 1.0


def test_multilingual_scoring_reaches_reward_record_and_rescoring(tmp_path):
    gold = "在湖边煮了一碗面"
    (tmp_path / "q.jsonl").write_text(json.dumps({"id": "q", "question": "什么？", "golden_answers": [gold]}))
    (tmp_path / "c.jsonl").write_text(json.dumps({"id": "a", "text": gold}))
    files = {"questions": str(tmp_path / "q.jsonl"), "corpus": str(tmp_path / "c.jsonl"), "split": "test"}
    scores = {}
    for scoring in ("english", "multilingual"):
        env = gym.make("berrypick/Custom-v0", reward="em + f1 + sub_em", scoring=scoring, **files)
        env.reset(seed=0)
        reward = env.step(f"<answer>《{gold}》</answer>")[1]
        episode = env.unwrapped.episode
        record = record_of(episode, sample_index=0, seed=0, policy_id="p", env_id="e")
        again = rescore(record, parse_reward("em + f1 + sub_em"), "em + f1 + sub_em")
        assert again.reward == reward and again.em == record.em and again.answer_norm == record.answer_norm
        assert episode.correct is bool(record.em)
        assert ("scoring" in record.spec) is (scoring != "english")  # records of the official rule are as before
        scores[scoring] = record.em, record.f1, record.sub_em, reward
    assert scores == {"english": (0, 0, 1, 1), "multilingual": (1, 1, 1, 3)}
    with pytest.raises(UnknownNameError, match="multilingual"):
        gym.make("berrypick/Custom-v0", scoring="multilinguals", **files)
