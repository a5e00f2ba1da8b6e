"""The mixture of plans that maximises a weighting of pass@1 and pass@k, with a certificate of how close it is.

A mixture's success probability on a question is linear in its weights, and pass@k is concave in it. Frank-Wolfe steps
bring plans in and out of the mixture; Newton steps on the plans in use find their best weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .availability import Array
from .plans import ListedPlans, SearchedPlans

__all__ = ["best_mixture"]

MAX_STEPS = 2000
NEWTON_STEPS = 30


@dataclass(frozen=True, slots=True)
class _Goal:
    """balance * pass@1 + (1 - balance) * pass@k over questions of some weights, float64 [n]."""

    weights: Array
    k: int
    balance: float

    def slopes(self, p: Array) -> Array:
        """Derivative by the success probability of each question, [n]."""
        return self.weights * (self.balance + (1 - self.balance) * self.k * _power(1 - p, self.k - 1))

    def curvatures(self, p: Array) -> Array:
        """Minus the second derivative, [n]; at least 0."""
        if self.k < 2:
            return np.zeros_like(p)
        return self.weights * ((1 - self.balance) * self.k * (self.k - 1) * _power(1 - p, self.k - 2))


def best_mixture(
    plans: ListedPlans | SearchedPlans, weights: Array, k: int, balance: float, start: Array, tolerance: float
) -> tuple[Array, float]:
    """The mixture that maximises balance * pass@1 + (1 - balance) * pass@k, and its duality gap.

    Pairwise Frank-Wolfe (Lacoste-Julien and Jaggi, 2015) with Newton steps between. By concavity no mixture of any
    plans is better than the one returned by more than the gap.

    Args:
        plans: `success` may grow while this runs.
        weights: float64 [n], share of each question.
        k: of pass@k.
        balance: weight of pass@1, 0 to 1.
        start: float64 [plans], a mixture to start from; shorter than `success` if that has grown since.
        tolerance: the gap to reach; steps end without it only if rounding leaves nothing to gain.
    """
    goal = _Goal(weights, k, balance)
    mixture = _padded(start, len(plans.success))
    gap = np.inf
    for _ in range(MAX_STEPS):
        p = _probabilities(mixture @ plans.success)
        slopes = goal.slopes(p)
        best = plans.best(slopes)
        mixture = _padded(mixture, len(plans.success))
        gradient = plans.success @ slopes  # derivative by the weight of each plan
        gap = max(0.0, float(gradient[best] - mixture @ gradient))
        if gap <= tolerance:
            break
        # The pairwise step moves weight from the worst plan in use to the best plan. The classic step, towards the
        # best plan alone, shrinks all weights and never removes a plan.
        used = np.flatnonzero(mixture > 0)
        worst = int(used[gradient[used].argmin()])
        step = _line_search(goal, p, plans.success[best] - plans.success[worst], float(mixture[worst]))
        mixture[best] += step
        mixture[worst] = mixture[worst] - step if step < mixture[worst] else 0.0
        _polish(goal, plans.success, mixture)
    return mixture, gap


def _padded(mixture: Array, length: int) -> Array:
    return np.append(mixture, np.zeros(length - len(mixture)))


def _probabilities(p: Array) -> Array:
    return np.minimum(np.maximum(p, 0.0), 1.0)  # faster than np.clip for short arrays


def _polish(goal: _Goal, success: Array, mixture: Array) -> None:
    """Newton steps on the weights of the plans in use, in place; a plan whose weight reaches 0 leaves."""
    for _ in range(NEWTON_STEPS):
        used = np.flatnonzero(mixture > 0)
        if len(used) < 2:
            return
        rows = success[used]
        p = _probabilities(mixture[used] @ rows)
        gradient = rows @ goal.slopes(p)
        if gradient.max() - gradient.min() < 1e-14:
            return
        direction = _newton_direction((rows * goal.curvatures(p)) @ rows.T, gradient)
        falling = direction < 0
        if not falling.any() or gradient @ direction <= 0:
            return
        limits = -mixture[used][falling] / direction[falling]
        longest = float(limits.min())
        step = _line_search(goal, p, direction @ rows, longest)
        moved = mixture[used] + step * direction
        if step == longest:
            moved[np.flatnonzero(falling)[limits <= longest]] = 0.0
        mixture[used] = np.maximum(moved, 0.0)
        mixture /= mixture.sum()
        if step * float(np.abs(direction).max()) < 1e-15:
            return


def _newton_direction(curvature: Array, gradient: Array) -> Array:
    """The direction of weights that sums to 0 and maximises the quadratic model; equal plans make it singular."""
    size = len(gradient)
    if not curvature.any():
        steepest: Array = gradient - gradient.mean()
        return steepest
    system = np.zeros((size + 1, size + 1))
    system[:size, :size] = curvature + np.eye(size) * (1e-13 * np.trace(curvature) / size)
    system[:size, size] = system[size, :size] = 1.0
    target = np.append(gradient, 0.0)
    try:
        direction = np.linalg.solve(system, target)[:size]
    except np.linalg.LinAlgError:
        direction = np.linalg.lstsq(system, target, rcond=None)[0][:size]
    direction -= direction.mean()
    scale = float(np.abs(direction).max())
    out: Array = direction / scale if scale > 0 else direction  # its length is the line search's
    return out


def _line_search(goal: _Goal, p: Array, direction: Array, longest: float) -> float:
    """The step in [0, longest] that maximises the goal along a direction [n], by Newton's method inside a bracket."""

    def slope(step: float) -> tuple[float, float]:
        q = _probabilities(p + step * direction)
        return float(direction @ goal.slopes(q)), -float(direction**2 @ goal.curvatures(q))

    if slope(longest)[0] >= 0:
        return longest
    low, high, step = 0.0, longest, 0.0
    for _ in range(60):
        value, change = slope(step)
        if value > 0:
            low = step
        else:
            high = step
        newton = step - value / change if change < 0 else np.inf
        step, last = newton if low < newton < high else (low + high) / 2, step
        if abs(step - last) <= 1e-15 * longest:
            break
    return step


def _power(base: Array, exponent: int) -> Array:
    """base ** exponent by squaring, several times faster than NumPy's for short arrays."""
    out = np.ones_like(base)
    while exponent:
        if exponent & 1:
            out = out * base
        base, exponent = base * base, exponent >> 1
    return out
