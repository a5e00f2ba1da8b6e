"""bench.json, which is filled part by part: a run replaces the rows it measured again and leaves the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import BerrypickError
from ..runs.environment import environment_facts
from ..runs.run_folder import stored_json, write_json

__all__ = ["KEYS", "markdown", "read_parts", "rows_measured_here", "show_value", "write_rows"]

KEYS = ("backend", "passages", "way", "server", "vectors")  # columns that identify a row


def read_parts(path: Path) -> dict[str, Any]:
    """part -> {"commands", "environment", "rows"}; empty if there is no file yet."""
    if not path.is_file():
        return {}
    try:
        parts = stored_json(path)
        if all(isinstance(part["rows"], list) for part in parts.values()):
            return dict(parts)
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise BerrypickError(f"{path} is not a bench.json of this version; choose another --out, or remove it")


def rows_measured_here(path: Path, part: str) -> list[dict[str, Any]]:
    """The rows of a part that were measured in this environment."""
    found = read_parts(path).get(part, {})
    return list(found.get("rows", [])) if found.get("environment") == environment_facts() else []


def write_rows(path: Path, part: str, rows: Sequence[dict[str, Any]], command: str) -> None:
    """Writes rows into the file, replacing those with the same `KEYS`; numbers are rounded to four digits."""
    parts = read_parts(path)
    before = parts.get(part, {"commands": [], "rows": []})
    fresh = {_key(row): {name: _short(value) for name, value in row.items()} for row in rows}
    remains = any(_key(row) not in fresh for row in before["rows"])
    merged = [fresh.pop(_key(row), row) for row in before["rows"]] + list(fresh.values())
    merged.sort(key=lambda row: [str(row.get(name, "")).zfill(12) for name in KEYS])
    commands = [*(known for known in before["commands"] if remains and known != command), command]
    parts[part] = {"commands": commands, "environment": environment_facts(), "rows": merged}
    write_json(path, parts)


def markdown(parts: dict[str, Any], order: Sequence[str]) -> str:
    """One Markdown table per part, under the commands that made it."""
    lines: list[str] = []
    for name in order:
        if name not in parts:
            continue
        rows = parts[name]["rows"]
        columns = sorted({column for row in rows for column in row}, key=lambda column: (column not in KEYS, column))
        lines += [f"`{command}`\n" for command in parts[name]["commands"]]
        lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(show_value(row.get(column, "")) for column in columns) + " |" for row in rows]
        lines += [""]
    return "\n".join(lines)


def show_value(value: Any) -> str:
    """A value for a table: three digits, no exponent."""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in KEYS)


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
