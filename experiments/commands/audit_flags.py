"""The flags of `berrypick index audit` as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .env_arguments import EnvArgs
from .flags import NoneByDefault

__all__ = ["IndexAudit"]


@dataclass(frozen=True)
class IndexAudit:
    """Measure what a corpus can answer: coverage, missing support, duplicates, leaks.

    Give an index folder or --corpus, with --questions; or --env.

    The exit status is 1 if a supporting passage is missing or a question leaks.
    """

    folder: Annotated[
        tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FOLDER]", help_behavior_hint="(default: none)")
    ] = None
    """index folder"""
    corpus: Path | None = None
    """corpus file, instead of an index"""
    questions: Path | None = None
    """question file in any known format; if it contains its passages, these are audited without a corpus"""
    env: Annotated[str, NoneByDefault] = ""
    """environment id, instead of files"""
    env_arg: EnvArgs = ()
    """arguments of the environment"""
    scoring: str = "english"
    """how answers are normalised: english or multilingual"""
    examples: int = 5
    """findings of each kind that are named"""
    skip_bad: bool = False
    """leave out bad lines and list them"""
    json: bool = False
    """print one JSON document"""
