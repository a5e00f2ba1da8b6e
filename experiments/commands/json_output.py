"""What `--json` prints."""

from __future__ import annotations

import json
import sys

__all__ = ["print_json"]


def print_json(value: object) -> None:
    """Prints one JSON document with sorted keys to standard output."""
    sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
