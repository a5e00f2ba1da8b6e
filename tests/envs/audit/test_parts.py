"""The parts of the audit against slow and simple implementations."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from berrypick.envs.audit.duplicates import NEAR, candidates, confirmed
from berrypick.envs.audit.needles import Needles
from berrypick.envs.audit.sketches import BANDS, Sketches, runs_of_words
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.sampled_from(["a", "b", "ab", "é", "longer", "1790"])
TEXT = st.lists(WORDS, max_size=6).map(" ".join)


@given(st.lists(TEXT, max_size=8), st.lists(TEXT, max_size=6))
def test_needles_are_found_in_the_first_passage_that_holds_their_words(texts: list[str], wanted: list[str]) -> None:
    needles = Needles(wanted)
    for at, text in enumerate(texts):
        needles.look(f"p{at}", text, text.split())
    expected = {}
    for needle in filter(None, wanted):
        words = needle.split()
        for at, text in enumerate(texts):
            parts = text.split()
            if any(parts[i : i + len(words)] == words for i in range(len(parts))):
                expected[needle] = f"p{at}"
                break
    assert needles.found == expected


def slow_runs(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


@given(st.lists(TEXT, min_size=2, max_size=2))
def test_runs_have_the_jaccard_index_of_sets_of_three_words(texts: list[str]) -> None:
    one, other = map(runs_of_words, texts)
    slow_one, slow_other = map(slow_runs, texts)
    assert (len(one & other), len(one | other)) == (len(slow_one & slow_other), len(slow_one | slow_other))


@pytest.mark.parametrize("count", [1, 2047, 2048, 2049, 5000])
def test_sketches_do_not_depend_on_how_the_stream_is_cut(count: int) -> None:
    texts = [f"passage number {at % 100} is {'very ' * (at % 5)}short" for at in range(count)]
    sketches = Sketches()
    for text in texts:
        sketches.add(text)
    digests, bands = sketches.finish()
    assert digests.shape == (count,) and bands.shape == (count, BANDS)
    alone = Sketches()
    alone.add(texts[-1])
    assert (alone.finish()[1][0] == bands[-1]).all() and digests[-1] == digests[(count - 1) % 500]


def changed(text: str, at: int) -> str:
    words = text.split()
    return " ".join([*words[:at], "other", *words[at + 1 :]])


def test_near_duplicates_are_those_of_a_comparison_of_all_pairs() -> None:
    """Sixty texts of 60 words: of each, a copy with one word changed at the end, in the middle (55 of 61 runs), or with
    six words changed far apart, which shares too little."""
    draw = random.Random(5)
    vocabulary = [f"w{at}" for at in range(400)]
    texts = []
    for kind in range(60):
        text = " ".join(draw.choices(vocabulary, k=60))
        texts.append(text)
        if kind % 3 == 0:
            texts.append(changed(text, 59))
        elif kind % 3 == 1:
            texts.append(changed(text, 30))
        else:
            for at in range(5, 60, 10):
                text = changed(text, at)
            texts.append(text)
    texts += [texts[0], texts[0], ""]
    sketches = Sketches()
    for text in texts:
        sketches.add(text)
    found = candidates(*sketches.finish())
    ids = {at: f"p{at}" for at in range(len(texts))}
    duplicates = confirmed(found, dict(enumerate(texts)), ids)
    assert duplicates.exact == [("p0", "p120"), ("p0", "p121")] and duplicates.whole
    expected = set()
    for one, other in itertools.combinations(range(120), 2):
        first, second = slow_runs(texts[one]), slow_runs(texts[other])
        if len(first & second) / len(first | second) >= NEAR:
            expected.add((f"p{one}", f"p{other}"))
    assert len(expected) == 40
    assert {(one, other) for one, other, _ in duplicates.near} == expected
    assert all(NEAR <= share < 1 for *_, share in duplicates.near)


def test_nothing_is_a_duplicate_in_an_empty_corpus() -> None:
    found = candidates(*Sketches().finish())
    assert confirmed(found, {}, {}).exact == [] and found.pairs.shape == (0, 2) and found.pairs.dtype == np.int64
