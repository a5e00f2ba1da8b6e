"""The commands of `berrypick`: a table of flags and functions, and one module per command.

Only `berrypick.__main__` imports this package; what other code needs lies below it.
"""

from __future__ import annotations

from .parser import parse_command

__all__ = ["parse_command"]
