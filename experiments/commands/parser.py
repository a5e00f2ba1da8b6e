"""The commands as typed dataclasses; names and flags are a contract."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import tyro

from ...envs.data.commands import DataCheck, DataGet
from ...retrieval_index.bounds import check_seeds
from ...retrieval_index.errors import UnknownNameError
from ...retrieval_index.index_commands import IndexBuild, IndexCheck, IndexEval, IndexImport, IndexSearch
from ...retrieval_index.server.command import Serve
from .classifier import Classifier
from .demo import Demo
from .env_arguments import EnvArgs, open_task
from .eval_flags import Eval
from .report import Report
from .run import Run
from .train_flags import Train

__all__ = ["parse_command"]


class Command(Protocol):
    """A parsed command line."""

    def run(self) -> int:
        """Does it; returns the exit status."""
        ...


@dataclass(frozen=True)
class List:
    """Environments, policies and objectives, one line each."""

    json: bool = False
    """one JSON document"""

    def run(self) -> int:
        """Prints the list."""
        from .catalogue import catalogue, print_catalogue

        if self.json:
            _write_json(catalogue())
        else:
            print_catalogue()
        return 0


@dataclass(frozen=True)
class Play:
    """Search by hand."""

    env: str = "berrypick/World-v0"
    """environment id"""
    env_arg: EnvArgs = ()
    """arguments of the environment"""
    split: str = "train"
    """questions"""
    seed: int = 0
    """chooses the question"""

    def run(self) -> int:
        """Plays one episode at the terminal."""
        from .play import play

        play(open_task(self.env, self.env_arg), self.split, self.seed)
        return 0


_INDEX = (
    Annotated[IndexBuild, tyro.conf.subcommand("build", description="corpus to index on disk, atomically")]
    | Annotated[IndexImport, tyro.conf.subcommand("import", description="take over a FAISS or Lucene index as it is")]
    | Annotated[IndexCheck, tyro.conf.subcommand("check", description="integrity of an index")]
    | Annotated[IndexSearch, tyro.conf.subcommand("search", description="a look at what a query finds")]
    | Annotated[IndexEval, tyro.conf.subcommand("eval", description="evidence recall on a questions file")]
)


@dataclass(frozen=True)
class Index:
    """Build, check, search and evaluate indexes."""

    action: tyro.conf.OmitSubcommandPrefixes[_INDEX]  # type: ignore[valid-type]
    """what to do"""

    def run(self) -> int:
        """Runs the index command."""
        return int(self.action.run())


_DATA = (
    Annotated[DataGet, tyro.conf.subcommand("get", description="download a public question set")]
    | Annotated[DataCheck, tyro.conf.subcommand("check", description="formats, counts and leaks of question files")]
)


@dataclass(frozen=True)
class Data:
    """Download question sets, check them for leaks."""

    action: tyro.conf.OmitSubcommandPrefixes[_DATA]  # type: ignore[valid-type]
    """what to do"""

    def run(self) -> int:
        """Runs the data command."""
        return int(self.action.run())


@dataclass(frozen=True)
class Version:
    """The version, of `berrypick --version`."""

    def run(self) -> int:
        """Prints it."""
        from ... import __version__

        sys.stdout.write(f"berrypick {__version__}\n")
        return 0


@dataclass(frozen=True)
class Bench:
    """Side-by-side timings: berrypick bench NAME; without a name, the list."""

    def run(self) -> int:
        """Lists the benches."""
        from ..bench import BENCHES

        for name, kind in BENCHES.items():
            sys.stdout.write(f"{name}: {(kind.__doc__ or '').splitlines()[0]}\n")
        return 0


_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
_ABOUT = "Search-agent RL environments: train a search policy, measure breadth, query entropy and accuracy."


def _parse_one(kind: Any, prog: str, arguments: Sequence[str]) -> Command:
    parsed: Command = tyro.cli(kind, prog=prog, args=list(arguments), config=_CONFIG)
    return parsed


def _parse_one_of(kinds: dict[str, Any], prog: str, about: str, arguments: Sequence[str]) -> Command:
    parsed: Command = tyro.extras.subcommand_cli_from_dict(
        kinds, prog=prog, description=about, args=list(arguments), config=_CONFIG
    )
    return parsed


def _parse_bench(arguments: Sequence[str]) -> Command:
    from ..bench import BENCHES

    if not arguments:
        return Bench()
    if arguments[0].startswith("-"):
        return _parse_one_of(BENCHES, "berrypick bench", Bench.__doc__ or "", arguments)
    if arguments[0] not in BENCHES:
        raise UnknownNameError("bench", arguments[0], BENCHES)
    return _parse_one(BENCHES[arguments[0]], f"berrypick bench {arguments[0]}", arguments[1:])


def _with_seeds_checked(command: Command) -> Command:
    seeds = getattr(command, "seeds", ())  # how many, or which
    check_seeds([getattr(command, "seed", 0), *(seeds if isinstance(seeds, tuple) else ())])
    return command


def parse_command(arguments: Sequence[str] | None) -> Command:
    """Parses a command line; an unknown command or flag exits with 2 and names the nearest.

    Raises:
        BerrypickError: a seed that no generator takes, an unknown bench.
    """
    from .sweep import Sweep

    commands: dict[str, Any] = {
        "demo": Demo,
        "list": List,
        "train": Train,
        "sweep": Sweep,
        "eval": Eval,
        "report": Report,
        "play": Play,
        "run": Run,
        "index": Index,
        "serve": Serve,
        "data": Data,
        "classifier": Classifier,
        "bench": Bench,
    }
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else "--help"
    if first == "--version":
        return Version()
    if first == "bench":
        return _with_seeds_checked(_parse_bench(given[1:]))
    if first in commands:
        return _with_seeds_checked(_parse_one(commands[first], f"berrypick {first}", given[1:]))
    return _parse_one_of(commands, "berrypick", f"{_ABOUT} --version says which this is.", given or [first])


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
