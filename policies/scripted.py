"""Scripted policies by name."""

from __future__ import annotations

from ..retrieval_index.errors import UnknownNameError
from .demonstrators import BridgePolicy, RecordedPolicy, bridge_policy, open_recorded
from .kind_shares import SHARES
from .scripted_rules import ScriptedPolicy, best_orders, present_first, shares_policy, uniform_orders

__all__ = ["SCRIPTED", "ScriptedPolicy", "is_scripted", "scripted_policy"]

SCRIPTED: dict[str, ScriptedPolicy | BridgePolicy] = {
    policy.policy_id: policy
    for policy in (
        ScriptedPolicy(
            "oracle", "knows which record kinds hold each fact (World), or the supporting titles", present_first
        ),
        ScriptedPolicy("best_order", "tries kinds by falling availability: the best fixed order (World)", best_orders),
        ScriptedPolicy("random_order", "tries kinds in a uniformly random order until a hit (World)", uniform_orders),
        ScriptedPolicy("question", "searches once, for the question, answers the first title"),
        ScriptedPolicy("follow_titles", "searches for the question, then for titles it was shown, at random"),
        ScriptedPolicy("random_words", "queries random words of the question, answers a random word"),
        BridgePolicy(),
    )
}
"""Scripted policies by name."""


def is_scripted(name: str) -> bool:
    """Whether a name, with or without options, is that of a scripted policy."""
    return name in SCRIPTED or name.startswith("bridge:")


def scripted_policy(name: str) -> ScriptedPolicy | BridgePolicy | RecordedPolicy:
    """The scripted policy of a name, such as "oracle", "bridge:ways=4,thoughts=true" or "file:PATH" of rollouts.

    "shares-80-10-10" draws each next kind of a World with three kinds in these proportions.

    Raises:
        UnknownNameError: no such policy or option.
        RecordError: the file of rollouts cannot be read.
    """
    if name.startswith("file:"):
        return open_recorded(name)
    if name.startswith(SHARES):
        return shares_policy(name)
    if name.startswith("bridge:"):
        return bridge_policy(name)
    if name not in SCRIPTED:
        raise UnknownNameError("scripted policy", name, SCRIPTED)
    return SCRIPTED[name]
