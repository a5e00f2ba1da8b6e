"""What there is: environments, policies, objectives, index back ends, one line each."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from ...envs.tasks.registry import TASKS
from ...policies.open_policy import MODELS
from ...policies.scripted import SCRIPTED
from ..registry import EXPERIMENTS

__all__ = ["catalogue", "print_catalogue"]

_VLLM = {"vllm:POLICY": "its weights, played by vLLM (needs the vllm extra and a CUDA GPU)"}


def catalogue() -> dict[str, dict[str, str]]:
    """Section -> name -> one line; "objective_options" has what may follow an objective's name."""
    EXPERIMENTS.load_installed()
    sections = {
        "environments": {name: kind.summary for name, kind in TASKS.items()},
        "policies": {**{name: policy.summary for name, policy in SCRIPTED.items()}, **MODELS, **_VLLM},
        "experiments": {name: known.summary for name, known in EXPERIMENTS.items()},
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
    """An objective's options with their defaults, as they are written after its name; those without one in capitals."""
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
