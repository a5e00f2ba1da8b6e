"""A panel: policies of several methods, demonstrators and worlds, and how alike they are; exact in the population.

A condition's start "shares-60-30-10" names three demonstrators, who draw kinds in these proportions turned round: no
kind is favoured over the three. Each demonstrates in two worlds, with questions and draws of their own; from each of
the six starts every method trains. So pairs of policies share a start, a demonstrator, a world, a method, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...policies.kind_shares import SHARES
from ...policies.tabular.kinds import KindWorld, kind_probabilities
from ...policies.tabular.outcomes import list_episodes
from ...policies.tabular.similarity import Encoded, encode
from ...policies.tabular.training import imitate
from ...policies.tabular.values import RowTable, exact_values
from .arms import Arm
from .experiment import CellResult
from .measuring import population_of
from .table_cells import FRONTIER_K, TableCell
from .table_training import train_arm, training_world

__all__ = ["PAIRS", "PANEL_MEASURES", "panel_shares", "panel_values", "run_panel_cell"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

OTHER_WORLD = 10_000
"""What the seeds of a panel's second world have more."""

PAIRS = (
    "self", "same_start", "same_demonstrator", "other_demonstrator", "apart", "method_apart", "mismatched",
)  # fmt: skip
"""Types of pairs. self: the policy itself. In all others but one the methods differ; same_start: nothing else does.
same_demonstrator: in the other world. other_demonstrator: in the same world. apart: another demonstrator in the other
world; method_apart: the same with one method. mismatched: the same start, and different questions."""

_FACTORS = ("demonstrator", "world", "method", "mixed")
PANEL_MEASURES = (
    *(f"{name}{suffix}" for suffix in ("", "_words") for name in PAIRS), "even", "lost", "lost_words",
    "start_gain", "apart_over_even", *(f"variance_{name}" for name in _FACTORS), "demonstrator_over_method",
    "world_cost",
)  # fmt: skip
"""A type of pair: mean similarity of records; with _words, of words. even: of records, within a policy that draws all
kinds alike. lost: the share of what two policies of one start are alike above mismatched questions that is gone if they
are apart; start_gain: same_start - apart; apart_over_even: apart - even. variance_NAME: share of the variance of the
policies' mean vectors of records that goes with the demonstrator, the world (alone and with the demonstrator), the
method, or mixtures with the method; demonstrator_over_method: the first minus the third. world_cost: same_start -
same_demonstrator."""


_BOUNDS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys((*(f"{name}{suffix}" for suffix in ("", "_words") for name in PAIRS), "even"), (0.0, 1.0)),
    **dict.fromkeys((f"variance_{name}" for name in _FACTORS), (0.0, 1.0)),
    **dict.fromkeys(("start_gain", "apart_over_even", "demonstrator_over_method", "world_cost"), (-1.0, 1.0)),
}
"""The least and the largest value that any policies could have."""


def run_panel_cell(cell: TableCell, methods: Mapping[str, Arm]) -> CellResult:
    """Trains all policies of a panel and compares them at every checkpoint.

    Args:
        cell: its condition's start is in shares.
        methods: name -> arm; each trains from every start at the strength that claims are read at.

    Returns:
        {"checkpoints": {step: those of `PANEL_MEASURES`, at the ends also the mean pass@1 and pass@8}, "bounds":
        {measure: [low, high]}}; lost has none.
    """
    torch.set_num_threads(1)
    condition, shares = cell.where, cell.where.shares
    config = condition.world_config(cell.world, cell.questions)
    places = [(cell.seed, config), (cell.seed + OTHER_WORLD, replace(config, seed=config.seed + OTHER_WORLD))]
    rows = RowTable.population(config)
    trained: dict[tuple[int, int, int], dict[int, Array]] = {}
    for turn, (at, (seed, where)) in product(range(len(shares)), enumerate(places)):
        world = training_world(where)
        demonstrator = shares[-turn:] + shares[:-turn]
        start = _imitated(world, demonstrator, cell, seed)
        named = SHARES + "-".join(f"{share:g}" for share in demonstrator)
        for number, arm in enumerate(methods.values()):
            own = replace(arm, demonstrator=named) if arm.imitation else arm
            trained[turn, at, number] = train_arm(
                world, own, arm.middle[0], start, cell.table, seed=seed, demos=condition.start
            )
    population = population_of(rows, training_world(config))
    episodes = list_episodes(population)
    encoded = encode(population, rows.weights, episodes)
    even = episodes.outcomes(kind_probabilities(np.zeros(population.table_shape))).chances
    out: CellResult = {"checkpoints": {}, "bounds": {name: list(pair) for name, pair in _BOUNDS.items()}}
    for step in cell.table.checkpoints:
        policies = {key: kind_probabilities(way[step]) for key, way in trained.items()}
        chances = {key: episodes.outcomes(one).chances for key, one in policies.items()}
        found = panel_values(encoded["records"], encoded["words"], chances, even)
        if step in (cell.table.checkpoints[0], cell.table.checkpoints[-1]):
            values = [exact_values(rows, one, population.budget, (1, FRONTIER_K))[0] for one in policies.values()]
            found |= {f"pass@{k}": float(np.mean([one[f"pass@{k}"] for one in values])) for k in (1, FRONTIER_K)}
        out["checkpoints"][str(step)] = {name: round(value, 9) for name, value in found.items()}
    return out


