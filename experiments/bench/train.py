"""`berrypick bench train`: a GRPO step, decoding and generation compared with bare computations, in one run."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from ...policies.open_policy import open_policy, require_training
from ...retrieval_index.bounds import at_least, flags_at_least
from ...retrieval_index.errors import BerrypickError
from ..runs.environment import environment_facts
from ..runs.run_folder import write_json

__all__ = ["BenchTrain"]


@dataclass(frozen=True)
class BenchTrain:
    """Compare the training engine with bare forwards, `model.generate` and TRL; medians of one run."""

    out: Path = Path("runs/bench-train")
    """receives bench.json"""
    policy: str = "tiny"
    """policy with weights: a run folder, weights, or tiny; fresh tiny weights write random turns"""
    env: str = "berrypick/World-v0"
    """environment id"""
    questions: int = 16
    """questions per step"""
    group_size: int = 8
    """rollouts per question"""
    max_new_tokens: int = 32
    """longest turn, in tokens"""
    batch_sizes: tuple[int, ...] = (32, 64, 128, 256)
    """batch sizes of the decoding measure; the best of each side is reported"""
    rounds: int = 5
    """repetitions of each measurement; the median is reported"""
    trl: bool = False
    """also time a step of TRL's GRPOTrainer (needs trl); with --formats on HotpotQA"""
    formats: str = ""
    """folder of HotpotQA: instead compare number formats on it, SFT and rollouts of --policy, e.g. smollm2"""
    dtypes: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    """number formats that --formats compares; a processor without products in bfloat16 emulates them, slowly"""
    json: bool = False
    """print JSON instead of a table"""

    def run(self) -> int:
        """Measures, prints the table and writes bench.json."""
        require_training("berrypick bench train")
        flags_at_least(1, self, "questions", "max_new_tokens", "rounds")
        at_least(1, {"--batch-sizes": min(self.batch_sizes, default=0)})
        flags_at_least(2, self, "group_size")
        from ...envs.tasks.registry import make_task
        from ...policies.language.model import LanguageModelPolicy
        from .train_formats import measure_formats
        from .train_ratios import TrainMeasures, measure

        policy = open_policy(self.policy)
        if not isinstance(policy, LanguageModelPolicy):
            raise BerrypickError(f"policy {self.policy} has no weights to train; use tiny, smollm2 or a run folder")
        if self.formats:
            if not self.dtypes:
                raise BerrypickError("--dtypes needs at least one number format")
            found = measure_formats(self.policy, self.formats, self.rounds, dtypes=self.dtypes, trl=self.trl)
            return self._show({"formats": found})
        task = make_task(self.env)
        measures = TrainMeasures(
            policy=self.policy,
            env=self.env,
            questions=self.questions,
            group_size=self.group_size,
            max_new_tokens=self.max_new_tokens,
            batch_sizes=self.batch_sizes,
            rounds=self.rounds,
            trl=self.trl,
        )
        return self._show({"train": measure(policy, task, measures)})

    def _show(self, measured: dict[str, dict[str, float]]) -> int:
        result: dict[str, Any] = {"environment": environment_facts(), "command": " ".join(sys.argv[1:]), **measured}
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self.out / "bench.json", result)
        if self.json:
            sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
        else:
            for numbers in measured.values():
                _print(numbers)
        return 0


def _print(measured: dict[str, float]) -> None:
    table = Table(title="training engine")
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in measured.items():
        table.add_row(name, f"{value:,.3f}")
    Console().print(table)
