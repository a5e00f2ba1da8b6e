"""Markup and repetition of turns."""

from __future__ import annotations

import random
import zlib

import pytest
from berrypick.envs.metrics.turn_text import is_degenerate, markup


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["<think> a </think> <search> b </search>", "<search> c </search>"], "think+search"),
        (["<search> b </search>", "<answer> d </answer>"], "search+answer"),
        (['<tool_call>{"name": "search"}</tool_call>'], "tool_call"),
        (["<|im_start|>", "[TOOL_CALLS] x [/TOOL_CALLS]"], "im_start+tool_calls"),
        (["no tags, 1 < 2 and 3 > 2, [1]"], "text"),
        ([], "text"),
    ],
)
def test_markup(texts: list[str], name: str) -> None:
    assert markup(texts) == name


ENGLISH = (
    "The founder of the company was born in the north of the country, and her first work was printed two years before "
    "the war began. To find the year I need the passage about the printer, because the passage that I was shown names "
    "the town and not the date. I will search for the printer of the first edition and then for the year. "
)


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("<search> who was the founder of the company </search>", False),
        (ENGLISH, False),
        ("find it find it find it", True),  # a phrase of two words, three times at the end
        ("find it find it", False),
        ("no no no", False),  # one word is no phrase
        ("go there find it find it", False),  # twice
        ("find it find go find it", False),  # three times, but not in a row
        ("go on go on go on and stop", False),  # not at the end
        ("<search> ledger of ledger of ledger of </search>", True),  # tags are no words
        ("a" * 200, True),  # no words to repeat, but 200 letters compress to a few bytes
        (ENGLISH * 12, True),
        ("", False),
    ],
)
def test_degenerate_text(text: str, bad: bool) -> None:
    assert is_degenerate(text) is bad


def test_a_loop_at_the_end_of_a_long_turn_is_seen_and_length_alone_is_none() -> None:
    rng = random.Random(0)
    words = ["".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randint(2, 9))) for _ in range(3000)]
    text = " ".join(rng.choice(words) for _ in range(9000))
    assert not is_degenerate(text)
    assert is_degenerate(text + " and so on" * 30)


def test_tags_have_names_of_32_characters_at_most() -> None:
    name, short = "a" * 32, "A" * 2
    assert markup([f"<{name}> x", "<|a-b|>", f"[{short}]", "[ABC]", f"[{'A' * 32}]"]) == f"{name}+a-b+abc"
    assert markup([f"<{name}a> x", f"[{'A' * 33}]"]) == "text"


def test_a_loop_of_twenty_words_and_no_longer() -> None:
    rng = random.Random(1)

    def phrase(size: int) -> str:
        return " ".join("".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(3)) for _ in range(size)) + " "

    before = phrase(100)
    assert is_degenerate(before + 3 * phrase(20))
    assert not is_degenerate(before + 3 * phrase(21))


NOISE = "".join(random.Random(2).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=1000))


def deflated(text: str) -> int:
    """Bytes of a text that zlib has compressed, looking back 1 KiB."""
    deflate = zlib.compressobj(wbits=-10, memLevel=4)
    return 6 + len(deflate.compress(text.encode()) + deflate.flush())  # head and checksum of the zlib format


def is_repetitive(text: str) -> bool:
    return 5 * len(text.encode()) > 12 * deflated(text)


def test_the_limit_of_compression_is_not_repetitive_itself() -> None:
    texts = [NOISE[:head] + "~" * tail for head in range(1, 30) for tail in range(20, 80)]
    at = next(text for text in texts if 5 * len(text) == 12 * deflated(text))
    assert not is_degenerate(at) and is_degenerate(f"{at}~")
    first = next(length for length in range(1, 99) if is_repetitive("a" * length))
    assert not is_degenerate("a" * (first - 1)) and is_degenerate("a" * first)


def test_the_tail_is_a_thousand_characters() -> None:
    assert is_degenerate("b" * 3000 + NOISE[:100]) and not is_degenerate("b" * 3000 + NOISE)
    tails = [letter * (1000 - end) + NOISE[:end] for letter in "éb" for end in range(300, 1000)]
    shorter = next(tail for tail in tails if is_repetitive(tail) and not is_repetitive(tail[1:]))
    longer = next(tail for tail in tails if is_repetitive(tail[0] + tail) and not is_repetitive(tail))
    assert is_degenerate(shorter) and is_degenerate("x" + shorter)
    assert not is_degenerate(longer) and not is_degenerate(3 * longer[0] + longer)


def test_what_repeats_within_a_kibibyte_is_seen_and_no_more() -> None:
    digits = "".join(random.Random(4).choices("0123456789", k=1000))
    assert is_degenerate(digits[:600] + digits[:400]) and not is_degenerate(digits)
    ideographs = "".join(chr(0x4E00 + code) for code in random.Random(3).choices(range(20_000), k=500))
    assert not is_degenerate(2 * ideographs), "1,500 bytes apart"
