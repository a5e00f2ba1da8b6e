"""Objectives by name, with options: "grpo", "darling:floor=0.2", "ucb_con:weight=0.1,key=evidence".

The name of a file that registers the objective can precede its name: "my_objectives.py:few_queries:price=0.1".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ...retrieval_index.plugins import Registry
from .objective import Objective

__all__ = ["OBJECTIVES", "ObjectiveKind", "get_objective", "load_objectives", "register_objective"]

ENTRY_POINTS = "berrypick.objectives"
"""Entry-point group for packages with objectives; each entry names a module that registers them on import."""

Factory = Callable[..., Objective]


@dataclass(frozen=True)
class ObjectiveKind:
    """A registered objective: the function that makes it, and one line about it."""

    make: Factory
    summary: str


OBJECTIVES: Registry[ObjectiveKind] = Registry("objective", ENTRY_POINTS, "my_objectives.py:few_queries")
"""Name -> kind; filled by `objectives/published.py` and by users."""


def register_objective(name: str, summary: str) -> Callable[[Factory], Factory]:
    """Decorator that registers a function which makes an objective; its keyword arguments become options.

    Raises:
        BerrypickError: the name is taken, or contains a colon, comma, equals sign or space.
    """

    def register(make: Factory) -> Factory:
        if set(name) & set(":,= ") or not name:
            raise BerrypickError(f"{name!r} cannot name an objective; use letters, digits and underscores")
        OBJECTIVES.register(name, ObjectiveKind(make, summary), make.__module__)
        return make

    return register


def get_objective(spec: str) -> Objective:
    """Makes an objective from NAME, NAME:OPTION=VALUE,..., or FILE.py:NAME with or without options.

    Raises:
        UnknownNameError: no such objective or option; the message names the nearest.
        BerrypickError: an option cannot take that value, or the file cannot be loaded.
    """
    name, _, options = OBJECTIVES.load_files(spec).partition(":")
    kind = OBJECTIVES.find(name)
    arguments = _arguments(name, kind.make, options)
    try:
        made = kind.make(**arguments)
    except (TypeError, ValueError) as error:
        raise BerrypickError(f"objective {spec!r}: {error}; change that option") from error
    return replace(made, name=spec, summary=kind.summary)


def _arguments(name: str, make: Factory, options: str) -> dict[str, Any]:
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(make).parameters
    out: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        key, equals, text = option.partition("=")
        if key not in parameters:
            raise UnknownNameError(f"option of objective {name}", key, parameters)
        default = parameters[key].default
        if not equals:
            raise BerrypickError(f"objective {name}: write {key}=VALUE, for example {key}={default}")
        out[key] = _value(name, key, text, default)
    return out


def _value(name: str, key: str, text: str, default: object) -> object:
    """Reads a value of the default's type; a default of None means a whole number."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, int) or default is None:
            return int(text)
        return float(text) if isinstance(default, float) else text
    except (ValueError, KeyError):
        example = 2 if default is None else default
        raise BerrypickError(f"objective {name}: {key} cannot be {text}; write for example {key}={example}") from None


def load_objectives() -> None:
    """Imports the modules that installed packages list in the entry-point group `berrypick.objectives`."""
    OBJECTIVES.load_installed()
