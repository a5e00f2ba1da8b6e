"""Flags of `berrypick eval`; the evaluation itself is `eval_command.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .env_arguments import EnvArgs

__all__ = ["Eval"]


@dataclass(frozen=True)
class Eval:
    """Rollouts of a policy on a split, their record and their measures."""

    env: str
    """environment id"""
    policy: str
    """scripted policy, tiny, smollm2, run folder, folder of weights, hub id (each also behind vllm:), URL#MODEL"""
    out: Path
    """run folder; receives rollouts.jsonl and report.json"""
    env_arg: EnvArgs = ()
    """arguments of the environment"""
    split: str = "test"
    """questions"""
    samples: int = 8
    """rollouts a question"""
    questions: int | None = None
    """first questions of the split; all by default"""
    temperature: float = 1.0
    """0 is greedy"""
    top_p: float = 1.0
    """nucleus mass"""
    max_new_tokens: int | None = None
    """most tokens of one turn; 32, or the preset's"""
    preset: str = ""
    """search-r1: prompt, tags, top-k, turns and observation cap as published"""
    control: str = ""
    """in the place of retrieval: empty, random, oracle (the question's evidence) or closed_book"""
    max_rows: int = 512
    """most episodes played at a time"""
    device: str = "auto"
    """of weights: auto (the GPU, if any), cpu, cuda, cuda:1, ..."""
    seed: int = 0
    """of the rollouts"""
    resume: bool = False
    """go on with an evaluation that was interrupted"""
    json: bool = False
    """one JSON document on standard output"""

    def run(self) -> int:
        """Evaluates."""
        from .eval import run_eval

        return run_eval(self)
