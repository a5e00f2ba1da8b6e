"""`berrypick index build | check | search | eval`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .corpus import read_corpus
from .errors import BerrypickError
from .evaluation import evaluate_index
from .plain_text import safe_text
from .store import build_index, check_index, open_searcher, read_manifest

__all__ = ["IndexBuild", "IndexCheck", "IndexEval", "IndexSearch"]


@dataclass(frozen=True)
class IndexBuild:
    """Corpus to index on disk, whole or not at all."""

    corpus: Path
    """JSONL, plain or .gz"""
    out: Path
    """index folder"""
    backend: str = "lucene"
    """lucene, bm25s or faiss"""
    encoder: str = "minilm"
    """for faiss: a hub id, a folder, or minilm"""
    k1: float = 0.9
    """BM25's term-frequency saturation"""
    b: float = 0.4
    """BM25's length normalisation"""
    overwrite: bool = False
    """replace an existing index"""
    skip_bad: bool = False
    """leave bad lines out and list them"""

    def run(self) -> int:
        """Builds."""
        console = Console(stderr=True)
        with console.status(f"reading {self.corpus}"):
            corpus = read_corpus(self.corpus, skip_bad=self.skip_bad)
        for line in corpus.skipped[:10]:
            sys.stderr.write(f"skipped {line}\n")
        if corpus.skipped:
            sys.stderr.write(f"{len(corpus.skipped)} lines skipped\n")
        with console.status(f"building {self.out} ({len(corpus.passages)} passages)"):
            manifest = build_index(
                corpus,
                self.backend,
                self.out,
                encoder=self.encoder if self.backend == "faiss" else None,
                k1=self.k1,
                b=self.b,
                overwrite=self.overwrite,
            )
        sys.stdout.write(
            f"{self.out}: {manifest.num_passages} passages, {manifest.backend}, id {manifest.index_id[:16]}\n"
        )
        return 0


@dataclass(frozen=True)
class IndexCheck:
    """Integrity of an index: every checksum."""

    folder: tyro.conf.Positional[Path]
    """index folder"""

    def run(self) -> int:
        """Checks."""
        manifest = read_manifest(self.folder)
        for line in check_index(self.folder):
            sys.stdout.write(f"{line}\n")
        sys.stdout.write(f"{self.folder} is whole: {manifest.backend}, id {manifest.index_id[:16]}\n")
        return 0


@dataclass(frozen=True)
class IndexSearch:
    """A look at what a query finds."""

    folder: tyro.conf.Positional[Path]
    """index folder"""
    query: tyro.conf.Positional[str]
    """what to look for"""
    k: int = 5
    """hits"""
    json: bool = False
    """one JSON document"""

    def run(self) -> int:
        """Searches."""
        if self.k < 1:
            raise BerrypickError("--k must be at least 1")
        hits = open_searcher(self.folder).search([self.query], self.k)[0]
        if self.json:
            rows = [{"id": hit.id, "title": hit.title, "text": hit.text, "score": hit.score} for hit in hits]
            sys.stdout.write(json.dumps(rows, indent=1) + "\n")
            return 0
        table = Table(show_lines=False)
        for name in ("rank", "score", "id", "title", "text"):
            table.add_column(name, overflow="ellipsis", no_wrap=name != "text")
        for rank, hit in enumerate(hits, 1):
            text = hit.text if len(hit.text) <= 200 else hit.text[:200] + " ..."
            table.add_row(str(rank), f"{hit.score:.4f}", *(Text(safe_text(cell)) for cell in (hit.id, hit.title, text)))
        Console().print(table if hits else "no hits")
        return 0


@dataclass(frozen=True)
class IndexEval:
    """Evidence recall on a questions file."""

    folder: tyro.conf.Positional[Path]
    """index folder"""
    questions: Path
    """JSONL with metadata.supporting_ids"""
    k: tuple[int, ...] = (2, 5, 10)
    """cut-offs"""
    json: bool = False
    """one JSON document"""

    def run(self) -> int:
        """Evaluates."""
        if not self.k or min(self.k) < 1:
            raise BerrypickError("--k needs cut-offs of at least 1")
        result = evaluate_index(open_searcher(self.folder), self.questions, self.k)
        if self.json:
            sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
            return 0
        table = Table(
            title=f"{result['num_questions']} questions, {result['num_without_support']} without support left out"
        )
        for name in ("k", "recall", "all support"):
            table.add_column(name, justify="right")
        for k in self.k:
            table.add_row(str(k), f"{result[f'recall@{k}']:.3f}", f"{result[f'all_support@{k}']:.3f}")
        Console().print(table)
        return 0
