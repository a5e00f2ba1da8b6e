"""DARLING's learned classifier: pairs label themselves, held-out pairs are classified, union-find makes clusters."""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from pathlib import Path

import pytest
import torch
from berrypick.__main__ import main
from berrypick.policies.objectives import Groups, get_objective
from berrypick.policies.objectives.equivalence import (
    EquivalenceClassifier,
    Pair,
    equivalent_pairs,
    fit_classifier,
    held_out_accuracy,
    load_classifier,
)
from berrypick.retrieval_index import encoder
from berrypick.retrieval_index.errors import BerrypickError

TOPICS = ("founder", "owner", "mentor")
# The order of words and "the" never matter, the topic does.
LEARN = [
    Pair((f"the {a} of {x}",), (f"{x} {b}",), a == b) for x in ("kana", "lumo", "zendo") for a in TOPICS for b in TOPICS
]


@pytest.fixture(scope="module")
def classifier() -> EquivalenceClassifier:
    return fit_classifier(LEARN)


def groups_of_queries(queries: list[tuple[str, ...]]) -> Groups:
    return Groups(("q",), torch.ones(1, len(queries), dtype=torch.float64), {"query": [queries]}, [queries])


def test_pairs_are_labelled_by_what_was_shown_and_equal_queries_are_no_pairs() -> None:
    shown = [frozenset("ab"), frozenset("ba"), frozenset("c"), frozenset("c")]
    pairs = equivalent_pairs([["x"], ["y"], ["z"], ["z"]], shown)
    assert Counter((*sorted((pair.first[0], pair.second[0])), pair.same) for pair in pairs) == {
        ("x", "y", True): 1,
        ("x", "z", False): 2,
        ("y", "z", False): 2,
    }


def test_it_judges_an_entity_it_never_saw_and_is_symmetric(classifier: EquivalenceClassifier) -> None:
    for a in TOPICS:
        for b in TOPICS:
            first, second = (f"the {a} of miravo",), (f"miravo {b}",)
            assert classifier(first, second) == (a == b)
            assert classifier.probability(first, second) == classifier.probability(second, first)


def test_the_objective_clusters_by_it_through_union_find(tmp_path: Path, classifier: EquivalenceClassifier) -> None:
    classifier.save(tmp_path / "c")
    shape = get_objective(f"darling:classifier={tmp_path / 'c'},floor=0.1").shape
    queries = [("the founder of miravo",), ("miravo founder",), ("miravo owner",), ("the owner of miravo",)]
    assert shape(groups_of_queries(queries))[0].tolist() == pytest.approx([2 / 3] * 4)  # (4 - 2) / 3
    vague = ("x y",)  # without a topic it passes for one of either, and chains them all
    links = [classifier(vague, query) for query in queries]
    assert any(links[:2]) and any(links[2:])
    assert shape(groups_of_queries([*queries, vague]))[0].tolist() == [0.1] * 5


def test_equal_queries_are_the_same_whatever_the_head_says(classifier: EquivalenceClassifier) -> None:
    strict = EquivalenceClassifier("hashed", classifier.weights, classifier.bias, threshold=2.0)
    assert not strict(("miravo founder",), ("founder miravo",))
    assert strict(("miravo founder",), ("miravo founder",))


def test_saved_and_loaded_it_says_the_same(tmp_path: Path, classifier: EquivalenceClassifier) -> None:
    classifier.save(tmp_path / "c")
    again = load_classifier(tmp_path / "c")
    pairs = [(("kana founder",), ("the mentor of kana", "lumo")), (("a b",), ("b a",))]
    assert [again.probability(*pair) for pair in pairs] == [classifier.probability(*pair) for pair in pairs]


def test_a_folder_that_holds_files_is_not_overwritten(tmp_path: Path, classifier: EquivalenceClassifier) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("mine")
    with pytest.raises(BerrypickError, match="choose a new or empty folder"):
        classifier.save(tmp_path / "c")
    assert [path.name for path in tmp_path.rglob("*")] == ["c", "thesis.tex"]


def test_training_is_deterministic() -> None:
    assert torch.equal(fit_classifier(LEARN).weights, fit_classifier(LEARN).weights)


def test_both_labels_weigh_the_same_however_often_each_occurs(classifier: EquivalenceClassifier) -> None:
    often = fit_classifier([*LEARN, *(pair for pair in LEARN if not pair.same for _ in range(3))])
    torch.testing.assert_close(often.weights, classifier.weights, atol=1e-3, rtol=0)
    assert often.bias == pytest.approx(classifier.bias, abs=1e-3)


