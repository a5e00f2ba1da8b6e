"""Reads fields of rows whose shape is not known; a wrong one is a `ValueError` that names the field."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from ...retrieval_index.json_text import parse_json

__all__ = ["number", "numbers", "parsed", "text_of", "texts", "whole"]

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def text_of(content: Any) -> str:
    """The text of a message's content: a text, a list of parts, or nothing.

    Raises:
        ValueError: the content is something else.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    if isinstance(content, Mapping):
        return _part(content)
    raise ValueError(f"the content of a message is {type(content).__name__}, not a text")


def _part(part: Any) -> str:
    """The text of one part; images and other media have none."""
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        for name in ("text", "refusal", "content"):
            if isinstance(part.get(name), str):
                return str(part[name])
    return ""


def texts(value: Any) -> list[str]:
    """The accepted answers in a text, a number, a list of them, or a mapping with `target` or a like name."""
    if isinstance(value, Mapping):
        for name in ("target", "targets", "golden_answers", "answers", "answer", "ground_truth", "value"):
            if value.get(name) is not None:
                return texts(value[name])
        return []
    if value is None:
        return []
    if isinstance(value, str | int | float):
        return [str(value)] if str(value).strip() else []
    try:
        return [text for item in value for text in texts(item)]
    except TypeError:
        return []


def number(value: Any) -> float | None:
    """A number, also one in a text or a truth value; None for anything else."""
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def whole(value: Any) -> int | None:
    """A whole number; None for anything else."""
    found = number(value)
    return int(found) if found is not None and abs(found) < 2**53 and found == int(found) else None


def numbers(row: Mapping[str, Any], *leave_out: str) -> dict[str, float]:
    """The finite numbers of a row by name, as texts and lists are left out."""
    found = {}
    for name, value in row.items():
        if name not in leave_out and isinstance(value, bool | int | float) and abs(value) < 2**53:
            found[str(name)] = float(value)
    return found


def parsed(text: Any) -> Any:
    """The value of a JSON text, or of Python's way of writing lists; the argument itself if it is neither."""
    if not isinstance(text, str):
        return text
    try:
        return parse_json(text)
    except ValueError:
        pass
    if len(text) > 10_000 or not text.lstrip().startswith(("[", "{", "(")):
        return text
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # such as a NumPy array: ['a' 'b']
        return [one or other for one, other in _QUOTED.findall(text)] or text
