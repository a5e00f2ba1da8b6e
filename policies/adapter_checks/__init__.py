"""`berrypick adapter-check`: do masks, groups and tokens of an adapter hold for a tokenizer and its chat template?"""

from __future__ import annotations

from .check import Check, Settings
from .checks import ADAPTERS, check_adapter
from .tokenizer import open_tokenizer

__all__ = ["ADAPTERS", "Check", "Settings", "check_adapter", "open_tokenizer"]
