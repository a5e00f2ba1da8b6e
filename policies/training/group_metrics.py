"""Metrics of a training step, computed from its rollouts without a separate evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...envs.answers import normalize
from ...envs.episode import UNAVAILABLE, Episode
from ...envs.formats.turn_format import Search
from ...envs.metrics.breadth import union_coverage
from ...envs.metrics.entropy import query_token_mask
from ...envs.metrics.turn_text import is_degenerate
from ..rollout import SEARCH_FAILED, WINDOW_FULL

__all__ = ["group_metrics"]

Groups = Sequence[Sequence[Episode]]


def group_metrics(groups: Groups) -> dict[str, float]:
    """Means over the rollouts of a step, [question][sample].

    `env/*` are names that other libraries use too; `search/*` are specific to search; entropies are in nats. Measures
    without a value (no query, no known evidence) are left out.
    """
    flat = [episode for group in groups for episode in group]
    turns = sum(len(episode.turns) for episode in flat)
    queries = [normalize(query) for episode in flat for query in episode.queries]
    metrics = {
        "reward": float(np.mean([episode.reward for episode in flat])),
        "pass@1": float(np.mean([episode.correct for episode in flat])),
        f"pass@{len(groups[0])}": float(np.mean([any(e.correct for e in group) for group in groups])),
        "env/number_of_valid_search": len(queries) / len(flat),
        "env/ratio_of_valid_action": 1 - sum(episode.num_invalid for episode in flat) / turns,
        "env/finish_ratio": float(np.mean([episode.terminated for episode in flat])),
        "env/window_full": float(np.mean([_ended_by(episode, WINDOW_FULL) for episode in flat])),
        "env/degenerate_text": sum(is_degenerate(t.draft.text) for episode in flat for t in episode.turns) / turns,
        "search/failed": float(np.mean([_ended_by(episode, SEARCH_FAILED, UNAVAILABLE) for episode in flat])),
        "search/retrieval_clusters": float(np.mean([len({e.shown_ids for e in group}) for group in groups])),
    }
    unique = [
        len({normalize(q) for e in group for q in e.queries}) / total
        for group in groups
        if (total := sum(len(e.queries) for e in group))
    ]
    breadth = [
        value
        for group in groups
        if (value := union_coverage(group[0].question.evidence, [e.shown_ids for e in group])) is not None
    ]
    entropies = _query_entropies(flat)
    for name, values in (
        ("search/unique_query_ratio", unique),
        ("search/breadth", breadth),
        ("search/query_token_entropy_nats", entropies),
    ):
        if len(values):
            metrics[name] = float(np.mean(values))
    return metrics


def _ended_by(episode: Episode, *errors: str) -> bool:
    return bool(episode.turns) and (episode.turns[-1].error or "").startswith(errors)


def _query_entropies(episodes: Sequence[Episode]) -> list[float]:
    """Entropies of all tokens inside query spans."""
    values: list[float] = []
    for episode in episodes:
        for turn, tokens in episode.token_turns:
            if isinstance(turn.action, Search):
                inside = query_token_mask(tokens.char_starts, turn.draft.text, turn.action.spans)
                values += tokens.entropies[: len(inside)][inside].tolist()
    return values
