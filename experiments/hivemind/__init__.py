"""Artificial Hivemind: similarity within and between policies, and what they owe to a shared start."""

from __future__ import annotations

from .claims import CONTRASTS
from .experiment import EXPERIMENT

__all__ = ["CONTRASTS", "EXPERIMENT"]
