"""The table of commands, and the parsing of a command line. Names and flags of commands are a contract."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import tyro

from ... import __version__
from ...envs.data.commands import DataCheck, DataGet
from ...policies.open_policy import require_training
from ...retrieval_index.bounds import check_seeds
from ...retrieval_index.index_commands import IndexBuild, IndexCheck, IndexClean, IndexEval, IndexImport, IndexSearch
from ...retrieval_index.server.command import Serve
from .adapter_flags import AdapterCheck
from .audit_flags import IndexAudit
from .command_line import command_line
from .flags import Agent, Classifier, Demo, Eval, Explain, List, Play
from .rollout_flags import Convert, Report, Rescore
from .run_flags import FaithfulRun, Run
from .train_flags import Sweep, Train
from .typos import check_command, check_flags

__all__ = ["COMMANDS", "Command", "CommandGroup", "ParsedCommand", "parse_command"]

_RESUME, _RERUN = "resume", "again"


@dataclass(frozen=True)
class Command:
    """One row of the table.

    Attributes:
        flags: dataclass of the command's flags; the first line of its docstring is the summary in help texts.
        function: "MODULE:NAME" in this folder, a function from the flags to the exit status. It is imported only when
            the command runs, so that parsing loads no model code. Empty for the commands of lower layers, whose flags
            have a `run` method.
        trains: whether the command needs the "train" extra.
        after_stop: how to continue after Ctrl-C: "resume" with --resume, "again" with the same line; empty if there is
            nothing to continue.
    """

    flags: type
    function: str = ""
    trains: bool = False
    after_stop: str = ""


@dataclass(frozen=True)
class CommandGroup:
    """A command with subcommands, e.g. `berrypick index build`; `commands` is called when they are needed."""

    summary: str
    commands: Callable[[], Mapping[str, Command]]


class _Runnable(Protocol):
    def run(self) -> int: ...


@dataclass(frozen=True)
class ParsedCommand:
    """A parsed command line.

    Attributes:
        name: as in "berrypick index build".
        command: its row of the table.
        flags: the values, an instance of `command.flags`.
    """

    name: str
    command: Command
    flags: object

    @property
    def after_stop(self) -> str:
        """The end of the sentence that says the command was stopped: the line that continues it, if there is one."""
        if not self.command.after_stop:
            return ""
        flags: Any = replace(self.flags, resume=True) if self.command.after_stop == _RESUME else self.flags  # type: ignore[type-var]
        return f"; finished work is saved, continue with: {command_line(self.name, flags)}"

    def run(self) -> int:
        """Runs the command and returns its exit status."""
        if self.command.trains:
            require_training(self.name)
        if not self.command.function:
            runnable: _Runnable = self.flags  # type: ignore[assignment]
            return runnable.run()
        module, _, name = self.command.function.partition(":")
        return int(getattr(import_module(f".{module}", __package__), name)(self.flags))


@dataclass(frozen=True)
class _Text:
    """What `--version` and the help of a group print."""

    text: str

    def run(self) -> int:
        sys.stdout.write(self.text)
        return 0


def _shown(text: str) -> ParsedCommand:
    return ParsedCommand("berrypick", Command(_Text), _Text(text))


def _index_commands() -> Mapping[str, Command]:
    return {
        "build": Command(IndexBuild),
        "import": Command(IndexImport),
        "check": Command(IndexCheck),
        "clean": Command(IndexClean),
        "search": Command(IndexSearch),
        "eval": Command(IndexEval),
        "audit": Command(IndexAudit, "audit:run_audit"),
    }


def _data_commands() -> Mapping[str, Command]:
    return {"get": Command(DataGet), "check": Command(DataCheck)}


def _benches() -> Mapping[str, Command]:
    from ..bench import BENCHES  # costs 0.3 s, which no other command should pay

    return {name: Command(flags) for name, flags in BENCHES.items()}


COMMANDS: Mapping[str, Command | CommandGroup] = {
    "demo": Command(Demo, "demo:run_demo_command", trains=True, after_stop=_RESUME),
    "agent": Command(Agent, "agent:run_agent_command", trains=True, after_stop=_RESUME),
    "list": Command(List, "catalogue:run_list"),
    "train": Command(Train, "train:run_train", trains=True, after_stop=_RESUME),
    "sweep": Command(Sweep, "sweep:run_sweep_command", trains=True, after_stop=_RERUN),
    "eval": Command(Eval, "eval:run_eval", after_stop=_RESUME),
    "report": Command(Report, "report:run_report"),
    "explain": Command(Explain, "explain:run_explain"),
    "convert": Command(Convert, "convert:run_convert"),
    "rescore": Command(Rescore, "rescore:run_rescore"),
    "play": Command(Play, "play:run_play"),
    "faithful": Command(FaithfulRun, "faithful:run_faithful"),
    "run": Command(Run, "run:run_named", trains=True, after_stop=_RERUN),
    "index": CommandGroup("Builds, imports, checks, searches, evaluates and audits indexes.", _index_commands),
    "serve": Command(Serve),
    "data": CommandGroup("Downloads question sets and checks them for leaks.", _data_commands),
    "classifier": Command(Classifier, "classifier:run_classifier", trains=True),
    "adapter-check": Command(AdapterCheck, "adapter_check:run_adapter_check", trains=True),
    "bench": CommandGroup("Compares speed with reference implementations.", _benches),
}
"""Command name -> its flags and its function."""

_ABOUT = "Search-agent RL environments: train a search policy, measure breadth, query entropy and accuracy."
_TYRO = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)


def parse_command(arguments: Sequence[str] | None) -> ParsedCommand:
    """Parses a command line.

    Args:
        arguments: the words after `berrypick`; None takes those of this process.

    Raises:
        BerrypickError: an unknown command or flag, whose message names the nearest; a seed out of range.
        SystemExit: a command's help was asked for, or a flag is missing or has a wrong value.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--version"]:
        return _shown(f"berrypick {__version__}\n")
    prog, about = "berrypick", _ABOUT
    known: Mapping[str, Command | CommandGroup] = COMMANDS
    while True:
        if not words or words[0] in ("-h", "--help"):
            return _shown(_help(prog, about, known))
        name = words.pop(0)
        check_command(name, known, prog)
        prog, chosen = f"{prog} {name}", known[name]
        if isinstance(chosen, Command):
            return _parse_flags(chosen, prog, words)
        about, known = chosen.summary, chosen.commands()


