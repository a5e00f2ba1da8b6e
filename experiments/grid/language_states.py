"""What a checkpoint of a language model is worth: direct measures of its rollouts, and values in the population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...envs.episode import Episode
from ...envs.tasks.registry import Task
from ...envs.world.config import WorldConfig
from ...policies.language.kind_words import read_kinds
from ...policies.language.model import LanguageModelPolicy
from ...policies.policy import Sampling
from ...policies.tabular.histories import StateTable, history_sequences, history_values
from ...policies.tabular.readings import (
    KindReading,
    encode_questions,
    encode_states,
    outside_share,
    pool,
    state_information,
)
from ..measures.summary import summarize
from ..runs.evaluation import evaluate
from ..runs.run_folder import kept_json
from .comparison import POPULATION
from .language_worlds import MAX_ROWS

__all__ = [
    "KS",
    "measure_checkpoint",
    "measure_greedy",
    "measures_at_temperature",
    "played_measures",
    "population_measures",
]

KS = (1, 2, 4, 8, 16)

_SAMPLING = Sampling(max_new_tokens=32)


def population_measures(table: StateTable, config: WorldConfig) -> dict[str, float]:
    """Exact values in the population under their names in reports, see `history_values`."""
    values = history_values(table, config, ks=KS)
    return {f"{name}{POPULATION}": value for name, value in values.items()}


def measures_at_temperature(
    tables: Mapping[str, StateTable], config: WorldConfig, temperature: float
) -> dict[str, float]:
    """Exact values in the population of a policy whose choice of kind is sampled at a temperature.

    Args:
        tables: question -> its kind probabilities at temperature 1, as `decode_questions` reads them.
        config: the World.
        temperature: above 0. The rest of the text is taken to be written as at temperature 1.

    Returns:
        As `population_measures`; empty without tables. States are weighted by their visits at temperature 1.
    """
    readings = [
        KindReading(question, state, chances ** (1 / temperature), None)
        for question, table in tables.items()
        for state, chances in table.probabilities.items()
        for _ in range(round(table.visits[state]))
    ]
    return population_measures(pool(readings), config) if readings else {}


def measure_checkpoint(
    path: Path, policy: LanguageModelPolicy, task: Task, config: Mapping[str, Any], name: str, step: int
) -> dict[str, Any]:
    """Plays the test questions and reads the kind choices, or returns what a file holds from an earlier call.

    Args:
        path: the file; written if it does not exist.
        policy: the checkpoint.
        task: the World.
        config: the cell's; `samples` rollouts of each of `questions` test questions are played, and the first
            `read_samples` of each question are read.
        name: of the policy in the records.
        step: of the checkpoint.

    Returns:
        {"measures": {name: value}, "states": the pooled table, see `encode_states`, "information": {name: value},
        "question_tables": see `encode_questions`}. The measures are those of `measures/summary.py`, the values in the
        population, and `kind_information_logits`; the latter two are missing, and the table is empty, if the policy
        does not search.
    """

    def measured() -> dict[str, Any]:
        samples = config["samples"]
        measures, episodes = played_measures(policy, task, config, name, step, samples, _SAMPLING)
        read = [episode for at, episode in enumerate(episodes) if at % samples < config["read_samples"]]
        readings = read_kinds(policy, read)
        information = _information(readings, read)
        of_logits = {
            "kind_information_logits": information["kind_information"],
            "outside_kind_words": information["outside_kind_words"],
        }
        table = pool(readings) if readings else None  # a policy that broke may search no more
        assert task.world is not None
        return {
            "measures": {**measures, **(_exact(table, task.world, config) | of_logits if table else {})},
            "states": encode_states(table) if table else {},
            "information": information,
            "question_tables": encode_questions(readings),
        }

    found: dict[str, Any] = kept_json(path, measured)
    return found


def _exact(table: StateTable, world: WorldConfig, config: Mapping[str, Any]) -> dict[str, float]:
    """Values in the population; distinct query sequences among them if the cell counts them."""
    size = config.get("sequences", 0)
    counts = history_sequences(table, world, size) if size else {}
    return population_measures(table, world) | {f"{name}{POPULATION}": value for name, value in counts.items()}


def measure_greedy(
    path: Path, policy: LanguageModelPolicy, task: Task, config: Mapping[str, Any], name: str, step: int
) -> dict[str, float]:
    """The direct measures of one greedy episode per test question, from a file if it exists."""
    greedy = Sampling(temperature=0.0, max_new_tokens=_SAMPLING.max_new_tokens)
    found: dict[str, float] = kept_json(path, lambda: played_measures(policy, task, config, name, step, 1, greedy)[0])
    return found


def played_measures(
    policy: LanguageModelPolicy,
    task: Task,
    config: Mapping[str, Any],
    name: str,
    step: int,
    samples: int,
    sampling: Sampling = _SAMPLING,
) -> tuple[dict[str, float], list[Episode]]:
    """Direct measures of rollouts of the test questions, and the episodes, question by question."""
    episodes: list[Episode] = []

    def keep(done: int, batch: Sequence[Episode]) -> None:
        episodes.extend(batch)

    records = evaluate(
        policy,
        task,
        split="test",
        num_questions=config["questions"],
        num_samples=samples,
        sampling=sampling,
        seed=config["seed"],
        policy_id=name,
        checkpoint_step=step,
        max_rows=MAX_ROWS,
        on_progress=keep,
    )
    found = summarize(records, ks=[k for k in KS if k <= samples])["measures"]
    return {name: estimate["value"] for name, estimate in found.items()}, episodes


def _information(readings: Sequence[KindReading], episodes: Sequence[Episode]) -> dict[str, float]:
    """What the readings say beside their mean.

    Returns:
        kind_information: I(kind; question | state), nats. outside_kind_words: probability that a query does not begin
        with an untried kind. readings: their number. readings_per_query: the same over the searches of the episodes; 1
        if all of these followed histories that could be read.
    """
    queries = sum(len(episode.queries) for episode in episodes)
    return {
        "kind_information": state_information(readings),
        "outside_kind_words": outside_share(readings),
        "readings": len(readings),
        "readings_per_query": len(readings) / queries if queries else 0.0,
    }
