"""Terms as Lucene's English analyzer makes them: hand-made cases (the real one is asked in test_analyzer_lucene)."""

from __future__ import annotations

import pytest
from berrypick.retrieval_index.analyzer import STOP_WORDS, terms

CASES = {
    "The Founder of kizunba": ["founder", "kizunba"],
    "Berries berry BERRIES": ["berri", "berri", "berri"],
    "U.S.A. 3.14 1,000 don't O'Neil's dog’s": ["u.s.a", "3.14", "1,000", "don't", "o'neil", "dog"],
    "technology technologies possibly mythologie": ["technolog", "technolog", "possibl", "mythologi"],
    "naïve café ÉCOLE İstanbul ΣΊΣΥΦΟΣ": ["naïv", "café", "école", "istanbul", "σίσυφοσ"],
    "東京 ひら カタカナ 한국어": ["東", "京", "ひ", "ら", "カタカナ", "한국어"],
    "ab\u0301c soft\u00adhyphen zero\u200bwidth": ["ab\u0301c", "soft\u00adhyphen", "zero", "width"],
    "km² ½ x_y __ _z 1a.b2 a..b": ["km", "x_y", "_z", "1a.b2", "b"],
    "": [],
    "the of and": [],
    "\ud800 x": ["x"],
}


@pytest.mark.parametrize("text", CASES)
def test_terms_of(text: str) -> None:
    assert terms(text) == CASES[text]


def test_long_words_are_cut_into_pieces_of_255() -> None:
    assert [len(term) for term in terms("x" * 600)] == [255, 255, 90]


def test_there_are_lucenes_33_stop_words() -> None:
    assert len(STOP_WORDS) == 33
    assert terms(" ".join(STOP_WORDS)) == []
