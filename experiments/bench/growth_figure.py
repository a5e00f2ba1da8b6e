"""Figure: build time, disk space and query rate of every back end against the size of the corpus."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["growth_figure"]

_PANELS = (("build_s", "build (s)"), ("disk_mib", "disk (MiB)"), ("qps_1", "queries/s, one by one"))


def growth_figure(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws the figure, or prints how to install matplotlib if it is missing."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        sys.stderr.write('no figure: matplotlib is not installed; pip install "berrypick[plots]"\n')
        return
    with matplotlib.rc_context({"svg.hashsalt": "growth"}):  # equal rows give an equal file
        figure = Figure(figsize=(9, 3))
        for number, (name, label) in enumerate(_PANELS, 1):
            axes = figure.add_subplot(1, len(_PANELS), number)
            for backend in dict.fromkeys(row["backend"] for row in rows):
                points = sorted((row for row in rows if row["backend"] == backend), key=lambda row: row["passages"])
                axes.loglog(
                    [row["passages"] for row in points], [row[name] for row in points], marker="o", label=backend
                )
            axes.set_xlabel("passages")
            axes.set_title(label, fontsize=9)
            axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