def _parse_flags(command: Command, prog: str, words: Sequence[str]) -> ParsedCommand:
    check_flags(command.flags, words, prog)
    flags: object = tyro.cli(command.flags, prog=prog, args=list(words), config=_TYRO)
    seeds = getattr(flags, "seeds", ())  # the demo's is a number of seeds, the sweep's lists them
    check_seeds([getattr(flags, "seed", 0), *(seeds if isinstance(seeds, tuple) else ())])
    return ParsedCommand(prog, command, flags)


def _help(prog: str, about: str, known: Mapping[str, Command | CommandGroup]) -> str:
    """The help text of a group of commands, one line per command, at most 80 columns wide."""
    width = max(map(len, known)) + 2
    summaries = {name: _summary(entry) for name, entry in known.items()}
    if prog == "berrypick":
        summaries["--version"] = "Prints the version."
    rows = [_fill(text, f"  {name:<{width}}", " " * (width + 2)) for name, text in summaries.items()]
    about = _fill(about)
    return (
        f"usage: {prog} COMMAND [FLAGS]\n\n{about}\n\ncommands:\n" + "\n".join(rows) + "\n\n"
        f"{prog} COMMAND --help describes the flags of a command.\n"
    )


def _fill(text: str, first: str = "", rest: str = "") -> str:
    """Text in lines of 80 columns that end between words, not at hyphens."""
    return textwrap.fill(
        text, 80, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


def _summary(entry: Command | CommandGroup) -> str:
    text = entry.summary if isinstance(entry, CommandGroup) else inspect.getdoc(entry.flags) or ""
    return text.splitlines()[0]
