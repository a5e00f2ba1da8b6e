"""The bridge demonstrator for real corpora: queries that can be read, answers that were shown."""

from __future__ import annotations

from .policy import REASONS, WAYS, BridgePolicy, bridge_policy

__all__ = ["REASONS", "WAYS", "BridgePolicy", "bridge_policy"]
