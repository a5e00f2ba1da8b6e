"""What objectives read off episodes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from berrypick.envs.answers import normalize
from berrypick.envs.episode import Draft, Episode, advance, start
from berrypick.envs.tasks.registry import Task
from berrypick.policies.objectives import Groups, groups_of
from fixtures.demonstrations import demonstrate


@pytest.fixture(scope="module")
def played(world: Task) -> list[list[Episode]]:
    return demonstrate(world, samples=3, questions=4)


def test_rewards_and_outcomes_are_the_episodes(played: list[list[Episode]]) -> None:
    groups = groups_of(played, seed=5)
    assert groups.rewards.dtype == torch.float64
    for q, group in enumerate(played):
        assert groups.question_ids[q] == group[0].question.id
        relevant = {passage for hop in group[0].question.evidence[0] for passage in hop}
        for g, episode in enumerate(group):
            assert float(groups.rewards[q, g]) == episode.reward
            assert bool(groups.correct[q, g]) == episode.correct
            assert groups.outcomes["answer"][q][g] == normalize(episode.prediction)
            assert groups.outcomes["retrieval"][q][g] == episode.shown_ids
            assert groups.outcomes["evidence"][q][g] == episode.shown_ids & relevant
            assert groups.outcomes["query"][q][g] == tuple(map(normalize, episode.queries))
            assert groups.queries[q][g] == tuple(episode.queries)


def test_an_answer_without_citations_vouches_with_what_was_shown(played: list[list[Episode]]) -> None:
    groups = groups_of(played)
    assert groups.vector_names == ("path1/hop1", "path1/hop2", "answer_f1")
    assert groups.vectors.shape == (4, 3, 1, 3)
    for q, group in enumerate(played):
        for g, episode in enumerate(group):
            hops = [float(bool(hop & episode.shown_ids)) for hop in episode.question.evidence[0]]
            assert groups.vectors[q, g, 0].tolist() == [*hops, float(episode.correct)]


def test_one_of_several_answers_vouches_with_its_citations(world: Task) -> None:
    spec = dataclasses.replace(world.spec, num_answers=2)
    question = next(q for q in world.split("train") if q.evidence[0][0])
    kind = question.metadata["world"]["present"][0][0]
    names, relation, entity = (
        question.metadata["world"]["kinds"],
        question.metadata["world"]["relations"][0],
        question.metadata["world"]["entities"][0],
    )
    episode = start(question, spec)
    for text in (
        f"<search> {names[kind]} {relation} {entity} </search>",
        f"<answer>nobody [1]\n{question.answers[0]}</answer>",
    ):
        advance([episode], [Draft(text)], world.searcher)
    assert groups_of([[episode]]).vectors[0, 0].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_no_answer_has_no_outcome_and_a_vector_of_zeros(world: Task) -> None:
    episode = start(world.split("train")[0], dataclasses.replace(world.spec, max_turns=1))
    advance([episode], [Draft("hm")], world.searcher)
    groups = groups_of([[episode]])
    assert groups.outcomes["answer"] == [[None]]
    assert not groups.vectors.any()


def play(world: Task, *texts: str) -> Episode:
    question = next(q for q in world.split("train") if q.evidence[0][0])
    episode = start(question, world.spec)
    facts = question.metadata["world"]
    query = f"{facts['kinds'][facts['present'][0][0]]} {facts['relations'][0]} {facts['entities'][0]}"
    for text in texts:
        advance([episode], [Draft(text.format(query=query))], world.searcher)
    return episode


def test_a_single_answer_vouches_with_what_it_cites_if_it_cites(world: Task) -> None:
    search = "<search> {query} </search>"
    plain, cited, missed = (play(world, search, f"<answer>nobody{mark}</answer>") for mark in ("", " [1]", " [9]"))
    assert groups_of([[plain, cited]]).vectors[0, :, 0, 0].tolist() == [1.0, 1.0]
    assert groups_of([[missed]]).vectors[0, 0, 0].tolist() == [0.0, 0.0, 0.0], "it cites, and no passage"


def test_who_searched_and_did_not_answer_vouches_for_nothing(world: Task) -> None:
    spec = dataclasses.replace(world.spec, max_turns=1)
    searched = play(world, "<search> {query} </search>")
    silent = start(searched.question, spec)
    advance([silent], [Draft(f"<search> {searched.queries[0]} </search>")], world.searcher)
    assert silent.done and silent.shown_ids == searched.shown_ids
    assert not groups_of([[silent]]).vectors.any()


def test_groups_are_of_seed_0_unless_told(played: list[list[Episode]]) -> None:
    assert groups_of(played).seed == 0 and groups_of(played, seed=5).seed == 5
    bare = Groups(("a",), torch.tensor([[1.0, 0.99, 2.0]], dtype=torch.float64))
    assert (bare.seed, bare.size, bare.vectors, bare.queries) == (0, 3, None, ())
    assert bare.right.tolist() == [[True, False, True]] and bare.solved.tolist() == [False]
    draws = [bare.generator(0, purpose).random() for purpose in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_of_several_answers_one_without_citations_vouches_for_nothing(world: Task) -> None:
    searched = play(world, "<search> {query} </search>", "<answer>nobody</answer>")
    assert groups_of([[searched]]).vectors[0, 0, 0, 0] == 1.0
    several = start(searched.question, dataclasses.replace(world.spec, num_answers=2))
    for text in (f"<search> {searched.queries[0]} </search>", "<answer>nobody\nno one [1]</answer>"):
        advance([several], [Draft(text)], world.searcher)
    assert groups_of([[several]]).vectors[0, 0].tolist() == [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
