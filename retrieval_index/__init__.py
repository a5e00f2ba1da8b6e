"""Passages in, hits out: corpora, indexes on disk and the searchers that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy_names import lazy_names

if TYPE_CHECKING:
    from .backends import Backend, BuildSettings, register_backend
    from .bm25s_index import Bm25sSearcher
    from .cached import CachedSearcher
    from .controls import EmptySearcher, OracleSearcher, RandomSearcher
    from .corpus import Corpus, CorpusError, Passage, read_corpus, write_corpus
    from .dense import DenseSearcher
    from .encoder import load_encoder
    from .errors import BerrypickError, MissingExtraError, SearchUnavailableError, UnknownNameError
    from .evaluation import evaluate_index
    from .hybrid import HybridSearcher
    from .import_index import import_faiss, import_lucene
    from .manifest import IndexFolderError, Manifest, read_manifest
    from .remote import RemoteSearcher
    from .searcher import Hit, Searcher, ranked
    from .store import IndexExistsError, build_index, check_index, ensure_index, open_searcher

__all__ = [
    "Backend",
    "BerrypickError",
    "Bm25sSearcher",
    "BuildSettings",
    "CachedSearcher",
    "Corpus",
    "CorpusError",
    "DenseSearcher",
    "EmptySearcher",
    "Hit",
    "HybridSearcher",
    "IndexExistsError",
    "IndexFolderError",
    "Manifest",
    "MissingExtraError",
    "OracleSearcher",
    "Passage",
    "RandomSearcher",
    "RemoteSearcher",
    "SearchUnavailableError",
    "Searcher",
    "UnknownNameError",
    "build_index",
    "check_index",
    "ensure_index",
    "evaluate_index",
    "import_faiss",
    "import_lucene",
    "load_encoder",
    "open_searcher",
    "ranked",
    "read_corpus",
    "read_manifest",
    "register_backend",
    "write_corpus",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "backends": ("Backend", "BuildSettings", "register_backend"),
        "bm25s_index": ("Bm25sSearcher",),
        "cached": ("CachedSearcher",),
        "controls": ("EmptySearcher", "OracleSearcher", "RandomSearcher"),
        "corpus": ("Corpus", "CorpusError", "Passage", "read_corpus", "write_corpus"),
        "dense": ("DenseSearcher",),
        "encoder": ("load_encoder",),
        "errors": ("BerrypickError", "MissingExtraError", "SearchUnavailableError", "UnknownNameError"),
        "evaluation": ("evaluate_index",),
        "hybrid": ("HybridSearcher",),
        "import_index": ("import_faiss", "import_lucene"),
        "manifest": ("IndexFolderError", "Manifest", "read_manifest"),
        "remote": ("RemoteSearcher",),
        "searcher": ("Hit", "Searcher", "ranked"),
        "store": ("IndexExistsError", "build_index", "check_index", "ensure_index", "open_searcher"),
    },
)
