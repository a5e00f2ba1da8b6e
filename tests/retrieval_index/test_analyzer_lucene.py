"""Our analyzer against Lucene's own, on real passages and on random Unicode."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from berrypick.retrieval_index.analyzer import terms
from berrypick.retrieval_index.corpus import read_corpus
from berrypick.retrieval_index.java import start_jvm

pytestmark = pytest.mark.lucene
# Emoji are terms for Lucene and none here; a Hebrew abbreviation keeps its double quote there.
LEFT_OUT = frozenset(["So", "Sk", "Sm", "Cn", "Co", "Cs"])


@pytest.fixture(scope="module")
def lucene() -> Callable[[str], list[str]]:
    start_jvm()
    from pyserini.analysis import Analyzer, get_lucene_analyzer

    analyze: Callable[[str], list[str]] = Analyzer(get_lucene_analyzer()).analyze
    return analyze


def without_symbols(text: str) -> str:
    return "".join(" " if unicodedata.category(char) in LEFT_OUT or char in '"‼⁉ℹ' else char for char in text)


@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa", "musique", "bamboogle"])
def test_real_passages_have_the_same_terms(name: str, shared_data: Path, lucene: Callable[[str], list[str]]) -> None:
    passages = read_corpus(shared_data / name / "corpus.jsonl.gz").passages[::6]
    assert len(passages) > 1000
    for passage in passages:
        text = without_symbols(passage.contents)
        assert terms(text) == lucene(text), passage.id


def test_words_built_from_english_suffixes_have_the_same_stems(lucene: Callable[[str], list[str]]) -> None:
    draw = random.Random(0)
    suffixes = (
        "s es ies ed ing eed y ly bly bli logy logi logist ational ational ization iveness fulness ousness alism "
    )
    suffixes += (
        "ability ible able ement ment ent ion tion sion er or al ance ence ic ical icate ate iti ous ive ize e ll"
    )
    for _ in range(4000):
        word = "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(draw.randint(0, 5)))
        word += draw.choice(suffixes.split()) + draw.choice(["", "", draw.choice(suffixes.split())])
        assert terms(word) == lucene(word), word


def test_random_text_of_the_common_scripts_has_the_same_terms(lucene: Callable[[str], list[str]]) -> None:
    draw = random.Random(1)
    ranges = [(0x20, 0x7E), (0xA1, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x3041, 0x30FF), (0x4E00, 0x4FFF)]
    ranges += [(0xAC00, 0xACFF), (0x900, 0x97F), (0x300, 0x330), (0x2010, 0x2027)]
    for _ in range(3000):
        chars = []
        for _ in range(draw.randint(1, 12)):
            low, high = draw.choice(ranges)
            chars.append(chr(draw.randint(low, high)))
        text = without_symbols("".join(chars) + draw.choice(["", " word", "'s", ".5", "_x"]))
        assert terms(text) == lucene(text), ascii(text)
