"""Measures of one question's rollouts: one value a group, or none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from ...envs.answers import normalize
from ...envs.metrics.breadth import path_coverage, rarefied_union, redundancy, union_coverage, unique_ratio
from ...envs.metrics.collapse import EffectiveDiversity, effective_diversity
from ...envs.metrics.entropy import discrete_entropy, query_sequence_spans, query_token_mask
from ...envs.record import EpisodeRecord
from ...retrieval_index.plugins import Registry

__all__ = ["MEASURES", "RAREFIED_QUERIES", "Group", "Measure", "load_measures", "mean", "register_measure"]

RAREFIED_QUERIES = 8
"""Queries at which groups of different length are compared."""


class Group(list[EpisodeRecord]):
    """The rollouts of one question; it is not changed once it is measured."""

    @cached_property
    def query_tokens(self) -> list[_QueryTokens]:
        """Of all queries whose tokens were recorded."""
        return [query for record in self for query in _query_tokens(record)]


OfGroup = Callable[[Group], float | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure's one-line meaning; it has one value a question, or none."""

    label: str
    of_group: OfGroup


@dataclass(frozen=True, slots=True)
class _QueryTokens:
    """One query as it was sampled.

    Attributes:
        turn: of its episode, from 0.
        entropy: summed over its tokens.
        num_tokens: without what closes it.
        log_prob: with what closes it.
    """

    turn: int
    entropy: float
    num_tokens: int
    log_prob: float


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values there are; None without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _queries(group: Group) -> list[str]:
    return [normalize(query) for record in group for query in record.queries]


def _query_tokens(record: EpisodeRecord) -> list[_QueryTokens]:
    out = []
    for number, turn in enumerate(record.turns):
        if turn.tokens is None or turn.action != "search":
            continue
        entropies, log_probs = np.array(turn.tokens.entropies), np.array(turn.tokens.log_probs)
        for span, whole in zip(turn.query_spans, query_sequence_spans(turn.text, turn.query_spans)):
            inside = query_token_mask(turn.tokens.char_starts, turn.text, [span])
            closed = query_token_mask(turn.tokens.char_starts, turn.text, [whole])
            entropy, log_prob = float(entropies[inside].sum()), float(log_probs[closed].sum())
            out.append(_QueryTokens(number, entropy, int(inside.sum()), log_prob))
    return out


def _asked(group: Group, *, first_turn: bool) -> list[_QueryTokens]:
    return [query for query in group.query_tokens if query.turn == 0 or not first_turn]


def _token_entropy(group: Group, *, first_turn: bool = False) -> float | None:
    found = _asked(group, first_turn=first_turn)
    tokens = sum(query.num_tokens for query in found)
    return sum(query.entropy for query in found) / tokens if tokens else None


def _per_query_entropy(group: Group) -> float | None:
    return mean([query.entropy for query in group.query_tokens])


def _sequence_entropy(group: Group, *, first_turn: bool = False) -> float | None:
    """Recorded log-probabilities are of temperature 1; over draws of another distribution their mean is no entropy."""
    if any(record.temperature != 1 or (record.model_extra or {}).get("top_p", 1) != 1 for record in group):
        return None
    return mean([-query.log_prob for query in _asked(group, first_turn=first_turn)])


def _semantic_entropy(group: Group) -> float | None:
    """Over first queries, clustered by the set they bring back."""
    first = [
        frozenset(hit.id for hit in turn.hits[0])
        for record in group
        for turn in [t for t in record.turns if t.action == "search" and t.error is None and t.hits][:1]
    ]
    return discrete_entropy(first, miller_madow=True) if first else None


def _path_entropy(group: Group) -> float | None:
    return discrete_entropy([record.shown_ids for record in group], miller_madow=True)


def _all_hops(record: EpisodeRecord) -> float | None:
    paths = [path for path in record.evidence_sets if path]
    return float(any(all(hop & record.shown_ids for hop in path) for path in paths)) if paths else None


def _effective(group: Group) -> EffectiveDiversity | None:
    """Valid: an exact match; meaning: the relevant passages it was shown."""
    if any(record.em is None for record in group):
        return None
    relevant = frozenset(passage for path in group[0].evidence_sets for hop in path for passage in hop)
    return effective_diversity([r.em == 1 for r in group], [r.shown_ids & relevant for r in group])


def _or_none(group: Group, name: str) -> float | None:
    found = _effective(group)
    value = math.nan if found is None else float(getattr(found, name))
    return None if math.isnan(value) else value


def _shown_by_query(group: Group) -> list[frozenset[str]]:
    return [frozenset(hit.id for hit in ranking) for record in group for turn in record.turns for ranking in turn.hits]


