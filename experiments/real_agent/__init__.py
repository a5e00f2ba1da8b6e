"""SFT against RL with a pretrained model of 135 M parameters on real corpora."""

from __future__ import annotations

from .experiment import EXPERIMENT

__all__ = ["EXPERIMENT"]
