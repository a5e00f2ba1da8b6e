"""`berrypick demo`."""

from __future__ import annotations

from ...retrieval_index.bounds import flags_at_least
from ..demo.demo import DemoConfig, run_demo
from ..demo.seeds import run_demo_seeds
from .flags import Demo

__all__ = ["run_demo_command"]


def run_demo_command(flags: Demo) -> int:
    """Runs the demo with one seed, or runs it with several and pools them."""
    flags_at_least(1, flags, "steps", "sft_steps", "questions", "samples", "seeds")
    config = DemoConfig(flags.seed, flags.steps, flags.sft_steps, flags.questions, flags.samples, flags.index)
    if flags.seeds > 1:
        run_demo_seeds(config, flags.seeds, flags.out, resume=flags.resume, page=not flags.no_html)
    else:
        run_demo(config, flags.out, resume=flags.resume, page=not flags.no_html)
    return 0
