"""Philox against its published vectors and a plain implementation; uniforms; row seeds."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.policies.counter_random import philox4x32, row_seed, uniforms
from hypothesis import given, settings
from hypothesis import strategies as st

# Random123, kat_vectors: philox4x32 with 10 rounds: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def plain_philox(counter: list[int], key: list[int]) -> list[int]:
    """One block in Python integers, after the paper's figure."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for number in range(10):
        if number:
            k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
    return [c0, c1, c2, c3]


def test_philox_gives_the_published_vectors() -> None:
    counters = np.array([words(counter) for counter, _, _ in KNOWN], np.uint64)
    keys = np.array([words(key) for _, key, _ in KNOWN], np.uint64)
    assert philox4x32(counters, keys).tolist() == [words(result) for _, _, result in KNOWN]


WORD = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[WORD] * 6), min_size=1, max_size=4))
def test_philox_equals_a_plain_implementation(rows: list[tuple[int, ...]]) -> None:
    blocks = np.array(rows, np.uint64)
    expected = [plain_philox(list(row[:4]), list(row[4:])) for row in rows]
    assert philox4x32(blocks[:, :4], blocks[:, 4:]).tolist() == expected


def test_uniform_takes_its_53_bits_from_the_first_two_words() -> None:
    seed, step = 0x0123456789ABCDEF, 2**33 + 7
    first, second, *_ = plain_philox([step % 2**32, step >> 32, 0, 0], [seed % 2**32, seed >> 32])
    expected = ((first >> 5) * 2**26 + (second >> 6)) / 2**53
    assert uniforms(np.array([seed], np.uint64), np.array([step]))[0] == expected


def test_uniforms_do_not_depend_on_their_batch() -> None:
    seeds = np.arange(50, dtype=np.uint64)
    steps = np.arange(50)[::-1]
    together = uniforms(seeds, steps)
    alone = [uniforms(seeds[i : i + 1], steps[i : i + 1])[0] for i in range(50)]
    assert together.tolist() == alone


def test_uniforms_are_uniform_and_uncorrelated_along_a_row() -> None:
    draws = uniforms(np.full(20_000, 9, np.uint64), np.arange(20_000))
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi-square, 19 degrees of freedom, p = .001
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.03
    assert draws.min() >= 0 and draws.max() < 1


@pytest.mark.parametrize("other", [(1, "q1", 2), (0, "q2", 2), (0, "q1", 3), (0, "q1|2", 2)])
def test_row_seed_depends_on_each_of_its_parts(other: tuple[int, str, int]) -> None:
    assert row_seed(0, "q1", 2) != row_seed(*other)


def test_row_seed_is_fixed_for_all_time_and_fits_64_bits() -> None:
    assert row_seed(0, "q1", 2) == 0x5F1DCEAD340C1514
    assert all(0 <= row_seed(0, f"q{i}", 0) < 2**64 for i in range(100))