def _imitated(world: KindWorld, shares: tuple[float, ...], cell: TableCell, seed: int) -> Array:
    logits = torch.zeros(world.table_shape, dtype=torch.float64, requires_grad=True)
    imitate(logits, world, None, cell.table, first_step=0, num_steps=cell.table.sft_steps, seed=seed, shares=shares)
    return logits.detach().numpy().copy()


Key = tuple[int, int, int]
"""(demonstrator, world, method)."""

_TYPES: Mapping[str, Callable[[Flags, Flags, Flags], Any]] = {
    "self": lambda demonstrator, world, method: demonstrator & world & method,
    "same_start": lambda demonstrator, world, method: demonstrator & world & ~method,
    "same_demonstrator": lambda demonstrator, world, method: demonstrator & ~world & ~method,
    "other_demonstrator": lambda demonstrator, world, method: ~demonstrator & world & ~method,
    "apart": lambda demonstrator, world, method: ~demonstrator & ~world & ~method,
    "method_apart": lambda demonstrator, world, method: ~demonstrator & ~world & method,
}
"""Type -> which pairs, bool [policies, policies], from which pairs agree in what."""


def panel_values(records: Encoded, words: Encoded, chances: Mapping[Key, Array], even: Array) -> dict[str, float]:
    """Those of `PANEL_MEASURES`.

    Args:
        records: the episodes under that encoder.
        words: the same under the other.
        chances: (demonstrator, world, method) -> float64 [questions, episodes], for all combinations.
        even: the same of a policy that draws all kinds alike.
    """
    keys = np.array(list(chances))
    agree = [keys[:, axis][:, None] == keys[:, axis] for axis in range(3)]
    pairs = {name: holds(*agree) for name, holds in _TYPES.items()}
    out: dict[str, float] = {}
    for suffix, encoded in (("", records), ("_words", words)):
        means = np.stack([encoded.mean_vectors(one) for one in chances.values()])  # [policies, questions, places]
        alike = np.einsum("q,aqp,bqp->ab", encoded.weights, means, means, optimize=True)
        out |= {f"{name}{suffix}": float(alike[where].mean()) for name, where in pairs.items()}
        blind = np.einsum("q,aqp->ap", encoded.weights, means)
        out[f"mismatched{suffix}"] = float((blind * encoded.shared @ blind.T)[pairs["same_start"]].mean())
        above = out[f"same_start{suffix}"] - out[f"mismatched{suffix}"]
        gone = out[f"same_start{suffix}"] - out[f"apart{suffix}"]
        out[f"lost{suffix}"] = gone / above if above > 0 else float("nan")
    mean = records.mean_vectors(even)
    out["even"] = records.similarity(mean, mean)
    out["start_gain"] = out["same_start"] - out["apart"]
    out["apart_over_even"] = out["apart"] - out["even"]
    out["world_cost"] = out["same_start"] - out["same_demonstrator"]
    root = np.sqrt(records.weights)[:, None]
    shares = panel_shares({key: (root * records.mean_vectors(one)).reshape(-1) for key, one in chances.items()})
    out |= {f"variance_{name}": value for name, value in shares.items()}
    out["demonstrator_over_method"] = shares["demonstrator"] - shares["method"]
    return out


def panel_shares(vectors: Mapping[Key, Array]) -> dict[str, float]:
    """Shares of the sum of squares of vectors about their mean, by factor; they add up to 1.

    Args:
        vectors: (demonstrator, world, method) -> float64 [places], for all combinations.
    """
    sizes = [1 + max(key[axis] for key in vectors) for axis in range(3)]
    first, second, third = map(range, sizes)
    cube = np.array([vectors[key] for key in product(first, second, third)]).reshape(*sizes, -1)
    centred = cube - cube.mean((0, 1, 2))
    total = float((centred**2).sum())
    if total < 1e-18:
        return dict.fromkeys(_FACTORS, float("nan"))
    demonstrator = float((centred.mean((1, 2)) ** 2).sum()) * sizes[1] * sizes[2] / total
    method = float((centred.mean((0, 1)) ** 2).sum()) * sizes[0] * sizes[1] / total
    starts = float((centred.mean(2) ** 2).sum()) * sizes[2] / total
    return {
        "demonstrator": demonstrator,
        "world": starts - demonstrator,
        "method": method,
        "mixed": 1 - starts - method,
    }
