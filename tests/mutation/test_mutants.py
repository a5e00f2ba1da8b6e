"""The mutants of small texts, and the list of equivalent mutants: each is a mutant that can be drawn today."""

from __future__ import annotations

import ast

import pytest
from mutation.__main__ import all_mutants, draw, rings_of
from mutation.areas import AREAS, files_of, nearness
from mutation.mutants import Mutant, mutants_of, tree_of
from mutation.touched import Touched
from mutation.verdicts import equivalents, report_of


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("def f(a, b):\n    return a < b", {"{a < b -> None}", "a {< -> <=} b", "a {< -> >=} b"}),
        ("x = a + b", {"x = a {+ -> -} b"}),
        ("x = a and b", {"x = a {and -> or} b", "x = {a and  -> }b", "x = a{ and b -> }"}),
        ("x = 7", {"x = {7 -> 8}", "x = {7 -> 6}"}),
        ("x = True", {"x = {True -> False}"}),
        ("x = y[1:]", {"x = y[{1 -> }:]", "x = y[{1 -> 2}:]", "x = y[{1 -> 0}:]"}),
        ("x = y[:n]", {"x = y[:{n -> }]", "x = y[:n{ -> +1}]"}),
        ("x = min(y)", {"x = {min -> max}(y)"}),
        ("x = sorted(y, key=f)", {"x = {sorted(y, key=f -> list(y})"}),
        ("x = np.floor(y)", {"x = np.{floor -> ceil}(y)"}),
        ("if f(x):\n    g(x)", {"if { -> not }f(x): ...", "{g(x) -> pass}"}),
        ("if x:\n    raise ValueError(1 + 1)", {"if { -> not }x: ...", "{raise ValueError(1 + 1) -> pass}"}),
        ("for x in y:\n    break", {"{break -> pass}"}),
        ("x = [y for y in z if y]", {"x = [y for y in z if { -> not }y]"}),
        ("def f(a=3): ...", {"def f(a={3 -> 4}): ...", "def f(a={3 -> 2}): ..."}),
        ("x: int = 3", {"x: int = {3 -> 4}", "x: int = {3 -> 2}"}),
        ("x += 1", {"{x += 1 -> pass}", "x {+= -> -=} 1", "x += {1 -> 2}", "x += {1 -> 0}"}),
        ("x = not y", {"x = {not  -> }y"}),
    ],
)
def test_mutants_of_a_statement(source: str, texts: set[str]) -> None:
    found = {mutant.text.replace("return ", "").replace(" + 1", "+1") for mutant in mutants_of(source)}
    assert found == {text.replace(" + 1", "+1") for text in texts}


@pytest.mark.parametrize(
    "source",
    [
        '"""A text about 1 + 1."""',
        "import a",
        '__all__ = ["a", "b"]',
        "x: Literal[1, 2]",
        "@dataclass(frozen=True)\nclass A:\n    x: int",
        "def f(a: int | None) -> int | None: ...",
        "assert x > 1",
        'x = "text"',
        "Kind = int | str",
        "if TYPE_CHECKING:\n    x = 1",
        "for a, b in zip(c, d, strict=True):\n    a = b",
    ],
)
def test_what_no_test_of_behaviour_can_see_is_left_alone(source: str) -> None:
    assert mutants_of(source) == []


def test_each_mutant_is_the_text_with_one_change_and_compiles() -> None:
    source = "def f(a, b=2):\n    if a > b and b:\n        return [a + b, a][0]\n    a *= b\n    return max(a, b)\n"
    texts = [ast.unparse(tree_of(source, mutant.number)) for mutant in mutants_of(source)]
    assert len(set(texts)) == len(texts) > 15
    assert source.strip() not in texts
    for text in texts:
        compile(text, "mutant", "exec")


def test_what_a_default_is_made_of_is_a_default() -> None:
    operators = [mutant.operator for mutant in mutants_of("def f(a=(1, -2), *, b=3): ...")]
    assert set(operators) == {"default"} and len(operators) == 7


def test_two_places_with_one_text_have_two_names() -> None:
    names = [(mutant.scope, mutant.text) for mutant in mutants_of("def f(x):\n    x += 1\n    x += 1\n")]
    assert len(set(names)) == len(names) == 8


def test_a_mutant_is_named_by_its_function_and_not_by_its_line() -> None:
    source = "class A:\n    def f(self):\n        return g(1)\n"
    before, after = mutants_of(source), mutants_of("import a\n\n" + source)
    assert [(mutant.scope, mutant.text) for mutant in before] == [(mutant.scope, mutant.text) for mutant in after]
    assert {mutant.scope for mutant in before} == {"A.f"}


def test_the_areas_are_files_and_each_equivalent_mutant_is_one_of_theirs() -> None:
    assert all(files_of(area) for area in AREAS)
    names = [(file, mutant.scope, mutant.text) for _, file, mutant in all_mutants()]
    assert len(set(names)) == len(names)
    stale = set(equivalents()) - set(names)
    assert not stale, "no such mutant any more; drop or fix these lines of equivalent.json: " + repr(sorted(stale))
    assert all(len(reason) > 20 for reason in equivalents().values())


def test_a_draw_depends_on_the_seed_and_a_larger_one_begins_with_the_smaller() -> None:
    everything = [("rewards", "a.py", mutant) for mutant in mutants_of("x = [1, 2, 3, 4, 5, 6, 7, 8, 9]")]
    assert draw(everything, 1, 5) == draw(everything[::-1], 1, 9)[:5]
    assert draw(everything, 1, 9) != draw(everything, 2, 9)
    assert len(set(draw(everything, 1, 99))) == len(everything) == 18


def test_the_nearest_and_quickest_tests_are_asked_first() -> None:
    near, same, far = "tests/envs/test_a.py", "tests/envs/test_other.py", "tests/policies/test_b.py"
    called = {name: {"tests": {}, "shared": []} for name in (near, same, far)}
    called[near]["tests"] = {f"{near}::slow": (2.0, ["envs/a.py::f"]), f"{near}::not_asked": (1.0, [])}
    called[same]["tests"] = {f"{same}::quick": (0.1, ["envs/a.py::f"])}
    called[far]["tests"] = {f"{far}::far": (0.1, ["envs/a.py::f"])}
    mutant = Mutant(0, "f", "return", "return {1 -> None}", 1)
    assert rings_of("envs/a.py", mutant, Touched(called)) == [
        [f"{near}::slow", f"{same}::quick"], [f"{far}::far"], [f"{near}::not_asked"],
    ]  # fmt: skip
    assert [nearness(test, "envs/a.py") for test in (near, same, far)] == [0, 1, 3]


def test_equivalent_mutants_count_neither_way_and_time_outs_as_killed() -> None:
    statuses = ["killed"] * 5 + ["timed out", "survived", "equivalent"]
    rows = [{"area": "rewards", "file": "a.py", "scope": "f", "text": "t", "status": status} for status in statuses]
    report = report_of(rows, 7, 100)
    assert (report["seed"], report["mutants"], report["killed_percent"]) == (7, 8, 85.7)
    assert report["areas"]["rewards"]["survived"] == 1
    assert report["areas"]["claims"]["killed_percent"] is None
    assert report["survivors"] == ["a.py: f: t"]
