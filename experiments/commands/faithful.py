"""`berrypick faithful`: what a faithful run of a published system needs."""

from __future__ import annotations

import sys

from ..faithful_runs.page import faithful_list, faithful_text
from .run_flags import FaithfulRun

__all__ = ["run_faithful"]


def run_faithful(flags: FaithfulRun) -> int:
    """Prints one row, or all of them in a line each."""
    sys.stdout.write(faithful_text(flags.name) if flags.name else faithful_list())
    return 0
