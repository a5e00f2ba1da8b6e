"""A Gymnasium space of any Unicode text.

`gymnasium.spaces.Text` needs a list of all allowed characters, which for Unicode would have over a million entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import create_empty_array

__all__ = ["UnicodeText"]

_SAMPLE_ALPHABET = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,?!<>/[]éßñøжщλΩ中文日本語한국어"


class UnicodeText(gym.Space[str]):
    """All strings of at most `max_length` code points without lone surrogates.

    Samples are short strings in several scripts. They test a space and are not sensible turns. Gymnasium batches this
    space as it batches any custom space: a `Tuple` of n spaces, whose elements are tuples of n strings.
    """

    def __init__(self, max_length: int = 1_000_000, *, seed: int | np.random.Generator | None = None) -> None:
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {max_length}")
        self.max_length = max_length
        super().__init__(None, str, seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: a text has no array form of fixed size."""
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """A random string of 0 to 32 characters; masks are refused."""
        if mask is not None or probability is not None:
            raise ValueError("UnicodeText takes no mask and no probability; call sample() without them")
        length = int(self.np_random.integers(0, min(32, self.max_length) + 1))
        picks = self.np_random.integers(0, len(_SAMPLE_ALPHABET), size=length)
        return "".join(_SAMPLE_ALPHABET[i] for i in picks)

    def contains(self, x: Any) -> bool:
        """Whether x is a string within the length limit that UTF-8 can encode."""
        if not isinstance(x, str) or len(x) > self.max_length:
            return False
        try:
            x.encode()  # a lone surrogate is a legal str, but indexes, files and JSON cannot hold it
        except UnicodeEncodeError:
            return False
        return True

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        """Strings are their own JSON form."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[str]) -> list[str]:
        """Strings are their own JSON form."""
        return list(sample_n)

    def __repr__(self) -> str:
        return f"UnicodeText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeText) and other.max_length == self.max_length

    def __hash__(self) -> int:
        return hash((UnicodeText, self.max_length))


# Vector environments make their first observations with `create_empty_array`, which returns None for custom spaces.
@create_empty_array.register(UnicodeText)
def _empty(space: UnicodeText, n: int = 1, fn: Any = None) -> tuple[str, ...]:
    return ("",) * n
