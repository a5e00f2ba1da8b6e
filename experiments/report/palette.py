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
    # far from those above for colour-blind readers too; all names below are only as far apart as there is room
    "pass_mix": "#a03c78",
    "entropy": "#82783c",
    "batch": "#a078f0",
    "rloo": "#6c14f0",
    "grpo_shuffled": "#4d4d4d",
    "max_at_k": "#822ac4",
    "gdpo": "#ae1414",
    "correct_only": "#ae1498",
    "unsolved_only": "#82ae56",
    "darling_additive": "#565640",
    "darling_oracle": "#146cf0",
    "darling_power": "#2a4a8c",
    "darling_random": "#f014c4",
    "lexical": "#c42a56",
    "vpo": "#c414f0",
    "multi_rlvr": "#409814",
    "ucb": "#2a826c",
    "ucb_mean": "#f06cc4",
    "ucb_con": "#56ae6c",
    "batch_shuffled": "#6c40ae",
    "adaptive_entropy": "#9882da",
    "kl": "#6c5614",
    "kl_k1": "#da8240",
    "kl_cov": "#826c98",
    "clip_cov": "#565698",
    "clip_higher": "#ae8256",
}
"""Every objective, DARLING with a power as grids name it, and the policies before RL; all others share the rest."""


def arm_colours(names: Iterable[str]) -> dict[str, str]:
    """Chooses a colour for each arm, as "#rrggbb".

    Args:
        names: the arms, in the order of the report. An arm named after an objective, such as "Dr. GRPO",
            "dr_grpo-seed1" or "darling:floor=0.2", always has that objective's colour. The others take the unused
            colours in order.
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
    """The objective that the arm is named after; "" if there is none.

    Its name may be followed by arguments, as in "darling:floor=0.2" and the folders of a sweep, by a strength, by a
    seed and by a split.
    """
    words = re.sub(r"[:-]\w+=[^-]*", "", name.lower())  # arguments
    words = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    found = re.fullmatch(r"(.+?)(_\d+)*(_seed_?\d+)?(_test|_eval)?", words)
    return found[1] if found else ""