MEASURES: Registry[Measure] = Registry("measure", "berrypick.metrics", "my_measures.py:NAME")
"""Name -> measure; every report has all of them."""


def register_measure(name: str, label: str) -> Callable[[OfGroup], OfGroup]:
    """Decorator that makes a function of a `Group`, the rollouts of one question, a measure of all reports.

    Args:
        name: its key in JSON and CSV files.
        label: one line about it, with its unit.

    Raises:
        BerrypickError: another module has registered this name.
    """

    def register(of_group: OfGroup) -> OfGroup:
        MEASURES.register(name, Measure(label, of_group), of_group.__module__)
        return of_group

    return register


@cache
def load_measures() -> None:
    """Loads the measures that installed packages announce under the entry-point group `berrypick.metrics`, once."""
    MEASURES.load_installed()


_BUILT_IN: dict[str, Measure] = {
    "em": Measure("exact match, pass@1", lambda g: mean([r.em for r in g])),
    "f1": Measure("token F1 of the answer", lambda g: mean([r.f1 for r in g])),
    "evidence_recall": Measure(
        "share of hops with a relevant passage, per episode", lambda g: mean([r.evidence_recall for r in g])
    ),
    "all_hops": Measure("share of episodes that saw a whole evidence path", lambda g: mean([_all_hops(r) for r in g])),
    "breadth": Measure(
        "relevant passages found by the group / there are",
        lambda g: union_coverage(g[0].evidence_sets, [r.shown_ids for r in g]),
    ),
    "path_coverage": Measure(
        "evidence paths walked by some episode of the group / there are",
        lambda g: path_coverage(g[0].evidence_sets, [r.shown_ids for r in g]),
    ),
    "redundancy": Measure(
        "1 - distinct passages / passages, over the group's episodes", lambda g: redundancy([r.shown_ids for r in g])
    ),
    "unique_query_ratio": Measure("distinct queries / queries, in the group", lambda g: unique_ratio(_queries(g))),
    "unique_query_ratio_episode": Measure(
        "distinct queries / queries, in an episode",
        lambda g: mean([unique_ratio([normalize(q) for q in r.queries]) for r in g]),
    ),
    "distinct_passages": Measure(
        "distinct passages shown to the group",
        lambda g: float(len(frozenset().union(*(r.shown_ids for r in g)))),
    ),
    "distinct_passages_rarefied": Measure(
        f"distinct passages that {RAREFIED_QUERIES} queries of the group bring",
        lambda g: rarefied_union(_shown_by_query(g), RAREFIED_QUERIES),
    ),
    "searches": Measure("searches an episode", lambda g: mean([float(len(r.queries)) for r in g])),
    "valid_actions": Measure(
        "share of turns that were valid actions",
        lambda g: mean(
            [sum(t.action != "invalid" and t.error is None for t in r.turns) / len(r.turns) for r in g if r.turns]
        ),
    ),
    "finished": Measure(
        "share of episodes that ended with an answer", lambda g: mean([float(r.terminated) for r in g])
    ),
    "query_token_entropy": Measure("nats a token inside queries", _token_entropy),
    "query_entropy": Measure("nats a query, summed over its tokens", _per_query_entropy),
    "query_sequence_entropy": Measure("-log p of whole queries with their closing tag, nats", _sequence_entropy),
    "query_token_entropy_first_turn": Measure(
        "nats a token inside queries of the first turn, whose history all policies share",
        lambda g: _token_entropy(g, first_turn=True),
    ),
    "query_sequence_entropy_first_turn": Measure(
        "-log p of whole queries of the first turn, nats", lambda g: _sequence_entropy(g, first_turn=True)
    ),
    "semantic_query_entropy": Measure(
        "first queries clustered by what they retrieve, nats (Miller-Madow)", _semantic_entropy
    ),
    "path_entropy": Measure("episodes clustered by all they retrieved, nats (Miller-Madow)", _path_entropy),
    "effective_diversity": Measure(
        "distinct evidence among right episodes / all episodes", lambda g: _or_none(g, "fixed_budget")
    ),
    "effective_diversity_pairwise": Measure(
        "share of pairs of episodes, both right by different evidence", lambda g: _or_none(g, "pairwise")
    ),
    "diversity_given_quality": Measure(
        "distinct evidence among right episodes / right episodes", lambda g: _or_none(g, "given_quality")
    ),
    "policy_tokens": Measure(
        "tokens the policy wrote, an episode",
        lambda g: mean([None if r.policy_tokens is None else float(r.policy_tokens) for r in g]),
    ),
}

for _name, _measure in _BUILT_IN.items():
    MEASURES.register(_name, _measure, __name__)
