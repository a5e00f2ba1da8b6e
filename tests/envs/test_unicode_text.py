"""The text space."""

from __future__ import annotations

import numpy as np
import pytest
from berrypick.envs.unicode_text import UnicodeText
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_contains_exactly_what_utf8_can_hold(text):
    encodable = not any("\ud800" <= char <= "\udfff" for char in text)
    assert UnicodeText().contains(text) is encodable
    assert not UnicodeText().contains(text + "\ud800")


def test_every_plane_is_text_and_other_types_are_not():
    space = UnicodeText(5)
    assert all(space.contains(chr(plane << 16 | 0x41)) for plane in range(17))
    assert not space.contains("123456")
    assert not any(space.contains(value) for value in (1, None, b"a", ["a"]))


def test_same_seed_gives_the_same_samples_that_the_space_contains():
    first, second = UnicodeText(seed=3), UnicodeText(seed=3)
    samples = [first.sample() for _ in range(20)]
    assert samples == [second.sample() for _ in range(20)]
    assert len(set(samples)) > 10 and all(first.contains(sample) for sample in samples)
    assert UnicodeText(2).contains(UnicodeText(2, seed=0).sample())


def test_batches_are_tuples_and_iterate_by_string():
    space = UnicodeText(seed=1)
    batched = batch_space(space, 3)
    actions = ("one two", "", "três")
    assert batched.contains(actions)
    assert list(iterate(batched, actions)) == list(actions)
    assert concatenate(space, actions, create_empty_array(space, 3)) == actions
    assert create_empty_array(space, 2) == ("", "")
    assert len(batched.sample()) == 3


def test_equality_json_and_misuse():
    assert UnicodeText(4) == UnicodeText(4) != UnicodeText(5)
    assert len({UnicodeText(4), UnicodeText(4)}) == 1
    space = UnicodeText()
    assert space.from_jsonable(space.to_jsonable(["é", ""])) == ["é", ""]
    assert not space.is_np_flattenable
    with pytest.raises(ValueError, match="max_length"):
        UnicodeText(0)
    with pytest.raises(ValueError, match="no mask"):
        space.sample(mask=np.ones(1))
