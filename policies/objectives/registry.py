"""Objectives by name, with options: "grpo", "darling:floor=0.2", "ucb_con:weight=0.1,key=evidence".

The name of a file that registers the objective can precede its name: "my_objectives.py:few_queries:price=0.1".
"""

from __future__ import annotations

import inspect
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import BerrypickError, UnknownNameError
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


OBJECTIVES: dict[str, ObjectiveKind] = {}
"""Name -> kind; filled by `objectives/published.py` and by users."""


def register_objective(name: str, summary: str) -> Callable[[Factory], Factory]:
    """Decorator that registers a function which makes an objective; its keyword arguments become options.

    Raises:
        BerrypickError: the name is taken, or contains a colon, comma, equals sign or space.
    """

    def register(make: Factory) -> Factory:
        if set(name) & set(":,= ") or not name:
            raise BerrypickError(f"{name!r} cannot name an objective; use letters, digits and underscores")
        if name in OBJECTIVES and OBJECTIVES[name].make.__module__ != make.__module__:
            raise BerrypickError(f"objective {name!r} is taken; choose another name")
        OBJECTIVES[name] = ObjectiveKind(make, summary)
        return make

    return register


def get_objective(spec: str) -> Objective:
    """Makes an objective from NAME, NAME:OPTION=VALUE,..., or FILE.py:NAME with or without options.

    Raises:
        UnknownNameError: no such objective or option; the message names the nearest.
        BerrypickError: an option cannot take that value, or the file cannot be loaded.
    """
    name, _, options = spec.partition(":")
    if name.endswith(".py"):
        _load_file(name)
        name, _, options = options.partition(":")
    if name not in OBJECTIVES:
        load_objectives()
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES)
    kind = OBJECTIVES[name]
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


def _load_file(name: str) -> None:
    """Imports a user's file, once per process."""
    path = Path(name).resolve()
    module_name = f"berrypick_objectives_{zlib.crc32(str(path).encode()):08x}"
    if module_name in sys.modules:
        return
    spec = spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BerrypickError(f"there is no file {name}; write FILE.py:NAME, for example my_objectives.py:few_queries")
    module = sys.modules[module_name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise BerrypickError(f"the objectives of {name} cannot be loaded ({error}); correct that file") from error


def load_objectives() -> None:
    """Imports the modules that installed packages list in the entry-point group `berrypick.objectives`."""
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            raise BerrypickError(
                f"the objective package {entry.value} cannot be loaded ({error}); repair or uninstall it"
            ) from error
