"""`berrypick list`: environments, policies, experiments, reward terms and objectives, one line each."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from ...envs.rewards import REWARD_SUMMARIES, REWARD_TERMS
from ...envs.tasks.registry import TASKS
from ...policies.open_policy import MODELS
from ...policies.scripted import SCRIPTED
from ..registry import EXPERIMENTS
from .flags import List
from .json_output import print_json

__all__ = ["catalogue", "print_catalogue", "run_list"]

_VLLM = {"vllm:POLICY": "the weights of POLICY, played by vLLM (needs the vllm extra and a CUDA GPU)"}
_ENDPOINTS = {
    "URL#MODEL": "a model behind an OpenAI-compatible completions endpoint",
    "chat:URL#MODEL": "a model behind an OpenAI-compatible chat endpoint, with function calls or tags",
}


def run_list(flags: List) -> int:
    """Prints the catalogue."""
    if flags.json:
        print_json(catalogue())
    else:
        print_catalogue()
    return 0


def catalogue() -> dict[str, dict[str, str]]:
    """Returns section -> name -> one line; the section "objective_options" has the options of each objective."""
    EXPERIMENTS.load_installed()
    REWARD_TERMS.load_installed()
    sections = {
        "environments": {name: kind.summary for name, kind in TASKS.items()},
        "policies": {**{name: policy.summary for name, policy in SCRIPTED.items()}, **MODELS, **_VLLM, **_ENDPOINTS},
        "experiments": {name: known.summary for name, known in EXPERIMENTS.items()},
        "reward terms": dict(REWARD_SUMMARIES),
    }
    try:
        from ...policies.objectives.registry import OBJECTIVES, load_objectives
    except ImportError:
        sections["objectives"] = {"(none)": 'install the "train" extra: pip install "berrypick[train]"'}
    else:
        load_objectives()
        sections["objectives"] = {name: objective.summary for name, objective in OBJECTIVES.items()}
        sections["objective_options"] = {name: _options(objective.make) for name, objective in OBJECTIVES.items()}
    return sections


def _options(make: Callable[..., object]) -> str:
    """An objective's options as they are written after its name, e.g. "floor=0.1,classifier=CLASSIFIER".

    Each has its default, or its name in capitals if there is no default.
    """
    defaults = {option: parameter.default for option, parameter in inspect.signature(make).parameters.items()}
    shown = {option: option.upper() if default in (None, "") else default for option, default in defaults.items()}
    return ",".join(f"{option}={str(value).lower() if value is False else value}" for option, value in shown.items())


def print_catalogue() -> None:
    """Prints the catalogue to standard output."""
    console = Console()
    sections = catalogue()
    options = sections.pop("objective_options", {})
    for section, rows in sections.items():
        table = Table(title=section, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, summary in rows.items():
            table.add_row(f"[bold]{name}[/bold]", summary)
            if section == "objectives" and options.get(name):
                table.add_row("", f"[dim]:{options[name]}[/dim]")
        console.print(table)
