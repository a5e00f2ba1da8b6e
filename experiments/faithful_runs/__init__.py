"""What a faithful run of each published system needs: model, corpus, commands, GPU hours."""

from __future__ import annotations

from .rows import FAITHFUL, Faithful

__all__ = ["FAITHFUL", "Faithful"]
