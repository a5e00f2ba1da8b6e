"""A command's flags back into the line that a user types."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro

__all__ = ["command_line"]

_POSITIONAL = get_args(tyro.conf.Positional[int])[1]
_HIDDEN = get_args(tyro.conf.Suppress[int])[1]


def command_line(prog: str, flags: object) -> str:
    """The line that gives these flags, quoted for a POSIX shell; flags at their default are left out.

    Args:
        prog: such as "berrypick train".
        flags: an instance of a command's dataclass.
    """
    hints = get_type_hints(type(flags), include_extras=True)
    positional, named = list[str](), list[str]()
    for field in fields(flags):  # type: ignore[arg-type]
        value, marks = getattr(flags, field.name), _marks(hints[field.name])
        if value == _default(field) or _HIDDEN in marks:
            continue
        if _POSITIONAL in marks:
            positional += _words(value)
        else:
            name = f"--{field.name.replace('_', '-')}"
            named += [name] if value is True else [name, *_words(value)]
    return shlex.join([*prog.split(), *positional, *named])


def _marks(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _default(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _words(value: object) -> Iterator[str]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from _words(item)
    else:
        text = str(value)
        yield f"./{text}" if isinstance(value, Path) and text.startswith("-") else text
