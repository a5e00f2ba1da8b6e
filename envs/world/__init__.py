"""The planted World: its configuration, its questions, and the exact frontier of pass@1 and pass@k."""

from __future__ import annotations

from .availability import (
    AvailabilityTable,
    best_order,
    ceiling,
    cue_tables,
    order_success,
    pass_at_1,
    pass_at_k,
    population_table,
    question_table,
    replacement_success,
    uniform_orders,
)
from .closed_voice import KINDS, QUERY_FORMATS, RELATIONS, query_text
from .config import PRESETS, VOICES, WorldConfig
from .english_voice import find_fact, read_question
from .facts import WorldFacts
from .frontier import Frontier, FrontierPoint, check_supported, fitted_frontier, table_frontier
from .population import PopulationFrontier, population_frontier
from .world import SPLITS, World, build_world, passage_id

__all__ = [
    "KINDS",
    "PRESETS",
    "QUERY_FORMATS",
    "RELATIONS",
    "SPLITS",
    "VOICES",
    "AvailabilityTable",
    "Frontier",
    "FrontierPoint",
    "PopulationFrontier",
    "World",
    "WorldConfig",
    "WorldFacts",
    "best_order",
    "build_world",
    "ceiling",
    "check_supported",
    "cue_tables",
    "find_fact",
    "fitted_frontier",
    "order_success",
    "pass_at_1",
    "pass_at_k",
    "passage_id",
    "population_frontier",
    "population_table",
    "query_text",
    "question_table",
    "read_question",
    "replacement_success",
    "table_frontier",
    "uniform_orders",
]
