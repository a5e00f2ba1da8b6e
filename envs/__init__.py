"""Search environments: questions, episodes, rewards, records and the Gymnasium environments around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..retrieval_index.lazy_names import lazy_names

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "answers": ("exact_match", "f1", "normalize", "sub_exact_match"),
        "episode": ("Draft", "Episode", "StepResult", "Tokens", "Turn", "advance", "start"),
        "question_searcher": ("QuestionSearcher",),
        "questions": ("EpisodeSpec", "Question"),
        "record": ("EpisodeRecord", "RecordError", "iter_records", "read_records", "write_records"),
        "recording": ("record_of",),
        "reward_vectors": ("candidate_vectors", "vector_names", "vector_table"),
        "rewards": (
            "EpisodeFacts",
            "REWARD_SUMMARIES",
            "REWARD_TERMS",
            "RewardSpec",
            "evidence_recall",
            "hop_hits",
            "parse_reward",
            "register_reward",
        ),
        "search_env": ("SearchEnv",),
        "unicode_text": ("UnicodeText",),
        "vector_env": ("SearchVectorEnv",),
        "wrappers": ("CorpusControl", "LimitEpisode", "RecordEpisodes", "ReplaceReward"),
    },
)
