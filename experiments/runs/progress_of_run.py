"""How far the training run of a folder has come."""

from __future__ import annotations

from pathlib import Path

from ...retrieval_index.plain_text import counted
from .run_folder import object_of_run

__all__ = ["trained_by", "unfinished"]


def trained_by(evaluation: Path) -> str:
    """How the policy of an evaluation was trained, such as "darling, 40 steps of RL"; "" if its run is not found.

    Args:
        evaluation: the folder of `berrypick eval`, which names the folder of the training run.

    Raises:
        BerrypickError: a config.json is damaged.
    """
    policy = object_of_run(evaluation / "config.json").get("policy")
    rl = object_of_run(Path(policy) / "config.json").get("rl") if isinstance(policy, str) else None
    if not isinstance(rl, dict) or not _steps(rl):
        return ""
    return f"{rl.get('objective')}, {counted(_steps(rl), 'step')} of RL"


def unfinished(folder: Path) -> str:
    """The steps that an unfinished run has made, such as "6 of 40 RL steps"; "" for a finished one or another folder.

    Raises:
        BerrypickError: its config.json is damaged.
    """
    if not (folder / "checkpoints").is_dir():
        return ""
    from ...policies.training.checkpoint import latest_checkpoint  # needs torch, as the policy of such a folder does

    found = latest_checkpoint(folder / "checkpoints")
    if found is None:
        return ""
    config = object_of_run(folder / "config.json")
    phase, _, number = found.name.partition("-")
    wanted = {name: _steps(config.get(name)) for name in ("sft", "rl")}
    if not number.isdigit() or phase not in wanted:
        return ""
    if phase == "sft" and wanted["rl"]:
        return f"{int(number)} of {wanted['sft']} SFT steps and 0 of {wanted['rl']} RL steps"
    return f"{int(number)} of {wanted[phase]} {phase.upper()} steps" if int(number) < wanted[phase] else ""


def _steps(part: object) -> int:
    steps = part.get("steps") if isinstance(part, dict) else 0
    return steps if isinstance(steps, int) else 0
