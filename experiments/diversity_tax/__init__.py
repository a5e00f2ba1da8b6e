"""What training for diversity costs in single-shot pass@1, when, and why."""

from __future__ import annotations

from .experiment import EXPERIMENT

__all__ = ["EXPERIMENT"]
