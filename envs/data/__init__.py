"""Question sets: reading files in our format and in upstream formats, downloads, and leaks between splits."""

from __future__ import annotations

from .downloads import SOURCES, HubSource, check_download, get_dataset
from .leaks import Leak, find_leaks
from .questions_file import QuestionError, cache_folder, data_folder, read_questions
from .upstream import Dataset, read_any_corpus, read_dataset
from .upstream_records import FORMATS, UpstreamFormat, passage_from_text

__all__ = [
    "FORMATS",
    "SOURCES",
    "Dataset",
    "HubSource",
    "Leak",
    "QuestionError",
    "UpstreamFormat",
    "cache_folder",
    "check_download",
    "data_folder",
    "find_leaks",
    "get_dataset",
    "passage_from_text",
    "read_any_corpus",
    "read_dataset",
    "read_questions",
]
