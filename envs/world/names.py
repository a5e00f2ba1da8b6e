"""Names of the World: words of three or four syllables that end in a or o."""

from __future__ import annotations

import numpy as np

from ...retrieval_index.errors import BerrypickError
from . import closed_voice

__all__ = ["make_names"]


def make_names(count: int, seed: int) -> list[str]:
    """Distinct names: of three syllables while these are plentiful, else of four."""
    first, last = len(closed_voice.SYLLABLES), len(closed_voice.FINAL_SYLLABLES)
    leading = 2 if count * 20 < first**2 * last else 3
    if count * 4 > first**leading * last:
        raise BerrypickError(f"World: {count} names are more than there are; ask fewer questions")
    generator = np.random.default_rng((seed, 0))
    codes: dict[int, None] = {}
    while len(codes) < count:
        codes.update(dict.fromkeys(generator.integers(first**leading * last, size=count).tolist()))
    return [_name(code, leading) for code in list(codes)[:count]]


def _name(code: int, leading: int) -> str:
    code, at = divmod(code, len(closed_voice.FINAL_SYLLABLES))
    parts = [closed_voice.FINAL_SYLLABLES[at]]
    for _ in range(leading):
        code, at = divmod(code, len(closed_voice.SYLLABLES))
        parts.append(closed_voice.SYLLABLES[at])
    return "".join(reversed(parts))
