"""The statements of world.md section 1, on bm25s and on the real Lucene index."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter

import numpy as np
import pytest
from berrypick.envs.tasks.registry import make_task
from berrypick.envs.world import closed_voice
from berrypick.envs.world.world import PRESETS, WorldConfig, build_world, passage_id
from berrypick.retrieval_index.corpus import corpus_sha256
from berrypick.retrieval_index.errors import BerrypickError, UnknownNameError
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module", params=["bm25s", pytest.param("lucene", marks=pytest.mark.lucene)])
def task(request):
    return make_task("berrypick/World-v0", index=request.param, num_train=120, num_validation=40, num_test=140)


def all_questions(task):
    return [question for questions in task.questions.values() for question in questions]


def facts_of(question):
    world = question.metadata["world"]
    for hop, relation in enumerate(world["relations"]):
        yield world["kinds"], relation, world["entities"][hop], world["passages"][hop], world["present"][hop]


def test_same_seed_same_bytes_and_another_seed_another_world():
    config = WorldConfig(num_train=30, num_validation=5, num_test=10, distractors=2)
    one, two = build_world(config), build_world(config)
    assert corpus_sha256(one.passages()) == corpus_sha256(two.passages())
    assert one.by_split == two.by_split
    other = build_world(WorldConfig(num_train=30, num_validation=5, num_test=10, distractors=2, seed=1))
    assert not {p.id for p in other.passages()} & {p.id for p in one.passages()}


def test_the_default_world_is_the_one_that_figures_were_measured_on():
    digest = corpus_sha256(build_world(WorldConfig()).passages())
    assert digest == "e1b7799765d1b2e4d4df7afb10f6aff1171ed21017b33dbe72effd3c8567bb57"


def test_a_passage_id_is_a_digest_of_seed_entity_relation_and_kind_alone():
    expected = hashlib.sha256(b"5|kizunba|founder|ledger").hexdigest()[:16]
    assert passage_id(5, "kizunba", "founder", "ledger") == expected


def test_every_fact_has_one_passage_for_each_kind_present_or_void():
    world = build_world(WorldConfig(num_train=50, num_validation=0, num_test=0))
    by_id = {passage.id: passage for passage in world.passages()}
    assert len(by_id) == len(world.passages()) == 50 * 2 * 3
    for question in world.questions("train"):
        entities = question.metadata["world"]["entities"]
        assert len(set(entities)) == 3 and question.answers == (entities[-1],)
        for hop, (kinds, relation, entity, ids, present) in enumerate(facts_of(question)):
            assert question.evidence[0][hop] == frozenset(ids[kind] for kind in present)
            for index, (kind, key) in enumerate(zip(kinds, ids)):
                obj = entities[hop + 1] if index in present else None
                assert by_id[key].title == ""
                assert closed_voice.parse_passage(by_id[key].text) == closed_voice.Fact(kind, relation, entity, obj)


def test_no_entity_stands_in_two_questions_or_splits():
    world = build_world(WorldConfig(num_train=100, num_validation=50, num_test=100, hops=3, distractors=1))
    seen = Counter(
        entity
        for questions in world.by_split.values()
        for question in questions
        for entity in question.metadata["world"]["entities"]
    )
    assert max(seen.values()) == 1 and len(seen) == 250 * 4
    ids = [question.id for questions in world.by_split.values() for question in questions]
    assert len(set(ids)) == 250


def test_relations_of_different_layers_and_distractors_share_no_word():
    layers = [*closed_voice.RELATIONS, closed_voice.DISTRACTOR_RELATIONS, closed_voice.KINDS, closed_voice.WORDS]
    for one, other in itertools.combinations(layers, 2):
        assert not set(one) & set(other)


def test_a_question_reads_as_its_chain():
    assert closed_voice.question_text("kizunba", ["founder", "heir"]) == "the heir of the founder of kizunba ?"
    assert closed_voice.parse_question("the heir of the founder of kizunba ?") == ("kizunba", ("founder", "heir"))
    for question in build_world(WorldConfig(num_train=20, hops=4)).questions("train"):
        world = question.metadata["world"]
        assert closed_voice.parse_question(question.text) == (world["entities"][0], tuple(world["relations"]))
        assert all(word in closed_voice.RELATIONS[hop] for hop, word in enumerate(world["relations"]))


def test_presence_follows_availability_independently_over_kinds_and_hops():
    world = build_world(WorldConfig.from_preset("steep", num_train=3000, num_validation=0, num_test=0))
    present = np.array(
        [
            [[kind in kinds for kind in range(3)] for kinds in question.metadata["world"]["present"]]
            for question in world.questions("train")
        ]
    )
    for hop in range(2):
        for kind, a in enumerate((0.8, 0.4, 0.2)):
            assert abs(present[:, hop, kind].mean() - a) <= 4 * np.sqrt(a * (1 - a) / 3000)
    flat = present.reshape(3000, 6).astype(float)
    correlations = np.corrcoef(flat.T)[~np.eye(6, dtype=bool)]
    assert np.abs(correlations).max() < 4 / np.sqrt(3000)


def test_the_answer_is_stated_by_the_last_hop_alone():
    world = build_world(WorldConfig(num_train=60, num_validation=0, num_test=0, hops=3))
    for question in world.questions("train"):
        last = set(question.metadata["world"]["passages"][-1])
        mentions = {passage.id for passage in world.passages() if question.answers[0] in passage.text}
        assert mentions <= last
        assert question.answers[0] not in question.text


def test_a_full_query_finds_its_passage_strictly_first(task):
    queries, wanted = [], []
    for question in all_questions(task):
        for kinds, relation, entity, ids, _ in facts_of(question):
            queries += [closed_voice.query_text(kind, relation, entity) for kind in kinds]
            wanted += ids
    assert len(queries) == 1800
    for ranking, key in zip(task.searcher.search(queries, 2), wanted):
        assert ranking[0].id == key
        assert ranking[0].score > ranking[1].score + 0.1


@pytest.mark.parametrize(
    "form", ["{relation} {entity}", "ledger charter scroll {relation} {entity}", "{entity} {relation}"]
)
def test_queries_of_no_kind_or_all_kinds_tie_and_bring_one_fixed_kind_uniform_over_facts(task, form):
    facts = [fact for question in all_questions(task) for fact in facts_of(question)]
    queries = [form.format(relation=relation, entity=entity) for _, relation, entity, _, _ in facts]
    rankings = task.searcher.search(queries, 3)
    counts = Counter()
    for (_, _, _, ids, _), ranking in zip(facts, rankings):
        assert [hit.id for hit in ranking] == sorted(ids)
        assert max(hit.score for hit in ranking) - min(hit.score for hit in ranking) < 1e-4
        counts[ids.index(ranking[0].id)] += 1
    assert [top[0].id for top in task.searcher.search(queries, 1)] == [ranking[0].id for ranking in rankings]
    n = len(facts)
    assert all(abs(counts[kind] - n / 3) < 4 * np.sqrt(n * 2 / 9) for kind in range(3))


def test_kind_words_have_equal_document_frequencies(task):
    world = build_world(task.world)
    kinds = Counter(passage.text.split(":")[0] for passage in world.passages())
    assert set(kinds.values()) == {len(world.passages()) // 3}
    assert {len(passage.text.split()) for passage in world.passages()} == {7}


def every_word():
    names = [name for q in build_world(WorldConfig()).questions("test") for name in q.metadata["world"]["entities"]]
    long = build_world(WorldConfig(num_train=6000, num_validation=0, num_test=0, hops=3))
    names += [name for q in long.questions("train")[:300] for name in q.metadata["world"]["entities"]]
    relations = [word for layer in closed_voice.RELATIONS for word in layer]
    return [*closed_voice.KINDS, *relations, *closed_voice.DISTRACTOR_RELATIONS, closed_voice.LOST, *names]


def test_the_analyzer_is_the_identity_on_every_word():
    from berrypick.retrieval_index.analyzer import terms

    words = every_word()
    assert len(words) > 2000
    assert [terms(word) for word in words] == [[word] for word in words]


@pytest.mark.lucene
def test_lucenes_own_analyzer_is_the_identity_on_every_word():
    from berrypick.retrieval_index.java import start_jvm

    start_jvm()
    from pyserini.analysis import Analyzer, get_lucene_analyzer

    analyzer = Analyzer(get_lucene_analyzer())
    words = every_word()
    assert [analyzer.analyze(word) for word in words] == [[word] for word in words]


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 3000), seed=st.integers(0, 2**40))
def test_names_are_distinct_words_of_three_syllables_in_a_or_o(count, seed):
    world = build_world(WorldConfig(num_train=count // 3 + 1, num_validation=0, num_test=0, seed=seed))
    names = [name for q in world.questions("train") for name in q.metadata["world"]["entities"]]
    assert len(set(names)) == len(names)
    assert all(closed_voice.is_name(name) and len(closed_voice.syllables_of(name)) == 3 for name in names[:50])


def test_a_larger_split_begins_with_the_smaller_one():
    small = build_world(WorldConfig(num_train=10, num_validation=0, num_test=0))
    large = build_world(WorldConfig(num_train=20, num_validation=0, num_test=0))
    assert large.questions("train")[:10] == small.questions("train")


def test_distractors_name_their_own_relations_in_every_kind():
    world = build_world(WorldConfig(num_train=10, num_validation=0, num_test=0, distractors=2))
    facts = [closed_voice.parse_passage(passage.text) for passage in world.passages()]
    distracting = [fact for fact in facts if fact.relation in closed_voice.DISTRACTOR_RELATIONS]
    assert len(distracting) == 10 * 2 * 3
    kinds = Counter(fact.kind for fact in distracting)
    assert set(kinds.values()) == {20}
    starts = {question.metadata["world"]["entities"][0] for question in world.questions("train")}
    assert {fact.entity for fact in distracting} == starts


def test_parsing_reads_only_the_closed_voice():
    assert closed_voice.parse_passage("ledger: the founder of kizunba is lost.").obj is None
    assert closed_voice.parse_passage("Once upon a time.") is None
    assert closed_voice.parse_question("Who?") is None
    query = closed_voice.parse_query("Ledger, charter LEDGER founder of kizunba tovenra")
    assert query == closed_voice.Query(("ledger", "charter"), "founder", "kizunba")
    assert closed_voice.restate("founder", "kizunba", None) == "founder of kizunba is lost"


def test_presets_and_arguments_that_do_not_exist_name_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean steep"):
        WorldConfig.from_preset("step")
    with pytest.raises(UnknownNameError, match="did you mean hops"):
        WorldConfig.from_preset("priced", hop=2)
    with pytest.raises(UnknownNameError, match="did you mean test"):
        build_world(WorldConfig(num_train=1, num_test=1)).questions("tests")
    assert set(PRESETS) == {"slack", "free", "priced", "steep"}


@pytest.mark.parametrize(
    "changes",
    [
        {"hops": 0},
        {"hops": 5},
        {"availability": (0.5,)},
        {"availability": (0.5, 1.5)},
        {"budget": 0},
        {"distractors": 7},
    ],
)
def test_a_world_out_of_range_is_refused(changes):
    with pytest.raises(BerrypickError, match="World: "):
        WorldConfig(**changes)