def test_words_that_share_a_place_have_signs_of_their_own(classifier: EquivalenceClassifier) -> None:
    size = len(classifier.weights) // 2
    places: dict[int, dict[bool, str]] = {}
    for word in map(str, range(10_000)):
        code = zlib.crc32(word.encode())
        places.setdefault(code % size, {})[code >= 2**31] = word
    shared = next(signs for signs in places.values() if len(signs) == 2)
    plus, minus = shared[True], shared[False]
    cosine = EquivalenceClassifier("hashed", torch.cat([torch.zeros(size), torch.ones(size)]).double(), 0.0)
    apart = next(signs[True] for signs in places.values() if signs is not shared and True in signs)
    chances = [cosine.probability((minus,), queries) for queries in [(minus,), (plus,), (minus, apart)]]
    # the cosines: 1, -1, and two words of equal length at a right angle
    assert chances == pytest.approx([1 / (1 + math.exp(-value)) for value in (1, -1, 0.5**0.5)])


def test_pairs_of_one_label_teach_nothing() -> None:
    with pytest.raises(BerrypickError, match="all equivalent or all different"):
        fit_classifier([pair for pair in LEARN if pair.same])


def test_an_absent_or_damaged_classifier_names_the_command(tmp_path: Path, classifier: EquivalenceClassifier) -> None:
    with pytest.raises(BerrypickError, match=r"berrypick classifier ROLLOUTS --out"):
        get_objective(f"darling:classifier={tmp_path / 'none'}")
    classifier.save(tmp_path / "c")
    (tmp_path / "c" / "head.safetensors").write_bytes(b"x")
    with pytest.raises(BerrypickError, match="no classifier at"):
        load_classifier(tmp_path / "c")


