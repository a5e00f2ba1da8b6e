"""Objectives by name, with options: "grpo", "darling:floor=0.2", "ucb_con:weight=0.1,key=evidence".

Before a name, a file of yours that registers it: "my_objectives.py:few_queries:price=0.1".
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
"""The entry-point group of packages that bring objectives: each entry names a module that registers on import."""

Factory = Callable[..., Objective]


@dataclass(frozen=True)
class ObjectiveKind:
    """A registered objective: how it is made, and one line about it."""

    make: Factory
    summary: str


OBJECTIVES: Registry[ObjectiveKind] = Registry("objective", ENTRY_POINTS, "my_objectives.py:few_queries")
"""Name -> kind; filled by `objectives/published.py` and by users."""


def register_objective(name: str, summary: str) -> Callable[[Factory], Factory]:
    """Registers a function that makes an objective; its keyword arguments are the objective's options.

    Raises:
        BerrypickError: the name is taken, or holds a colon, comma or equals sign.
    """

    def register(make: Factory) -> Factory:
        if set(name) & set(":,= ") or not name:
            raise BerrypickError(f"{name!r} cannot name an objective; use letters, digits and underscores")
        OBJECTIVES.register(name, ObjectiveKind(make, summary), make.__module__)
        return make

    return register


def get_objective(spec: str) -> Objective:
    """Makes the objective of a spec, NAME, NAME:OPTION=VALUE,... or one of these behind FILE.py:

    Raises:
        UnknownNameError: no such objective or option; names the nearest.
        BerrypickError: a value its option cannot take.
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
    """Reads a value of the default's type; a default of None stands for a whole number."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, int) or default is None:
            return int(text)
        return float(text) if isinstance(default, float) else text
    except (ValueError, KeyError):
        raise BerrypickError(f"objective {name}: {key}={text} is no value; for example {key}={default}") from None


def load_objectives() -> None:
    """Imports the modules that installed packages announce under the entry-point group `berrypick.objectives`."""
    OBJECTIVES.load_installed()
