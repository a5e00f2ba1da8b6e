"""Accuracy, breadth and entropy on real corpora, against retrieval controls."""

from __future__ import annotations

from .experiment import EXPERIMENT

__all__ = ["EXPERIMENT"]
