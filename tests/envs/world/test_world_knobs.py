"""Every knob of the World: random worlds on bm25s and on the real Lucene index."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from berrypick.envs.episode import Draft, advance, start
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world import closed_voice, english_voice
from berrypick.envs.world.frontier import ceiling, order_success, pass_at_1, question_table, uniform_orders
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.policies.policy import Sampling
from berrypick.policies.rollout import rollout
from berrypick.policies.scripted import scripted_policy
from berrypick.retrieval_index.bm25s_index import Bm25sSearcher
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

knobs = st.fixed_dictionaries(
    {
        "hops": st.integers(1, 4),
        "availability": st.lists(st.floats(0.1, 0.9), min_size=3, max_size=6).map(
            lambda a: ",".join(f"{x:.3f}" for x in a)
        ),
        "cue": st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        "clauses": st.sampled_from([1, 1, 2, 3]),
        "aliases": st.booleans(),
        "distractors": st.integers(0, 3),
        "voice": st.sampled_from(["closed", "english"]),
        "world_seed": st.integers(0, 2**32),
    }
)
few = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}


def check_world(task, num_questions=100):
    """Section 1, statement by statement, on one world."""
    world = build_world(task.world)
    everyone = [question for questions in task.questions.values() for question in questions]
    by_id = {passage.id: passage for passage in world.passages()}
    assert len(by_id) == len(world.passages())
    entities = Counter(name for q in everyone for name in q.metadata["world"]["entities"])
    assert max(entities.values()) == 1, "an entity belongs to one question"
    questions = everyone[:num_questions]
    full, wanted, bare, every_kind = [], [], [], []
    facts = []
    for question in questions:
        facts_ = question.metadata["world"]
        answer = question.answers[0].lower()
        assert answer not in question.text.lower()
        last = set(facts_["passages"][-1])
        # the answer is said by the last hop's records alone
        own = {key for row in facts_["passages"] for key in row}
        assert len(own) == len(facts_["relations"]) * len(facts_["kinds"]), "paths share no passage"
        assert not any(answer in by_id[key].text.lower() for key in own - last)
        for hop, relation in enumerate(facts_["relations"]):
            for name in facts_["entities"][hop].split("/"):
                said = name.capitalize() if task.world.voice == "english" else name
                for form in range(len(closed_voice.QUERY_FORMATS)):
                    full += [closed_voice.query_text(kind, relation, said, form) for kind in facts_["kinds"]]
                    wanted += facts_["passages"][hop]
                bare.append(f"{relation} {said}")
                every_kind.append(f"{' '.join(facts_['kinds'])} {relation} {said}")
                facts.append(facts_["passages"][hop])
    found = task.searcher.search(full, 2)
    for query, ranking, key in zip(full, found, wanted):
        assert ranking[0].id == key and ranking[0].score > ranking[1].score + 1e-3, query
    num_kinds = len(task.world.kinds)
    for at in range(0, len(found), num_kinds):
        scores = [ranking[0].score for ranking in found[at : at + num_kinds]]
        assert max(scores) - min(scores) < 1e-4, "all kinds of a fact are found with one score"
    for queries in (bare, every_kind):
        for ids, ranking in zip(facts, task.searcher.search(queries, 1)):
            assert ranking[0].id == min(ids), "a tie goes to the smallest id, blind to what is written"
    return facts


@settings(max_examples=8, **few)
@given(arguments=knobs)
def test_any_world_keeps_the_statements_of_section_1(arguments):
    check_world(make_task("berrypick/World-v0", num_train=25, num_validation=5, num_test=20, **arguments), 30)


@pytest.mark.lucene
@settings(max_examples=5, **few)
@given(arguments=knobs)
def test_any_world_keeps_the_statements_of_section_1_on_lucene(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("BERRYPICK_CACHE", str(tmp_path))
    task = make_task("berrypick/World-v0", index="lucene", num_train=80, num_validation=20, num_test=60, **arguments)
    check_world(task)


@settings(max_examples=6, **few)
@given(arguments=knobs, budget=st.integers(1, 8))
@pytest.mark.slow
def test_simulation_agrees_with_the_exact_values_for_random_knobs(arguments, budget):
    task = make_task("berrypick/World-v0", num_train=0, num_validation=0, num_test=150, budget=budget, **arguments)
    questions = task.split("test")
    table = question_table(questions)
    exact = order_success(table, uniform_orders(table.num_kinds), budget)
    groups = rollout(
        scripted_policy("random_order"), questions, task.spec, task.searcher,
        num_samples=4, sampling=Sampling(), seed=arguments["world_seed"],
    )  # fmt: skip
    got = np.mean([[episode.correct for episode in group] for group in groups])
    error = math.sqrt(float(table.weights @ (exact * (1 - exact))) / (4 * len(questions)))
    assert abs(got - pass_at_1(table, exact)) <= 3 * error + 1e-9
    oracle = rollout(
        scripted_policy("oracle"), questions, task.spec, task.searcher, num_samples=1, sampling=Sampling(), seed=0
    )
    reachable = ceiling(table) if budget >= task.world.hops else 0.0
    assert np.mean([group[0].correct for group in oracle]) == pytest.approx(reachable)


def test_the_voice_changes_wording_alone():
    closed = build_world(WorldConfig(num_train=60, num_validation=0, num_test=0))
    english = build_world(WorldConfig(num_train=60, num_validation=0, num_test=0, voice="english"))
    assert [p.id for p in closed.passages()] == [p.id for p in english.passages()]
    for one, other in zip(closed.questions("train"), english.questions("train")):
        assert one.metadata["world"] == other.metadata["world"] and one.evidence == other.evidence
        assert (one.answers[0].capitalize(),) == other.answers
        assert english_voice.read_question(one.text)[1] == english_voice.read_question(other.text)[1]
    queries = [
        closed_voice.query_text(kind, relation, entity)
        for q in closed.questions("train")
        for relation, entity in zip(q.metadata["world"]["relations"], q.metadata["world"]["entities"])
        for kind in ("ledger", "charter scroll", "")
    ]
    first, second = (
        [ranking[0].id for ranking in Bm25sSearcher.from_passages(world.passages()).search(queries, 1)]
        for world in (closed, english)
    )
    assert first == second


def test_english_reads_as_english_and_every_wording_has_five_terms():
    from berrypick.retrieval_index.analyzer import terms

    texts = [
        english_voice.record_text("ledger", "founder", [("kizunba", obj)], v)
        for v in range(4)
        for obj in ("tovenra", None)
    ]
    assert texts[0] == "According to the ledger, the founder of Kizunba is Tovenra."
    assert texts[3] == "The ledger says that the founder of Kizunba is lost."
    assert [len(terms(text)) for text in texts] == [5] * 8
    assert [english_voice.parse_passage(text)[0].obj for text in texts] == ["Tovenra", None] * 4
    assert english_voice.question_text("kizunba", ["founder", "heir"]) == "Who is the heir of the founder of Kizunba?"
    cued = english_voice.question_text("kizunba", ["founder"], "scroll")
    assert cued == "According to the scroll, who is the founder of Kizunba?"
    assert english_voice.parse_question(cued) == ("Kizunba", ("founder",))
    assert english_voice.parse_passage("A ledger?") == () and english_voice.parse_question("Who?") is None


def test_pretrained_models_are_told_kinds_and_budget():
    task = make_task("berrypick/World-v0", voice="english", num_train=4, num_test=4, num_answers=2)
    from berrypick.envs.episode import start

    prompt = start(task.split("test")[0], task.spec).messages[0]["content"]
    for words in ("ledger, charter, scroll", "3 times at most", "may contradict", "2 different answers"):
        assert words in prompt


def test_a_cue_is_a_word_of_the_question_and_moves_availability():
    config = WorldConfig(cue=0.5, availability=(0.6, 0.2), num_train=2000, num_validation=0, num_test=0, hops=1)
    questions = build_world(config).questions("train")
    hit = np.zeros((2, 2))
    asked = np.zeros(2)
    for question in questions:
        world = question.metadata["world"]
        cue = world["cue"]
        assert question.text.startswith(f"{world['kinds'][cue]}: the ")
        expected = [0.6 + 0.5 * 0.4, 0.5 * 0.2] if cue == 0 else [0.5 * 0.6, 0.2 + 0.5 * 0.8]
        assert world["availability"] == pytest.approx(expected)
        asked[cue] += 1
        hit[cue, world["present"][0]] += 1
    rates = hit / asked[:, None]
    assert np.abs(rates - [[0.8, 0.1], [0.3, 0.6]]).max() < 0.05
    assert abs(asked[0] / 2000 - 0.5) < 0.05
    certain = build_world(WorldConfig(cue=1.0, num_train=50)).questions("train")
    assert all(q.metadata["world"]["present"] == [[q.metadata["world"]["cue"]]] * 2 for q in certain)


def test_clauses_share_passages_between_facts_of_one_relation_and_never_of_one_chain():
    world = build_world(WorldConfig(clauses=3, num_train=70, num_validation=0, num_test=0))
    by_id = {passage.id: passage for passage in world.passages()}
    lengths = set()
    for question in world.questions("train"):
        facts_ = question.metadata["world"]
        for hop, relation in enumerate(facts_["relations"]):
            for kind, key in enumerate(facts_["passages"][hop]):
                facts = closed_voice.parse_facts(by_id[key].text)
                lengths.add(len(facts))
                assert {fact.relation for fact in facts} == {relation}
                assert len({fact.entity for fact in facts} & set(facts_["entities"])) == 1
                own = english_voice.find_fact(by_id[key].text, facts_["entities"][hop], relation)
                assert (own.obj is not None) == (kind in facts_["present"][hop])
    assert lengths == {3}
    ranks = Counter(
        [fact.entity for fact in closed_voice.parse_facts(by_id[key].text)].index(facts_["entities"][0])
        for facts_ in (q.metadata["world"] for q in world.questions("train"))
        for key in facts_["passages"][0][:1]
    )
    assert min(ranks[rank] for rank in range(3)) > 8, "the right clause stands anywhere"


def test_aliases_are_accepted_and_lead_to_the_same_passages():
    task = make_task("berrypick/World-v0", aliases=1, num_train=0, num_validation=0, num_test=40)
    said = Counter()
    for question in task.split("test"):
        world = question.metadata["world"]
        first, second = world["entities"][0].split("/")
        assert question.answers == tuple(world["entities"][-1].split("/")) and first in question.text
        queries = [f"scroll {world['relations'][0]} {name}" for name in (first, second)]
        one, other = task.searcher.search(queries, 1)
        assert one[0].id == other[0].id == world["passages"][0][2]
        fact = english_voice.find_fact(one[0].text, second, world["relations"][0])
        if fact.obj is not None:
            said[world["entities"][1].split("/").index(fact.obj)] += 1
    assert min(said[0], said[1]) > 2


def test_several_answers_are_paths_that_differ_in_the_last_hop():
    world = build_world(WorldConfig(num_answers=3, availability=(1.0, 1.0, 1.0, 1.0), num_train=60, num_test=0))
    by_id = {passage.id: passage for passage in world.passages()}
    shifts = Counter()
    for question in world.questions("train"):
        assert len(question.evidence) == len(question.answers) == len(set(question.answers)) == 3
        assert question.metadata["answers_by_path"] == [[answer] for answer in question.answers]
        assert len({path[0] for path in question.evidence}) == 1
        for answer, path in zip(question.answers, question.evidence):
            assert path[-1] and {closed_voice.parse_passage(by_id[key].text).obj for key in path[-1]} == {answer}
        last = question.metadata["world"]["passages"][-1]
        assert frozenset().union(*(path[-1] for path in question.evidence)) == frozenset(last)
        shifts[next(i for i, path in enumerate(question.evidence) if last[0] in path[-1])] += 1
    assert set(shifts) == {0, 1, 2}, "which kind states which answer is the question's own"


@settings(max_examples=5, **few)
@given(arguments=knobs)
def test_a_world_with_as_many_answers_as_kinds_keeps_the_statements_of_section_1(arguments):
    kinds = len(arguments["availability"].split(","))
    task = make_task(
        "berrypick/World-v0", num_train=25, num_validation=5, num_test=20, num_answers=kinds, **arguments
    )  # fmt: skip
    check_world(task, 30)
    everyone = [question for questions in task.questions.values() for question in questions]
    named = Counter(answer for question in everyone for answer in question.answers)
    assert max(named.values()) == 1, "an answer belongs to one question"
    for question in everyone:
        world = question.metadata["world"]
        assert len(question.metadata["answers_by_path"]) == len(question.evidence) == kinds
        of_kinds = [sorted(world["passages"][-1].index(key) for key in path[-1]) for path in question.evidence]
        assert all(len(own) <= 1 for own in of_kinds), "each kind states an answer of its own"
        stated = [kind for own in of_kinds for kind in own]
        assert sorted(stated) == sorted(world["present"][-1])


def test_a_record_that_is_looked_up_again_is_the_same_and_costs_another_query():
    task = make_task(
        "berrypick/World-v0", availability=",".join(["1"] * 6), budget=3, num_answers=6, num_train=1, num_test=0,
        num_validation=0,
    )  # fmt: skip
    (question,) = task.split("train")
    world = question.metadata["world"]
    query = f"{world['kinds'][4]} {world['relations'][0]} {world['entities'][0]}"
    episode = start(question, task.spec)
    for _ in range(4):
        advance([episode], [Draft(f"<search>{query}</search>")], task.searcher)
    shown = [[hit.id for hits in turn.hits for hit in hits] for turn in episode.turns]
    assert shown == [[world["passages"][0][4]]] * 3 + [[]] and len(episode.queries) == 3


def test_planted_formats_stand_in_demonstrations_with_their_shares():
    task = make_task("berrypick/World-v0", query_formats="0.6,0.25,0.15", num_train=400, num_validation=0, num_test=0)
    groups = rollout(
        scripted_policy("random_order"), task.split("train"), task.spec, task.searcher,
        num_samples=2, sampling=Sampling(), seed=0,
    )  # fmt: skip
    per_episode = [{closed_voice.query_format(query) for query in e.queries} for group in groups for e in group]
    assert all(len(forms) == 1 for forms in per_episode)
    shares = Counter(form for forms in per_episode for form in forms)
    for form, share in enumerate((0.6, 0.25, 0.15)):
        assert abs(shares[form] / 800 - share) < 4 * math.sqrt(share * (1 - share) / 800)
    assert closed_voice.query_format("founder kizunba") is None
    assert closed_voice.query_format("ledger founder kizunba please") is None


def test_knobs_that_are_off_leave_the_default_world_as_it_was():
    base = build_world(WorldConfig(num_train=20, num_test=5))
    for changes in ({"query_formats": (0.5, 0.5)}, {"budget": 7}, {"preset": "other"}):
        other = build_world(dataclasses.replace(WorldConfig(num_train=20, num_test=5), **changes))
        assert other.passages() == base.passages()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cue": 1.5}, "cue must lie"), ({"cue": "high"}, "cue must be numbers"), ({"clauses": 0}, "clauses"),
        ({"num_answers": 4}, "num_answers"), ({"availability": "0.5"}, "2 to 6 kinds"),
        ({"availability": "0.5;0.4"}, "joined by commas"), ({"query_formats": "0.5,0.4"}, "add up to 1"),
        ({"query_formats": "1.5,-0.5"}, "cannot be negative"), ({"aliases": 2}, "aliases must be true or false"),
        ({"voice": 3}, "voice"),
    ],
)  # fmt: skip
def test_knobs_out_of_range_are_refused(arguments, message):
    with pytest.raises(BerrypickError, match=message):
        make_task("berrypick/World-v0", num_train=2, num_test=2, **arguments)


def test_an_unknown_voice_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean english"):
        make_task("berrypick/World-v0", voice="englsh")
