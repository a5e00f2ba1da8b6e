"""Flags of `berrypick demo`; the demo itself is `demo.py`, which needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...retrieval_index.bounds import flags_at_least

__all__ = ["Demo"]


@dataclass(frozen=True)
class Demo:
    """The main job on the embedded world: index, SFT, RL, measures, report."""

    out: Path = Path("runs/demo")
    """run folder"""
    seed: int = 0
    """of the whole run"""
    steps: int = 40
    """RL steps of each arm"""
    sft_steps: int = 520
    """SFT steps"""
    questions: int = 256
    """test questions"""
    samples: int = 8
    """rollouts a test question"""
    index: str = "lucene"
    """lucene (needs the lucene extra) or bm25s"""
    seeds: int = 1
    """how many seeds, one whole run each; above 1 also measures the training questions and pools the seeds"""
    resume: bool = False
    """go on with an interrupted demo"""

    def run(self) -> int:
        """Runs the demo."""
        flags_at_least(1, self, "steps", "sft_steps", "questions", "samples", "seeds")
        from ...policies.open_policy import require_training

        require_training("berrypick demo")
        from ..demo.demo import DemoConfig, run_demo

        config = DemoConfig(self.seed, self.steps, self.sft_steps, self.questions, self.samples, self.index)
        if self.seeds > 1:
            from ..demo.seeds import run_demo_seeds

            run_demo_seeds(config, self.seeds, self.out, resume=self.resume)
        else:
            run_demo(config, self.out, resume=self.resume)
        return 0
