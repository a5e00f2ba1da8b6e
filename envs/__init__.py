"""Search environments: questions, episodes, rewards, records and the Gymnasium environments around them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import exact_match, f1, normalize, sub_exact_match
    from .episode import Draft, Episode, StepResult, Tokens, Turn, advance, start
    from .question_searcher import QuestionSearcher
    from .questions import EpisodeSpec, Question
    from .record import EpisodeRecord, RecordError, iter_records, read_records, write_records
    from .recording import record_of
    from .reward_vectors import candidate_vectors, vector_names, vector_table
    from .rewards import (
        REWARD_SUMMARIES,
        REWARD_TERMS,
        EpisodeFacts,
        RewardSpec,
        evidence_recall,
        hop_hits,
        parse_reward,
        register_reward,
    )
    from .search_env import SearchEnv
    from .unicode_text import UnicodeText
    from .vector_env import SearchVectorEnv
    from .wrappers import CorpusControl, LimitEpisode, RecordEpisodes, ReplaceReward

__all__ = [
    "REWARD_SUMMARIES",
    "REWARD_TERMS",
    "CorpusControl",
    "Draft",
    "Episode",
    "EpisodeFacts",
    "EpisodeRecord",
    "EpisodeSpec",
    "LimitEpisode",
    "Question",
    "QuestionSearcher",
    "RecordEpisodes",
    "RecordError",
    "ReplaceReward",
    "RewardSpec",
    "SearchEnv",
    "SearchVectorEnv",
    "StepResult",
    "Tokens",
    "Turn",
    "UnicodeText",
    "advance",
    "candidate_vectors",
    "evidence_recall",
    "exact_match",
    "f1",
    "hop_hits",
    "iter_records",
    "normalize",
    "parse_reward",
    "read_records",
    "record_of",
    "register_reward",
    "start",
    "sub_exact_match",
    "vector_names",
    "vector_table",
    "write_records",
]

_MODULES = {
    **dict.fromkeys(("exact_match", "f1", "normalize", "sub_exact_match"), "answers"),
    **dict.fromkeys(("Draft", "Episode", "StepResult", "Tokens", "Turn", "advance", "start"), "episode"),
    **dict.fromkeys(("QuestionSearcher",), "question_searcher"),
    **dict.fromkeys(("EpisodeSpec", "Question"), "questions"),
    **dict.fromkeys(("EpisodeRecord", "RecordError", "iter_records", "read_records", "write_records"), "record"),
    **dict.fromkeys(("record_of",), "recording"),
    **dict.fromkeys(("candidate_vectors", "vector_names", "vector_table"), "reward_vectors"),
    **dict.fromkeys(
        (
            "REWARD_SUMMARIES",
            "REWARD_TERMS",
            "EpisodeFacts",
            "RewardSpec",
            "evidence_recall",
            "hop_hits",
            "parse_reward",
            "register_reward",
        ),
        "rewards",
    ),
    **dict.fromkeys(("SearchEnv",), "search_env"),
    **dict.fromkeys(("UnicodeText",), "unicode_text"),
    **dict.fromkeys(("SearchVectorEnv",), "vector_env"),
    **dict.fromkeys(("CorpusControl", "LimitEpisode", "RecordEpisodes", "ReplaceReward"), "wrappers"),
}
"""Name -> the module that defines it. Modules load on first use, so that `import berrypick` stays fast."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
