"""Means over two things that both vary, such as training seeds and questions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .statistics import Estimate, t_quantile

__all__ = ["crossed_mean"]


def crossed_mean(values: NDArray[np.float64], *, level: float = 0.95) -> Estimate:
    """Mean over seeds and questions that both vary, with an interval for other seeds and other questions.

    The variance of the mean of a two-way table with random rows and columns is (rows + columns - residual) / cells in
    mean squares, and is never taken below that of rows or columns alone. Student's t has Satterthwaite's degrees of
    freedom (Satterthwaite 1946, Biometrics Bulletin 2:110), rounded down. An interval over questions alone, or over
    seeds alone, would leave out the other's share.

    Args:
        values: float64 [seeds, questions], no NaN; at least two of each. Pass differences to compare two arms.
        level: of the interval.

    Returns:
        `n` is the number of seeds.
    """
    seeds, questions = values.shape
    if seeds < 2 or questions < 2:
        raise ValueError(f"an interval needs at least 2 seeds and 2 questions, got {seeds} and {questions}")
    mean = float(values.mean())
    by_seed, by_question = values.mean(1), values.mean(0)
    rest = values - by_seed[:, None] - by_question[None, :] + mean
    free = ((seeds - 1), (questions - 1), (seeds - 1) * (questions - 1))
    squares = (
        questions * float(((by_seed - mean) ** 2).sum()) / free[0],
        seeds * float(((by_question - mean) ** 2).sum()) / free[1],
        float((rest**2).sum()) / free[2],
    )
    total = max(squares[0] + squares[1] - squares[2], squares[0], squares[1])
    if total <= 0:
        return Estimate(mean, mean, mean, seeds)
    spread = sum(square**2 / degrees for square, degrees in zip(squares, free))
    degrees = max(1, math.floor(total**2 / spread))
    half = t_quantile((1 + level) / 2, degrees) * math.sqrt(total / values.size)
    return Estimate(mean, mean - half, mean + half, seeds)
