"""`WorldFacts`: reads what the World writes, names what is damaged, and is the only reader."""

from __future__ import annotations

import ast
import copy
import json
from pathlib import Path

import pytest
from berrypick.envs.questions import Question
from berrypick.envs.world.facts import WorldFacts
from berrypick.envs.world.world import WorldConfig, build_world
from berrypick.retrieval_index.errors import BerrypickError

ROOT = Path(__file__).resolve().parents[3]
KNOBS = ({}, {"cue": 0.5}, {"num_answers": 3, "hops": 3}, {"aliases": True}, {"query_formats": (0.5, 0.5)})


def questions(**knobs):
    return build_world(WorldConfig(num_train=4, num_validation=0, num_test=0, **knobs)).questions("train")


@pytest.mark.parametrize("knobs", KNOBS)
def test_facts_survive_the_way_through_a_json_file(knobs):
    for question in questions(**knobs):
        read = WorldFacts.of_metadata(json.loads(json.dumps(question.metadata)))
        assert read == WorldFacts.of(question)
        assert read.as_metadata() == question.metadata


def test_facts_are_those_of_the_configuration_and_the_question():
    config = WorldConfig(num_train=4, num_validation=0, num_test=0, cue=0.5)
    for question in build_world(config).questions("train"):
        facts = WorldFacts.of(question)
        assert (facts.kinds, facts.hops, facts.budget, facts.preset) == (config.kinds, 2, 3, "priced")
        assert facts.availability == config.question_availability(facts.cue)
        assert question.answers == (facts.entities[-1],) and facts.num_answers == 1 and facts.answers_by_path == ()
        shown = tuple(frozenset(facts.passages[hop][kind] for kind in facts.present[hop]) for hop in range(2))
        assert question.evidence == (shown,)


def test_a_question_of_several_answers_has_one_set_of_aliases_for_each():
    question = questions(num_answers=3)[0]
    assert WorldFacts.of(question).answers_by_path == tuple((answer,) for answer in question.answers)
    assert question.answers_by_path == WorldFacts.of(question).answers_by_path
    assert WorldFacts.of(question).num_answers == 3


@pytest.mark.parametrize("metadata", [{}, {"hops": 2}, {"world": None}, {"world": {}}, {"world": "Earth"}])
def test_a_question_of_another_environment_has_no_facts(metadata):
    question = Question("q1", "who?", ("Ada",), metadata=metadata)
    assert WorldFacts.of(question) is None
    with pytest.raises(BerrypickError, match=r"^a frontier needs World questions; use a split of berrypick/World-v0$"):
        WorldFacts.required(question, "a frontier")


DAMAGED = {
    "no field 'present'": lambda world: world.pop("present"),
    "hops, budget and the kinds of present must be whole numbers": lambda world: world.update(budget="3"),
    "present and passages must have 1 hops": lambda world: world.update(hops=1),
    "present names a kind beyond 3": lambda world: world.update(present=[[3], [0]]),
    "a hop must have 3 passages": lambda world: world["passages"][1].pop(),
    "availability must have 3 numbers": lambda world: world.update(availability=[0.5]),
    "relations must have 2 words": lambda world: world.update(relations=["founder"]),
    "entities must have 3 names": lambda world: world["entities"].pop(),
    "cue must be the index of a kind": lambda world: world.update(cue=7),
    "'ledger' must be a list of texts": lambda world: world.update(kinds="ledger"),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_metadata_is_one_line_with_the_question_the_fault_and_the_cure(fault):
    question = questions()[0]
    metadata = copy.deepcopy(dict(question.metadata))
    DAMAGED[fault](metadata["world"])
    damaged = Question(question.id, question.text, question.answers, metadata=metadata)
    with pytest.raises(BerrypickError) as caught:
        WorldFacts.of(damaged)
    assert str(caught.value) == (
        f"the World metadata of question {question.id} is damaged: {fault}; "
        "play the question again with berrypick/World-v0"
    )


def raw_reads(source: str) -> list[int]:
    """Lines that index, look up or test the key "world", but for that of an experiment's cell, which is another."""
    lines = []
    cells = ("cell", "cell.config")
    for node in ast.walk(ast.parse(source)):
        key = None
        if isinstance(node, ast.Subscript):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            key = node.args[0] if node.args else None
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            key = node.left
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in cells:
            continue
        if isinstance(key, ast.Constant) and key.value == "world":
            lines.append(node.lineno)
    return lines


def test_metadata_of_the_world_is_read_in_one_file_only():
    assert raw_reads('a.metadata["world"]\nb.get("world")\n"world" in c\n"world" not in d') == [1, 2, 3, 4]
    assert raw_reads('cell["world"]\ncell.config["world"]') == []
    folders = ("envs", "policies", "experiments", "retrieval_index")
    files = [*ROOT.glob("*.py"), *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    reading = {path.relative_to(ROOT).as_posix() for path in files if raw_reads(path.read_text(encoding="utf-8"))}
    assert reading == {"envs/world/facts.py"}
