"""Demonstrators for real corpora: one that reads names and copies answers, one that replays recorded episodes."""

from __future__ import annotations

from .bridge import WAYS, BridgePolicy, bridge_policy
from .recorded import RecordedPolicy, open_recorded

__all__ = ["WAYS", "BridgePolicy", "RecordedPolicy", "bridge_policy", "open_recorded"]
