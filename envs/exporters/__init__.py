"""Rollouts in the formats of other tools: logs of Inspect, and runs and judgements of TREC."""

from __future__ import annotations

from .inspect_log import log_lines, record_of_sample
from .trec import qrels_lines, run_lines

__all__ = ["log_lines", "qrels_lines", "record_of_sample", "run_lines"]
