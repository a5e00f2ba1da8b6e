"""What there is: environments, policies, objectives, index back ends, one line each."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ..envs.tasks import TASKS
from ..policies.scripted import SCRIPTED
from .policies import MODELS
from .run_command import EXPERIMENTS

__all__ = ["catalogue", "print_catalogue"]

_VLLM = {"vllm:POLICY": "its weights, played by vLLM (needs the vllm extra and a CUDA GPU)"}


def catalogue() -> dict[str, dict[str, str]]:
    """Section -> name -> one line."""
    sections = {
        "environments": {name: kind.summary for name, kind in TASKS.items()},
        "policies": {**{name: policy.summary for name, policy in SCRIPTED.items()}, **MODELS, **_VLLM},
        "experiments": dict(EXPERIMENTS),
    }
    try:
        from ..policies.objectives.registry import OBJECTIVES, load_objectives
    except ImportError:
        sections["objectives"] = {"(none)": 'install the "train" extra: pip install "berrypick[train]"'}
    else:
        load_objectives()
        sections["objectives"] = {name: objective.summary for name, objective in OBJECTIVES.items()}
    return sections


def print_catalogue() -> None:
    """Prints the catalogue to standard output."""
    console = Console()
    for section, rows in catalogue().items():
        table = Table(title=section, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, summary in rows.items():
            table.add_row(f"[bold]{name}[/bold]", summary)
        console.print(table)
