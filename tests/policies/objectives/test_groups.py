"""What objectives read off episodes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from berrypick.envs.answers import normalize
from berrypick.envs.episode import Draft, Episode, advance, start
from berrypick.envs.tasks.registry import Task
from berrypick.policies.objectives import groups_of
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
