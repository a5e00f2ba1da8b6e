"""One colour for each policy, the same on screens, pages and figures; colour-blind readers can tell them apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["OKABE_ITO", "arm_colours"]

OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#f0e442")
"""The colours of Okabe and Ito without black, which is invisible on dark screens."""

_BLUE, _VERMILLION, _GREEN, _ORANGE, _PURPLE, _SKY, _YELLOW = OKABE_ITO

_FIXED = {
    "untrained": "#8c8c8c",
    "sft": _GREEN,
    "grpo": _VERMILLION,
    "dr_grpo": _ORANGE,
    "darling": _BLUE,
    "pass_at_k": _PURPLE,
    "maxrl": _SKY,
}
"""Objectives, and the policies before RL. All other names share what these leave over."""


def arm_colours(names: Iterable[str]) -> dict[str, str]:
    """Chooses a colour for each arm, as "#rrggbb".

    Args:
        names: the arms, in the order of the report. An arm named after an objective, such as "Dr. GRPO" or
            "dr_grpo-seed1", always has that objective's colour. The others take the unused colours in order.
    """
    chosen = {name: _FIXED.get(_objective(name)) for name in names}
    spare = [colour for colour in OKABE_ITO if colour not in chosen.values()] or list(OKABE_ITO)
    out, taken = {}, 0
    for name, colour in chosen.items():
        if colour is None:
            colour = spare[taken % len(spare)]
            taken += 1
        out[name] = colour
    return out


def _objective(name: str) -> str:
    """The objective that the arm is named after, with or without a seed or a split; "" if there is none."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    found = re.fullmatch(r"(.+?)(_(seed_?)?\d+)?(_test|_eval)?", words)
    return found[1] if found else ""
