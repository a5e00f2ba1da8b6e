"""Unknown commands and flags: one line that names the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import get_args, get_type_hints

import tyro

from ...retrieval_index.errors import BerrypickError

__all__ = ["check_command", "check_flags", "unknown_name"]

_HIDDEN = get_args(tyro.conf.Suppress[int])[1]
"""What `tyro.conf.Suppress` adds to the type of a field that is no flag."""


def check_command(name: str, known: Iterable[str], prog: str) -> None:
    """Refuses a word that is no command of `prog`."""
    if name not in known:
        what = "flag" if name.startswith("-") else "command"
        names = ["--help", *(["--version"] if prog == "berrypick" else [])] if what == "flag" else known
        raise unknown_name(what, name, names, prog)


def check_flags(flags: type, words: Sequence[str], prog: str) -> None:
    """Refuses the first word that looks like a flag and is none of `flags`.

    The parser itself names the nearest flag only if nothing else is wrong; here a typo always comes first.
    """
    hints = get_type_hints(flags, include_extras=True)
    names = [field.name for field in fields(flags) if _HIDDEN not in get_args(hints[field.name])]
    known = [f"--{name.replace('_', '-')}" for name in names] + ["--help"]
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name not in known:
            raise unknown_name("flag", word.partition("=")[0], known, prog)


def unknown_name(what: str, name: str, known: Iterable[str], prog: str, *, listed: str = "") -> BerrypickError:
    """The error for a name that is not known; it offers the nearest one.

    Args:
        what: such as "flag".
        name: as it was written.
        known: all names.
        prog: the command that it was given to.
        listed: the command that lists all names; by default the help of `prog`.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    meant = f"did you mean {near[0]}? All {what}s: " if near else "see "
    return BerrypickError(f"unknown {what} {name!r} of {prog}; {meant}{listed or f'{prog} --help'}")
