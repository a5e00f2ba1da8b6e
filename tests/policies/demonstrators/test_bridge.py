"""The bridge demonstrator, followed on paper on a small corpus, and its rule on real questions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from berrypick.envs.episode import Episode
from berrypick.envs.tasks.registry import Task, make_task
from berrypick.envs.world.facts import WorldFacts
from berrypick.policies import Sampling, rollout, scripted_policy
from berrypick.policies.demonstrators import WAYS, BridgePolicy, bridge_policy
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from fixtures.films import films_folder, question_line


def films(tmp_path: Path, **rules: object) -> Task:
    folder = films_folder(tmp_path / "films")
    files = {"corpus": str(folder / "corpus.jsonl"), "questions": str(folder / "questions.jsonl")}
    return make_task("berrypick/Custom-v0", **files, **({"top_k": 1} | rules))


def played(policy: BridgePolicy, task: Task) -> dict[str, Episode]:
    groups = rollout(policy, task.split("train"), task.spec, task.searcher, num_samples=1, sampling=Sampling(), seed=0)
    return {episode.question.id: episode for (episode,) in groups}


def test_each_way_asks_what_can_be_read_then(tmp_path: Path) -> None:
    ways = [played(way, films(tmp_path)) for way in bridge_policy("bridge").variants()]
    assert [way["q1"].queries for way in ways] == [
        ["Amber Road", "Lena Mary Ohm"],
        ["Where did the director of film Amber Road die?", "Lena Mary Ohm"],
        ["Amber Road director film die", "Lena Mary Ohm director film die"],
        ["director of film Amber Road die", "drama film directed by Lena Mary Ohm", "Lena Mary Ohm"],  # a second try
    ]
    assert [way["q1"].prediction for way in ways] == ["Oslo"] * 4


def test_names_of_a_comparison_are_asked_in_either_order(tmp_path: Path) -> None:
    ways = [played(way, films(tmp_path)) for way in bridge_policy("bridge").variants()]
    assert ways[0]["q2"].queries == ["Blue Kiln", "Amber Road"]
    assert ways[2]["q2"].queries == ["Amber Road film came out first", "Blue Kiln film came out first"]
    assert [way["q3"].prediction for way in ways] == ["no"] * 4


def test_an_episode_says_why_it_is_no_demonstration(tmp_path: Path) -> None:
    policy = bridge_policy("bridge")
    first, *_ = policy.variants()
    reasons = {id: policy.why_not(episode) for id, episode in played(first, films(tmp_path)).items()}
    assert reasons == {
        "q1": "",
        "q2": "",
        "q3": "",
        "q4": "answer not in the text shown",
        "q5": "query not readable",
    }
    short = played(first, films(tmp_path, search_budget=1))
    assert {policy.why_not(short[id]) for id in ("q1", "q2", "q3")} == {"more hops than searches"}
    cut = played(first, films(tmp_path, max_passage_words=5))
    assert policy.why_not(cut["q1"]) == "query not readable"  # the director's name is not shown


def test_without_annotated_evidence_the_question_is_asked_until_its_answer_is_shown(tmp_path: Path) -> None:
    folder = films_folder(tmp_path / "films")
    lines = [
        question_line("shown", "Who directed Amber Road?", "Lena Mary Ohm", ()),
        question_line("later", "The film Blue Kiln, by whom was it directed?", "Austrian", ()),
        question_line("never", "Who composed Amber Road?", "Mozart", ()),
        question_line("yes", "Is Riga in Latvia?", "yes", ()),
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = {"corpus": str(folder / "corpus.jsonl"), "questions": str(folder / "questions.jsonl")}
    task = make_task("berrypick/Custom-v0", **files, top_k=1)
    policy = bridge_policy("bridge")
    found = played(policy.variants()[0], task)
    assert found["shown"].queries == ["Who directed Amber Road?"] and found["shown"].prediction == "Lena Mary Ohm"
    assert found["later"].queries[:2] == ["The film Blue Kiln, by whom was it directed?", "Blue Kiln"]
    assert {id: policy.why_not(episode) for id, episode in found.items()} == {
        "shown": "",
        "later": "answer not in the text shown",
        "never": "answer not in the text shown",
        "yes": "yes or no without annotated evidence",
    }


def test_thoughts_restate_the_sentence_that_was_read(tmp_path: Path) -> None:
    (episode,) = [played(way, films(tmp_path))["q1"] for way in bridge_policy("bridge:thoughts=true").variants()[:1]]
    assert [turn.draft.text for turn in episode.turns] == [
        "<search> Amber Road </search>",
        "<think> Amber Road is a 1990 drama film directed by Lena Mary Ohm. </think> <search> Lena Mary Ohm </search>",
        "<think> She died in Oslo. </think> <answer> Oslo </answer>",
    ]


@pytest.mark.parametrize("turn_format", ["tags", "search_r1", "tool_call"])
@pytest.mark.parametrize("name", ["bridge", "bridge:thoughts=true"])
def test_its_turns_are_actions_in_every_format(turn_format: str, name: str, tmp_path: Path) -> None:
    task = films(tmp_path, turn_format=turn_format)
    plain = films(tmp_path)
    for way, in_tags in zip(bridge_policy(name).variants(), bridge_policy(name).variants()):
        for id, episode in played(way, task).items():
            assert episode.num_invalid == 0 and episode.terminated
            assert episode.queries == played(in_tags, plain)[id].queries


def test_played_as_a_policy_each_rollout_draws_a_way(tmp_path: Path) -> None:
    task = films(tmp_path)
    groups = rollout(
        scripted_policy("bridge:ways=4"),
        task.split("train"),
        task.spec,
        task.searcher,
        num_samples=24,
        sampling=Sampling(),
        seed=0,
    )
    assert len({tuple(episode.queries) for episode in groups[0]}) == len(WAYS)
    (narrow,) = rollout(
        scripted_policy("bridge"),
        task.split("train")[:1],
        task.spec,
        task.searcher,
        num_samples=8,
        sampling=Sampling(),
        seed=0,
    )
    assert {tuple(episode.queries) for episode in narrow} == {("Amber Road", "Lena Mary Ohm")}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bridge:ways=5", "ways must be 1 to 4, got '5'"),
        ("bridge:ways=", "ways must be 1 to 4"),
        ("bridge:thoughts=maybe", "thoughts must be true or false"),
        ("bridge:way=2", "did you mean ways"),
    ],
)
def test_bad_options_are_one_line(name: str, message: str) -> None:
    with pytest.raises((BerrypickError, UnknownNameError), match=re.escape(message)):
        scripted_policy(name)


def test_world_is_refused(world: Task) -> None:
    assert WorldFacts.of(world.split("train")[0]) is not None
    with pytest.raises(BerrypickError, match="use random_order"):
        scripted_policy("bridge").start(world.split("train"), world.spec, [0] * len(world.split("train")), Sampling())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa"])
def test_on_real_questions_every_word_of_a_query_was_read_before(name: str, shared_data: Path) -> None:
    title = {"hotpotqa": "HotpotQA", "2wikimultihopqa": "2WikiMultiHopQA"}[name]
    task = make_task(
        f"berrypick/{title}-v0", data=str(shared_data / name), top_k=2, max_passage_words=60, train_questions=60
    )
    good = total = 0
    for way in bridge_policy("bridge").variants():
        for episode in played(way, task).values():
            read = episode.question.text
            for turn in episode.turns[:-1]:
                (query,) = turn.action.queries  # type: ignore[union-attr]
                assert set(re.findall(r"\w+", query)) <= set(re.findall(r"\w+", read)), (query, read)
                read += turn.observation
            good += not way.why_not(episode)
            total += 1
    assert good > 0.6 * total
