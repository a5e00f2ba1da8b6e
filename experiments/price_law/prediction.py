"""The tax of an arm predicted from a World's settings alone, fitted on the other half of the Worlds.

A method is taken for a balance: the weighting of pass@1 and pass@k whose optimal policy lies nearest to what the method
reached. One balance for each run is fitted; in a new World the frontier, which its settings determine, says where a
policy of that balance lies. For comparison, a regression on the World's settings predicts the tax too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.world.population import PopulationFrontier

__all__ = ["balance_places", "predicted_taxes"]

Array = NDArray[np.float64]

_LOGITS = np.linspace(-10, 12, 221)
"""Log-odds of the balances that are tried."""

_RIDGE = 1.0
"""Penalty of the regression, on standardised features."""


def predicted_taxes(
    worlds: Sequence[Mapping[str, Any]], places: Array, ends: Array, controls: Array
) -> tuple[Array, Array]:
    """Tax of each World by a constant balance and by regression; each half is predicted by a fit on the other.

    Args:
        worlds: settings.
        places: `balance_places` of each World, float64 [worlds, balances, 2].
        ends: (pass@1, pass@k) of the run, float64 [worlds, 2].
        controls: the same of its control.

    Returns:
        Two float64 [worlds]; NaN where there are fewer than four Worlds.
    """
    count = len(worlds)
    by_balance, by_regression = np.full(count, np.nan), np.full(count, np.nan)
    if count < 4:
        return by_balance, by_regression
    tax = ends[:, 0] - controls[:, 0]
    features = np.array([_features(world) for world in worlds])
    half = np.arange(count) % 2 == 0
    for fitted in (half, ~half):
        arm, control = _nearest(places[fitted], ends[fitted]), _nearest(places[fitted], controls[fitted])
        steps = places[:, arm, 0] - places[:, control, 0]
        wasted = float((tax - steps)[fitted].mean())
        by_balance[~fitted] = (steps + wasted)[~fitted]
        by_regression[~fitted] = _ridge(features[fitted], tax[fitted], features[~fitted])
    return by_balance, by_regression


def balance_places(front: PopulationFrontier) -> Array:
    """(pass@1, pass@k) of the optimal policy of each balance that is tried, float64 [balances, 2].

    Between two solved balances it is a mixture of both policies, which lies on the frontier to its certified error.
    """
    logits = [np.log(point.balance / (1 - point.balance)) for point in front.points]
    return np.stack(
        [np.interp(_LOGITS, logits, [getattr(point, name) for point in front.points])
         for name in ("pass_at_1", "pass_at_k")],
        axis=1,
    )  # fmt: skip


def _nearest(places: Array, ends: Array) -> int:
    """Index of the balance whose policies lie nearest to the ends, in the mean square over Worlds."""
    return int(((places - ends[:, None]) ** 2).sum(-1).mean(0).argmin())


def _features(world: Mapping[str, Any]) -> Array:
    """Settings, squares and products: the three best availabilities, their mean, budget a hop, hops, kinds, cue."""
    availability = sorted(world["availability"], reverse=True)
    one = np.array(
        [
            *availability[:3],
            float(np.mean(availability)),
            world["budget"] / world["hops"],
            world["hops"],
            len(availability),
            world["cue"],
        ]
    )
    return np.concatenate([one, np.outer(one, one)[np.triu_indices(len(one))]])


def _ridge(features: Array, values: Array, new: Array) -> Array:
    """Ridge regression on standardised features, evaluated at new ones."""
    mean, spread = features.mean(0), features.std(0)
    kept = spread > 0
    x, at = ((part[:, kept] - mean[kept]) / spread[kept] for part in (features, new))
    system = x.T @ x + _RIDGE * np.eye(x.shape[1])
    out: Array = at @ np.linalg.solve(system, x.T @ (values - values.mean())) + values.mean()
    return out
