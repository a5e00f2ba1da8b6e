"""Language-model cells of agents that debate: what they are shown and imitate, what is measured, and equal bits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.experiments.grid.debate_language import debate_demonstrations
from berrypick.experiments.grid.debate_rollouts import LANGUAGE_MEASURES, unlikeness
from berrypick.experiments.multiagent_finetuning import EXPERIMENT
from berrypick.experiments.runs import recipes
from berrypick.policies.language.encoding import encode_episode
from berrypick.policies.language.tiny import tiny_tokenizer
from berrypick.policies.scripted import scripted_policy
from berrypick.policies.training.multiagent import DebateConfig, answer_of, debate, majority, shown_answers
from berrypick.retrieval_index.errors import BerrypickError


def test_agents_are_as_unlike_as_pairs_of_their_episodes():
    a, b = frozenset("a"), frozenset("b")
    # on one question: agent 1 saw a and a, agent 2 saw a and b
    assert unlikeness([[[a, a]], [[a, b]]]) == (0.5, 0.5)
    assert unlikeness([[[a, a]], [[a, a]]]) == (0.0, 0.0)
    assert unlikeness([[[a, a]], [[b, b]]]) == (1.0, 0.0)
    # three agents and two questions: the mean over pairs, and over agents and questions
    shown = [[[a, a], [a, b]], [[a, a], [a, b]], [[b, b], [a, b]]]
    assert unlikeness(shown) == pytest.approx(((0 + 0.5 + 1 + 0.5 + 1 + 0.5) / 6, 3 / 6))


@pytest.fixture(scope="module")
def world():
    return make_task(
        "berrypick/World-v0", num_train=200, num_validation=0, num_test=0, index="bm25s", clauses=2, world_seed=4
    )


def test_demonstrations_search_or_copy_and_their_lines_are_often_right(world):
    episodes = debate_demonstrations(world, 0)
    assert len(episodes) == 200 and episodes == debate_demonstrations(world, 0)
    told = [episode for episode in episodes if "\nothers say: " in episode.question.text]
    alone = [episode for episode in episodes if episode not in told]
    copied = [episode for episode in told if not episode.queries]
    assert min(len(alone), len(copied), len(told) - len(copied)) > 40  # some 67 of 200 each
    assert all(episode.queries and episode.question in world.split("train") for episode in alone)
    said = [episode.question.text.split("\nothers say: ")[1].split(", ") for episode in told]
    assert {len(names) for names in said} == {1, 2}
    assert all(episode.prediction == names[0] for episode, names in zip(told, said) if not episode.queries)
    right = [name in episode.question.answers for episode, names in zip(told, said) for name in names]
    assert 0.5 < sum(right) / len(right) < 0.7
    ids, mask = encode_episode(tiny_tokenizer(), copied[0])
    text = tiny_tokenizer().decode(ids)
    assert "others say: " in text and text.count("<answer>") == 1 and mask.any()


def test_unknown_is_no_vote(world):
    question = world.split("train")[0]
    episode = next(one for one in debate_demonstrations(world, 0) if not one.queries)
    assert answer_of(episode) == episode.prediction and answer_of(episode, frozenset({episode.prediction})) is None
    assert majority([None, "b", "a", "a"]) == "a" and majority(["b", "a", None]) == "b" and majority([None]) is None
    assert shown_answers(question, []) is question
    assert shown_answers(question, ["x", "y"]).text == f"{question.text}\nothers say: x, y"


def test_an_abstention_is_no_label_even_if_all_agree_on_it(world):
    agents = [scripted_policy("random_order")] * 3
    questions = world.split("train")[:60]

    def votes(abstentions):
        config = DebateConfig(rounds=1, seed=2, abstentions=frozenset(abstentions))
        return debate(agents, agents, questions, world.spec, world.searcher, config)

    with_unknown, without = votes(()), votes({"unknown"})
    said = [[rounds[0][at].prediction for rounds in without.episodes] for at in range(len(questions))]
    assert "unknown" in with_unknown.votes and "unknown" not in without.votes
    for vote, answers in zip(without.votes, said):
        assert vote == next((one for one in answers if one != "unknown"), None)  # a scripted reader is never wrong
    assert without.vote_accuracy > with_unknown.vote_accuracy
    assert all(episode.correct for data in without.generator_data for episode in data)


@pytest.mark.slow
def test_cells_are_bit_identical_share_their_base_and_start_alike(tmp_path, monkeypatch):
    monkeypatch.setitem(recipes.WORLD_DEMONSTRATIONS, "num_train", 64)
    few = {"rounds": 1, "sft_steps": 3, "line_questions": 64, "line_steps": 2, "round_questions": 4, "fit_steps": 1}
    grid = replace(EXPERIMENT.language, **few, questions=2, least=0.0)
    cells = grid.cells(1)
    assert [cell.config["arm"] for cell in cells] == ["own", "random", "single"]

    def run(cell, folder, grid=grid):
        work = tmp_path / folder / "work" / cell.key
        work.mkdir(parents=True, exist_ok=True)
        return grid.run(cell, work)["checkpoints"]

    found = [run(cell, "a") for cell in (cells[0], cells[2])]
    for values in found:
        assert list(values) == ["0", "1"] and set(values["1"]) == set(LANGUAGE_MEASURES)
        assert values["0"]["pass@1"] == found[0]["0"]["pass@1"]
    assert [path.name for path in (tmp_path / "a" / "work" / "language" / "sft").iterdir()] == ["priced-agents-0"]
    assert json.dumps(run(cells[2], "b")) == json.dumps(found[1])
    with pytest.raises(BerrypickError, match=r"the base answers 0\.000 of the .*, at least 0\.2 are needed"):
        run(cells[0], "a", replace(grid, least=EXPERIMENT.language.least))
