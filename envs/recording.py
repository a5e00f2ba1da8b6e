"""An ended episode to its record."""

from __future__ import annotations

from .answers import exact_match, f1, normalize, sub_exact_match
