"""The critic that reads a failed attempt's own passages: what it names, and rounds with it."""

from __future__ import annotations

import pytest
from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.questions import EpisodeSpec, Question
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world.facts import WorldFacts
from berrypick.policies.training.critique import CRITICS, CritiqueConfig, critique_round, void_kinds
from berrypick.retrieval_index.errors import BerrypickError


@pytest.fixture(scope="module")
def task():
    return make_task(
        "berrypick/World-v0", preset="slack", clauses=3, num_train=60, num_validation=0, num_test=0, index="bm25s"
    )


def searched(task, question, *queries):
    """An episode that makes these queries, (kind, relation, entity) each."""
    episode = start(question, task.spec)
    for query in queries:
        advance([episode], [Draft(f"<search> {' '.join(query)} </search>")], task.searcher)
    return episode


def a_question(task, wanted):
    """The first question of which something holds: its facts, and the kinds void and present at each hop."""
    for question in task.split("train"):
        facts = WorldFacts.of(question)
        void = [[kind for at, kind in enumerate(facts.kinds) if at not in here] for here in facts.present]
        there = [[facts.kinds[at] for at in sorted(here)] for here in facts.present]
        if wanted(void, there):
            return question, facts, void, there
    raise AssertionError("no such question")


def test_kinds_are_named_at_the_hop_where_they_were_searched(task):
    question, facts, void, there = a_question(task, lambda void, there: void[0] and there[0] and void[1])
    first, second = zip(facts.relations, facts.entities)
    episode = searched(task, question, (void[0][0], *first), (there[0][0], *first), (void[1][0], *second))
    assert void_kinds(episode) == ((void[0][0],), (void[1][0],))
    said = CRITICS["void_records"](episode)
    assert said == f"{first[0]} is lost in {void[0][0]}. {second[0]} is lost in {void[1][0]}."


def test_what_was_not_shown_is_not_known(task):
    question, facts, void, _ = a_question(task, lambda void, there: len(void[0]) > 1 and void[1] and there[0])
    first, second = zip(facts.relations, facts.entities)
    assert void_kinds(searched(task, question)) == ((), ())
    assert CRITICS["void_records"](searched(task, question)) == "unknown"
    one = searched(task, question, (void[0][0], *first))
    assert void_kinds(one) == ((void[0][0],), ())
    # a second hop that is searched before the first is found: from there nothing says that this is the right entity
    assert void_kinds(searched(task, question, (void[1][0], *second))) == ((), ())


def test_a_passage_states_facts_of_others_and_they_are_not_taken_for_the_question(task):
    question, facts, void, _ = a_question(task, lambda void, there: void[0] and there[0])
    episode = searched(task, question, (void[0][0], facts.relations[0], facts.entities[0]))
    (text,) = (hit.text for turn in episode.turns for ranking in turn.hits for hit in ranking[:1])
    assert text.count(facts.relations[0]) == 3
    assert void_kinds(episode)[0] == (void[0][0],)


def test_a_question_of_another_corpus_is_one_line(task):
    other = start(Question("q", "who wrote it ?", ("nobody",)), task.spec)
    with pytest.raises(BerrypickError, match="not a World question"):
        void_kinds(other)


class Guesser:
    """Answers at once: the right name for questions in `knows`, and remembers what it was asked."""

    policy_id, exact_tokens = "guesser", False

    def __init__(self, knows):
        self.knows, self.heard = knows, []

    def start(self, questions, spec, seeds, sampling):
        self.heard.append([question.text for question in questions])
        self.rows = [question.text.split("\n")[0] for question in questions]
        return self

    def act(self, rows):
        return [Draft(f"<answer> {self.knows.get(self.rows[row], 'nobody')} </answer>") for row in rows]

    def observe(self, rows, texts):
        pass

    def finish(self, rows):
        pass


def test_solved_questions_are_not_tried_again_and_comments_can_be_those_of_others(task):
    questions = [Question(f"q{i}", f"question {i} ?", (f"name{i}",)) for i in range(6)]
    actor = Guesser({"question 0 ?": "name0", "question 1 ?": "name1"})

    def critic(episode):
        return f"about {episode.question.id}"

    told, others = (
        critique_round(
            actor, critic, questions, EpisodeSpec(), task.searcher, CritiqueConfig(num_samples=2, shuffled=shuffled)
        )
        for shuffled in (False, True)
    )
    assert (told.num_generations, told.num_retries, told.num_right_retries) == (12 + 8, 8, 0)
    assert told.first_right == others.first_right == 2
    _, own, _, mixed = actor.heard
    assert all(text.split("\n")[1] == f"about q{text.split()[1]}" for text in own)
    assert sorted(text.split("\n")[1] for text in mixed) == sorted(text.split("\n")[1] for text in own)
    assert any(text.split("\n")[1] != f"about q{text.split()[1]}" for text in mixed)
