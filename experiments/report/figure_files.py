"""Figures as files: the same two formats everywhere, and equal files for equal figures."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["can_draw", "save_figure"]

logger = logging.getLogger(__name__)


def can_draw() -> bool:
    """Whether matplotlib is installed; logs a warning with the cure if it is not."""
    if find_spec("matplotlib") is not None:
        return True
    logger.warning('no figures: install the "plots" extra: pip install "berrypick[plots]"')
    return False


def save_figure(figure: Any, folder: Path, name: str) -> list[Path]:
    """Writes a matplotlib figure as NAME.svg and NAME.png; the folder is created if it does not exist."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    out = []
    # no date and a fixed salt, so that equal figures give equal files
    with mpl.rc_context({"svg.hashsalt": "berrypick"}):
        for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
            out.append(folder / f"{name}.{suffix}")
            figure.savefig(out[-1], dpi=90, metadata=metadata)
    return out
