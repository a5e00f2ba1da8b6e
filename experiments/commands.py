"""The commands as typed dataclasses; names and flags are a contract."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import tyro

from ..envs.data_commands import DataCheck, DataGet
from ..retrieval_index.errors import UnknownNameError
from ..retrieval_index.index_commands import IndexBuild, IndexCheck, IndexEval, IndexImport, IndexSearch
from ..retrieval_index.server.command import Serve
from .classifier_command import Classifier
from .env_arguments import EnvArgs, open_task
from .eval_flags import Eval
from .report_command import Report
from .run_command import Run
from .train_flags import Train

__all__ = ["parse_command"]


class Command(Protocol):
    """A parsed command line."""

    def run(self) -> int:
        """Does it; returns the exit status."""
        ...


@dataclass(frozen=True)
class Demo:
    """The main job on the embedded world: index, SFT, RL, measures, report."""

    out: Path = Path("runs/demo")
    """run folder"""
    seed: int = 0
    """of the whole run"""
    steps: int = 40
    """RL steps of each arm"""
    sft_steps: int = 520
    """SFT steps"""
    questions: int = 256
    """test questions"""
    samples: int = 8
    """rollouts a test question"""
    index: str = "lucene"
    """lucene (needs the lucene extra) or bm25s"""
    seeds: int = 1
    """how many seeds, one whole run each; above 1 also measures the training questions and pools the seeds"""
    resume: bool = False
    """go on with an interrupted demo"""

    def run(self) -> int:
        """Runs the demo."""
        from .policies import require_training

        require_training("berrypick demo")
        from .demo import DemoConfig, run_demo

        config = DemoConfig(self.seed, self.steps, self.sft_steps, self.questions, self.samples, self.index)
        if self.seeds > 1:
            from .demo_seeds import run_demo_seeds

            run_demo_seeds(config, self.seeds, self.out, resume=self.resume)
        else:
            run_demo(config, self.out, resume=self.resume)
        return 0


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
class Bench:
    """Side-by-side timings: berrypick bench NAME; without a name, the list."""

    def run(self) -> int:
        """Lists the benches."""
        from .bench import BENCHES

        for name, kind in BENCHES.items():
            sys.stdout.write(f"{name}: {(kind.__doc__ or '').splitlines()[0]}\n")
        return 0


def _parse_bench(name: str, arguments: Sequence[str]) -> Command:
    from .bench import BENCHES

    if name not in BENCHES:
        raise UnknownNameError("bench", name, BENCHES)
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    parsed: Command = tyro.cli(BENCHES[name], prog=f"berrypick bench {name}", args=list(arguments), config=config)
    return parsed


def parse_command(arguments: Sequence[str] | None) -> Command:
    """Parses a command line; an unknown command or flag exits with 2 and names the nearest."""
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
    if given[:1] == ["bench"] and len(given) > 1 and not given[1].startswith("-"):
        return _parse_bench(given[1], given[2:])
    parsed: Command = tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="berrypick",
        description="Search-agent RL environments: train a search policy, measure breadth, query entropy and accuracy.",
        args=given or ["--help"],
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    return parsed


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
