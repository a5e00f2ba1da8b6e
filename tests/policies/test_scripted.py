"""What scripted policies do, turn by turn, and that they read only what they are shown."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import pytest
from berrypick.envs.episode import Episode
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.tasks.registry import Task
from berrypick.envs.world import closed_voice
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import SCRIPTED, scripted_policy
from berrypick.retrieval_index.controls import EmptySearcher
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from berrypick.retrieval_index.searcher import Hit


def play(name: str, task: Task, samples: int = 1, spec: EpisodeSpec | None = None) -> list[list[Episode]]:
    return rollout(
        scripted_policy(name),
        task.split("train"),
        spec or task.spec,
        task.searcher,
        num_samples=samples,
        sampling=Sampling(),
        seed=1,
    )


def kinds_tried(episode: Episode) -> list[str]:
    return [closed_voice.parse_query(query).kinds[0] for query in episode.queries]


def expected_best_order(question: Question) -> bool:
    """Kinds by falling availability, three queries for two hops: played on paper."""
    left, order = 3, (0, 1, 2)
    for present in question.metadata["world"]["present"]:
        cost = next((at for at, kind in enumerate(order, 1) if kind in present), None)
        if cost is None or cost > left:
            return False
        left -= cost
    return True


def test_best_order_succeeds_where_falling_availability_does(world: Task) -> None:
    for question, (episode,) in zip(world.split("train"), play("best_order", world)):
        assert episode.correct == expected_best_order(question)
        assert episode.terminated
        assert kinds_tried(episode)[0] == "ledger"


def test_oracle_finds_every_answer_there_is_with_one_query_a_hop(world: Task) -> None:
    for question, (episode,) in zip(world.split("train"), play("oracle", world)):
        answerable = all(question.metadata["world"]["present"])
        assert episode.correct == answerable
        assert len(episode.queries) == 2 or not answerable


def test_random_order_draws_orders_uniformly_and_never_repeats_a_kind_at_a_hop(world: Task) -> None:
    groups = play("random_order", world, samples=60)
    firsts = Counter(kinds_tried(episode)[0] for group in groups for episode in group)
    n = sum(firsts.values())
    assert all(abs(count / n - 1 / 3) < 4 * (2 / 9 / n) ** 0.5 for count in firsts.values())
    assert len(firsts) == 3
    for episode in (episode for group in groups for episode in group):
        by_entity = Counter(closed_voice.parse_query(query).entity for query in episode.queries)
        pairs = {(closed_voice.parse_query(q).entity, closed_voice.parse_query(q).kinds) for q in episode.queries}
        assert len(pairs) == sum(by_entity.values())


def test_a_fact_is_restated_before_the_next_step_and_a_hit_moves_on(world: Task) -> None:
    for group in play("random_order", world, samples=4):
        for episode in group:
            tried: list[str] = []
            for before, after in zip(episode.turns, episode.turns[1:]):
                fact = closed_voice.parse_passage(before.hits[0][0].text)
                assert fact is not None
                tried.append(fact.kind)
                said = fact.obj or " ".join(("lost in", *tried))
                assert after.draft.text.startswith(f"<think> {fact.relation} of {fact.entity} is {said} </think>")
                tried = [] if fact.obj else tried
                if fact.obj is not None and "unknown" not in after.draft.text:
                    assert fact.obj in after.draft.text.split("</think>")[1]


def test_scripted_policies_stop_at_budget_and_at_their_last_turn(world: Task) -> None:
    for name in ("best_order", "random_order", "oracle", "random_words"):
        for max_turns in (1, 2, 3):
            short = dataclasses.replace(world.spec, max_turns=max_turns)
            for (episode,) in play(name, world, spec=short):
                assert episode.terminated, (name, max_turns)
                assert len(episode.queries) <= min(3, max_turns - 1)
                assert episode.num_invalid == 0


def test_samples_differ_and_seeds_repeat(world: Task) -> None:
    first, second = (play("random_order", world, samples=8) for _ in range(2))
    texts = [[[turn.draft.text for turn in episode.turns] for episode in group] for group in first]
    assert texts == [[[turn.draft.text for turn in episode.turns] for episode in group] for group in second]
    assert any(len({str(sample) for sample in group}) > 1 for group in texts)


class Foreign:
    """Answers every query with a fact about somebody else."""

    index_id = "foreign"

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        text = closed_voice.passage_text("ledger", "founder", "bababa", "dododo")
        return [[Hit("x", "", text, 1.0)] for _ in queries]

    def close(self) -> None:
        """Holds nothing."""


@pytest.mark.parametrize("searcher", [Foreign(), EmptySearcher()])
def test_a_fact_about_another_entity_moves_no_hop(world: Task, searcher: Foreign) -> None:
    (group,) = rollout(
        scripted_policy("best_order"),
        world.split("train")[:1],
        world.spec,
        searcher,
        num_samples=1,
        sampling=Sampling(),
        seed=0,
    )
    start = closed_voice.parse_question(world.split("train")[0].text)
    assert start is not None
    assert {closed_voice.parse_query(query).entity for query in group[0].queries} == {start[0]}
    assert group[0].prediction == "unknown"


CORPUS_QUESTION = Question("q", "who wrote it ?", ("Ann",), metadata={"supporting_titles": ("A", "B", "C", "D")})
CORPUS_SPEC = EpisodeSpec(search_budget=3, max_turns=4)


def test_oracle_of_a_corpus_searches_the_supporting_titles_and_answers() -> None:
    ((episode,),) = rollout(
        scripted_policy("oracle"),
        [CORPUS_QUESTION],
        CORPUS_SPEC,
        EmptySearcher(),
        num_samples=1,
        sampling=Sampling(),
        seed=0,
    )
    assert episode.queries == ["A", "B", "C"]
    assert episode.correct


def test_orders_of_kinds_are_refused_on_a_corpus() -> None:
    message = "only on the own questions of berrypick/World-v0, not on this one; use bridge, oracle or question, follow"
    with pytest.raises(BerrypickError, match=message):
        scripted_policy("best_order").start([CORPUS_QUESTION], CORPUS_SPEC, [0], Sampling())


def test_an_unknown_scripted_policy_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="random_order"):
        scripted_policy("randomorder")
    assert set(SCRIPTED) >= {"oracle", "best_order", "random_order", "random_words"}
