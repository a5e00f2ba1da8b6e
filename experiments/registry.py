"""Experiments by name: those of this package, of installed packages, and of users' files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from ..retrieval_index.plugins import Registry

if TYPE_CHECKING:
    from .grid.experiment import Experiment

__all__ = ["EXPERIMENTS", "KnownExperiment", "open_experiment", "register_experiment"]


@dataclass(frozen=True, slots=True)
class KnownExperiment:
    """An experiment that can be opened.

    Attributes:
        summary: one line.
        open: imports or returns it.
    """

    summary: str
    open: Callable[[], Experiment]


EXPERIMENTS: Registry[KnownExperiment] = Registry("experiment", "berrypick.experiments", "my_experiment.py:mine")
"""Name -> experiment. An entry point of the group `berrypick.experiments` names a module that registers on import."""


def register_experiment(experiment: Experiment) -> None:
    """Adds an experiment to `berrypick run` and `berrypick list`, under its own name.

    Raises:
        BerrypickError: another module has registered this name.
    """
    entry = KnownExperiment(experiment.summary, lambda: experiment)
    EXPERIMENTS.register(experiment.name, entry, type(experiment).__module__)


def open_experiment(spec: str) -> Experiment:
    """The experiment of a name, or of FILE.py:NAME, where the file registers an experiment of that name.

    Raises:
        UnknownNameError: no such experiment; names the nearest.
        BerrypickError: the file does not exist or fails.
    """
    return EXPERIMENTS.find(EXPERIMENTS.load_files(spec)).open()


def _built_in(name: str, summary: str) -> None:
    """Registers a package of this folder without importing it: experiments need torch, and listing them must not."""

    def load() -> Experiment:
        found: Experiment = import_module(f".{name}", __package__).EXPERIMENT
        return found

    EXPERIMENTS.register(name, KnownExperiment(summary, load), __name__)


_built_in("diversity_tax", "what training for diversity costs in single-shot pass@1, when, and why")
_built_in("real_corpora", "accuracy, breadth and entropy on real corpora, against retrieval controls")
_built_in("real_agent", "a 135 M search agent on real corpora: SFT against RL, accuracy against breadth")
_built_in(
    "price_law", "over 208 random worlds: what diversity training costs, against what the exact frontier says it must"
)
_built_in("outcome_exploration", "outcome-based exploration (2509.06941): do bonuses on outcomes keep what GRPO loses?")
_built_in("darling", "DARLING (2509.02534): does paying for rare paths beat paying for rare words?")
_built_in(
    "vector_policy",
    "Vector Policy Optimization (2605.22817): do sets under random weights find more than single answers?",
)
_built_in("echo_chamber", "Echo Chamber (2504.07912): does RL let one query format take over, and is it the best one?")
_built_in("squeeze", "RL squeezes, SFT expands (2509.21128), or the opposite (2604.14877): what decides?")
_built_in("preference_tuning", "preference tuning (2504.12522): does it make more different right answers, or fewer?")
_built_in(
    "critique_loop", "critique in the loop (2411.16579): do comments on failures keep hard questions in the data?"
)
_built_in(
    "multiagent_finetuning",
    "multiagent fine-tuning (2501.05707): does learning from one's own data keep a team apart?",
)
_built_in("hivemind", "Artificial Hivemind (2510.22954): do policies resemble each other because they share a start?")
