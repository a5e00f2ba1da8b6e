"""Folders without rollouts: what they are, and what is done with them instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["experiment_report", "json_object", "next_step"]


def experiment_report(folder: Path) -> dict[str, Any] | None:
    """The report that `berrypick run` left in a folder, with its "text"; None for any other path."""
    report = json_object(folder / "report.json")
    return report if isinstance(report.get("experiment"), str) and isinstance(report.get("text"), str) else None


def next_step(folder: Path) -> str:
    """What is said of a folder that holds no rollouts.jsonl; ends with what works."""
    config = json_object(folder / "config.json")
    if experiment_report(folder) is not None:
        return f"{folder} is an experiment's and has a report of its own; show it alone: berrypick report {folder}"
    if config.get("command") == "run":
        command = f"berrypick run {config.get('experiment', 'NAME')} --out {folder}"
        return f"{folder} is an experiment's and has no report yet; go on with it: {command}"
    if config.get("command") == "eval":
        return f"{folder} is an evaluation that was interrupted; go on with it: its command, and --resume"
    if (folder / "checkpoints").is_dir() or "rl" in config:
        command = f"berrypick eval --policy {folder} --env {config.get('env', 'ID')} --out NEW"
        return f"{folder} holds weights and no rollouts; play them: {command}; then: berrypick report NEW"
    return f"{folder} holds no rollouts.jsonl; give a folder of berrypick eval, or a rollouts file"


def json_object(path: Path) -> dict[str, Any]:
    """A JSON object in a file; {} where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
