"""Names of the World: words of three or four syllables that end in a or o."""

from __future__ import annotations

import numpy as np

from ..retrieval_index.errors import BerrypickError
from . import world_text

__all__ = ["make_names"]


def make_names(count: int, seed: int) -> list[str]:
    """Distinct names: of three syllables while these are plentiful, else of four."""
    first, last = len(world_text.SYLLABLES), len(world_text.FINAL_SYLLABLES)
    leading = 2 if count * 20 < first**2 * last else 3
    if count * 4 > first**leading * last:
        raise BerrypickError(f"World: {count} names are more than there are; ask fewer questions")
    generator = np.random.default_rng((seed, 0))
    codes: dict[int, None] = {}
    while len(codes) < count:
        codes.update(dict.fromkeys(generator.integers(first**leading * last, size=count).tolist()))
    return [_name(code, leading) for code in list(codes)[:count]]


def _name(code: int, leading: int) -> str:
    code, at = divmod(code, len(world_text.FINAL_SYLLABLES))
    parts = [world_text.FINAL_SYLLABLES[at]]
    for _ in range(leading):
        code, at = divmod(code, len(world_text.SYLLABLES))
        parts.append(world_text.SYLLABLES[at])
    return "".join(reversed(parts))
