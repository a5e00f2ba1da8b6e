"""The commands as typed dataclasses; names and flags are a contract."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import tyro

from ..envs.data_commands import DataCheck, DataGet
from ..envs.tasks import Task, make_task
from ..retrieval_index.errors import BerrypickError, UnknownNameError
from ..retrieval_index.index_commands import IndexBuild, IndexCheck, IndexEval, IndexImport, IndexSearch
from ..retrieval_index.server.command import Serve
from .classifier_command import Classifier
from .run_command import Run

__all__ = ["parse_command"]

EnvArgs = Annotated[tuple[str, ...], tyro.conf.arg(metavar="K=V ...")]


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
class Train:
    """SFT on scripted demonstrations, then RL."""

    env: str
    """environment id, e.g. berrypick/World-v0"""
    out: Path
    """run folder"""
    env_arg: EnvArgs = ()
    """arguments of the environment, e.g. preset=priced index=lucene"""
    policy: str = "tiny"
    """where the weights start: tiny, smollm2, a run folder, a folder of weights, a hub id; vllm:ONE OF THEM lets vLLM
    play the rollouts"""
    objective: str = "grpo"
    """RL objective, see berrypick list"""
    steps: int = 40
    """RL steps"""
    sft_steps: int = 0
    """SFT steps before RL"""
    seed: int = 0
    """of the whole run"""
    demonstrator: str = "random_order"
    """scripted policy that SFT imitates (oracle on corpora)"""
    questions_per_step: int = 16
    """groups a step"""
    group_size: int = 8
    """rollouts a question"""
    learning_rate: float | None = None
    """of RL; by default 1e-4 for models below 5 M parameters, else 1e-6"""
    sft_learning_rate: float | None = None
    """peak, of SFT; by default 4e-3 for models below 5 M parameters, else 2e-5"""
    sft_batch_size: int = 32
    """demonstrations an SFT step"""
    demonstrations: int = 1
    """demonstrations a training question (World: of another world's 4,096 questions)"""
    sft_packing: bool = False
    """several demonstrations to a row, apart from each other"""
    sft_validation: float = 0.0
    """share of the demonstrated questions held out; SFT ends with the weights of the lowest loss on them"""
    sft_validate_every: int = 20
    """updates between validations, each a checkpoint"""
    sft_patience: int = 0
    """validations without a lower loss that end SFT early; 0 never"""
    max_new_tokens: int = 32
    """most tokens of one turn"""
    max_tokens: int = 4096
    """padded tokens of a micro-batch; lower it to save memory"""
    checkpoint_every: int = 10
    """steps between checkpoints"""
    split: str = "train"
    """training questions"""
    epochs: int = 1
    """passes over each step's rollouts"""
    mini_batches: int = 1
    """optimizer updates a pass"""
    loss_mean: Literal["token", "sequence"] = "token"
    """over all policy tokens, or first over each rollout's"""
    dynamic_sampling: int = 0
    """rounds of further questions that replace groups of equal rewards"""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """of the weights"""
    device: str = "auto"
    """auto (this process's GPU, if any), cpu, cuda, cuda:1, ..."""
    fsdp: bool = False
    """shard weights, gradients and optimizer over the processes that accelerate or torchrun started"""
    lora_rank: int = 0
    """train LoRA matrices of this rank instead of all weights"""
    track: tuple[str, ...] = ("tensorboard",)
    """where metrics also go: tensorboard, wandb, mlflow and others that accelerate knows"""
    resume: bool = False
    """go on with the run in --out"""

    def run(self) -> int:
        """Trains."""
        from .policies import require_training

        require_training("berrypick train")
        from .train_command import run_train

        run_train(self)
        return 0


@dataclass(frozen=True)
class Eval:
    """Rollouts of a policy on a split, their record and their measures."""

    env: str
    """environment id"""
    policy: str
    """scripted policy, tiny, smollm2, run folder, folder of weights, hub id (each also behind vllm:), URL#MODEL"""
    out: Path
    """run folder; receives rollouts.jsonl and report.json"""
    env_arg: EnvArgs = ()
    """arguments of the environment"""
    split: str = "test"
    """questions"""
    samples: int = 8
    """rollouts a question"""
    questions: int | None = None
    """first questions of the split; all by default"""
    temperature: float = 1.0
    """0 is greedy"""
    top_p: float = 1.0
    """nucleus mass"""
    max_new_tokens: int | None = None
    """most tokens of one turn; 32, or the preset's"""
    preset: str = ""
    """search-r1: prompt, tags, top-k, turns and observation cap as published"""
    control: str = ""
    """in the place of retrieval: empty, random, oracle (the question's evidence) or closed_book"""
    max_rows: int = 512
    """most episodes played at a time"""
    device: str = "auto"
    """of weights: auto (the GPU, if any), cpu, cuda, cuda:1, ..."""
    seed: int = 0
    """of the rollouts"""
    resume: bool = False
    """go on with an evaluation that was interrupted"""
    json: bool = False
    """one JSON document on standard output"""

    def run(self) -> int:
        """Evaluates."""
        from .eval_command import run_eval

        return run_eval(self)


@dataclass(frozen=True)
class Report:
    """Measures of run folders or rollouts files, compared where there are several."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """run folders or rollouts.jsonl files"""
    json: bool = False
    """one JSON document"""
    html: Path | None = None
    """also write a self-contained page with the frontier, all measures and the episodes"""

    def run(self) -> int:
        """Reports."""
        from .report.compare import print_report, report_paths, write_page

        if not self.paths:
            raise BerrypickError("berrypick report needs at least one run folder or rollouts file")
        if self.html is not None:
            write_page(self.paths, self.html)
        if self.json:
            _write_json(report_paths(self.paths))
        else:
            print_report(self.paths, report_paths(self.paths))
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


def open_task(env: str, env_arg: Sequence[str]) -> Task:
    """The task of an id and of K=V arguments."""
    return make_task(env, **parse_env_args(env_arg))


def parse_env_args(pairs: Sequence[str]) -> dict[str, Any]:
    """K=V texts to arguments; numbers become numbers."""
    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BerrypickError(f"--env-arg takes K=V, got {pair!r}; for example preset=priced")
        try:
            out[key] = json.loads(value) if value.strip("-").replace(".", "", 1).isdigit() else value
        except json.JSONDecodeError:
            out[key] = value
    return out


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")
