"""The price law: over random Worlds, is what diversity costs in pass@1 set by the task alone?"""

from __future__ import annotations

from .experiment import EXPERIMENT

__all__ = ["EXPERIMENT"]