def test_on_world_rollouts_it_beats_chance_on_other_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = ["--env", "berrypick/World-v0", "--env-arg", "num_train=40", "num_validation=0", "num_test=1"]
    rollouts = ["--split", "train", "--samples", "8", "--out", str(tmp_path / "r"), "--json"]
    assert main(["eval", *world, "--policy", "random_order", *rollouts]) == 0
    capsys.readouterr()
    assert main(["classifier", str(tmp_path / "r"), "--out", str(tmp_path / "c"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["held_out_pairs"] > 100
    assert found["balanced_accuracy"] > 0.8
    assert main(["classifier", str(tmp_path / "r"), "--out", str(tmp_path / "c")]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_pretrained_encoder_under_the_head_learns_the_same(tmp_path: Path) -> None:
    learned = fit_classifier(LEARN, encoder="minilm")
    right = [learned((f"the {a} of miravo",), (f"miravo {b}",)) == (a == b) for a in TOPICS for b in TOPICS]
    assert sum(right) >= 8


def test_equal_features_of_both_labels_leave_an_even_chance() -> None:
    unclear = [Pair(("a",), ("b",), True), *[Pair(("a",), ("b",), False)] * 3]
    assert fit_classifier(unclear).probability(("a",), ("b",)) == pytest.approx(0.5, abs=1e-6)


def test_the_head_has_4096_weights_and_a_penalty_of_a_thousandth() -> None:
    found, told = fit_classifier(LEARN), fit_classifier(LEARN, penalty=1e-3)
    assert found.weights.shape == (4096,) and found.threshold == 0.5
    assert torch.equal(found.weights, told.weights)
    loose = fit_classifier(LEARN, penalty=1e-5)
    assert float(loose.weights.norm()) > 1.5 * float(found.weights.norm())


@pytest.mark.parametrize("same", [True, False])
def test_pairs_of_either_label_alone_teach_nothing(same: bool) -> None:
    with pytest.raises(BerrypickError, match="all equivalent or all different"):
        fit_classifier([pair for pair in LEARN if pair.same is same])


def yes(bias: float = 0.0, threshold: float = 0.5) -> EquivalenceClassifier:
    """A head without weights: every pair of different queries has one probability."""
    return EquivalenceClassifier("hashed", torch.zeros(4096, dtype=torch.float64), bias, threshold)


def test_the_threshold_itself_counts_as_equivalent() -> None:
    assert yes().probability(("a",), ("b",)) == 0.5 and yes()(("a",), ("b",))
    assert not yes(threshold=0.51)(("a",), ("b",))
    assert yes(bias=math.log(3)).probability(("",), ("b",)) == pytest.approx(0.75)


def test_held_out_accuracy_by_hand() -> None:
    x, y = ("x",), ("y",)
    pairs = [Pair(x, x, True), Pair(x, y, True), Pair(x, y, False), Pair(y, x, False), Pair(y, y, False)]
    found = held_out_accuracy(yes(threshold=2.0), pairs)  # says yes to equal queries only
    assert found == {
        "held_out_pairs": 5, "balanced_accuracy": pytest.approx((1 / 2 + 2 / 3) / 2),
        "recall": 1 / 2, "specificity": pytest.approx(2 / 3),
    }  # fmt: skip
    for one_label in (pairs[:2], pairs[2:]):
        assert held_out_accuracy(yes(), one_label) == {"held_out_pairs": len(one_label), "balanced_accuracy": None}


def test_a_head_of_another_format_or_size_or_content_is_refused(tmp_path: Path) -> None:
    yes().save(tmp_path / "right")
    facts = json.loads((tmp_path / "right" / "classifier.json").read_text())
    assert facts["format"] == 1 and facts["encoder"] == "hashed"
    EquivalenceClassifier("hashed", torch.zeros(10), 0.0).save(tmp_path / "short")
    EquivalenceClassifier("other", torch.zeros(2, 3), 0.0).save(tmp_path / "square")
    EquivalenceClassifier("other", torch.zeros(6), 0.0).save(tmp_path / "other")
    assert len(load_classifier(tmp_path / "other").weights) == 6, "another encoder has another size"
    for name, message in (("short", r"weights of shape \[10\]"), ("square", r"weights of shape \[2, 3\]")):
        with pytest.raises(BerrypickError, match=message):
            load_classifier(tmp_path / name)
    head = (tmp_path / "other" / "head.safetensors").read_bytes()
    (tmp_path / "right" / "head.safetensors").write_bytes(head)
    with pytest.raises(BerrypickError, match=r"head.safetensors: its checksum is wrong"):
        load_classifier(tmp_path / "right")
    del facts["sha256"]
    (tmp_path / "right" / "classifier.json").write_text(json.dumps({**facts, "format": 2}))
    with pytest.raises(BerrypickError, match=r"classifier.json: format 2"):
        load_classifier(tmp_path / "right")


def test_what_was_shown_is_compared_between_rollouts_and_a_classifier_reads_lists(
    classifier: EquivalenceClassifier,
) -> None:
    (pair,) = equivalent_pairs([["x", "y"], ["z"]], [frozenset("a"), frozenset("b")])
    assert pair == Pair(("z",), ("x", "y"), False)
    assert classifier.probability(["kana founder"], ["kana owner"]) == classifier.probability(
        ("kana founder",), ("kana owner",)
    )


def test_the_penalty_is_on_the_sum_of_squares_by_calculus() -> None:
    """One pair of each label, of four words: features f, g with squares of 2 and no place in common.

    By symmetry the weights are t (f - g), so that t minimises log(1 + exp(-2 t)) + 4 penalty t^2.
    """
    found = fit_classifier([Pair(("a",), ("b",), True), Pair(("c",), ("d",), False)], penalty=0.01)
    low, high = 0.0, 10.0
    for _ in range(60):
        t = (low + high) / 2
        low, high = (t, high) if 1 / (1 + math.exp(2 * t)) > 4 * 0.01 * t else (low, t)
    assert found.probability(("a",), ("b",)) == pytest.approx(1 / (1 + math.exp(-2 * low)), abs=1e-4)
    assert found.probability(("c",), ("d",)) == pytest.approx(1 / (1 + math.exp(2 * low)), abs=1e-4)


def test_an_encoder_reads_the_queries_as_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Lengths:
        def encode(self, texts: list[str], is_query: bool) -> list[list[float]]:
            asked.append((texts, is_query))
            return [[float(len(text)), 1.0] for text in texts]

    monkeypatch.setattr(encoder, "load_encoder", lambda name: Lengths())
    # |u - v| is (3, 0) and u * v is (10, 1)
    made = EquivalenceClassifier("lengths-of-a-test", torch.tensor([1.0, 0.0, 0.0, -3.0]).double(), 0.5)
    assert made.probability(("ab", "cd"), ("xy",)) == pytest.approx(1 / (1 + math.exp(-(3 - 3 + 0.5))))
    assert asked == [(["ab\ncd"], True), (["xy"], True)]
    assert "_vectors" not in repr(made), "what was embedded is no part of what it is"
