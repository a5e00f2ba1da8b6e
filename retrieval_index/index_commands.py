"""`berrypick index build | import | check | search | eval`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .bounds import at_least, check_bm25
from .corpus import read_corpus
from .errors import BerrypickError
from .evaluation import evaluate_index
from .left_overs import reclaim, reclaim_scratch
from .plain_text import counted, safe_text, skipped_text
from .store import (
    BuildSettings,
    Manifest,
    build_index,
    check_index,
    check_settings,
    check_target,
    index_folder,
    open_searcher,
    open_table,
    read_manifest,
)

__all__ = ["IndexBuild", "IndexCheck", "IndexClean", "IndexEval", "IndexImport", "IndexSearch"]


@dataclass(frozen=True)
class IndexBuild:
    """Build an index folder from a corpus."""

    corpus: Path
    """passages as JSONL, plain or .gz"""
    out: Path
    """index folder"""
    backend: str = "lucene"
    """bm25s, lucene, faiss, hybrid, milvus, or FILE.py:NAME for a back end of yours"""
    encoder: str = "minilm"
    """encoder of dense search: a hub id, a folder, or minilm"""
    kind: str = "flat"
    """kind of FAISS index: flat (exact), hnsw or ivfpq"""
    dtype: str = "fp32"
    """data type of the encoder's weights: fp32 or bf16"""
    batch_size: int = 64
    """texts per encoder forward"""
    uri: str = ""
    """address of a Milvus server; empty for a database file in the index folder"""
    k1: float = 0.9
    """BM25's term-frequency saturation"""
    b: float = 0.4
    """BM25's length normalisation"""
    overwrite: bool = False
    """replace an existing index"""
    skip_bad: bool = False
    """skip bad lines and list them"""

    def run(self) -> int:
        """Builds."""
        check_target(self.backend, self.out, overwrite=self.overwrite)
        check_bm25(self.k1, self.b)
        at_least(1, {"--batch-size": self.batch_size})
        settings = BuildSettings(
            self.k1, self.b, self.encoder, self.kind, dtype=self.dtype, batch_size=self.batch_size, uri=self.uri
        )
        check_settings(self.backend, settings)
        corpus = read_corpus(self.corpus, skip_bad=self.skip_bad)
        sys.stderr.write(skipped_text(corpus.skipped))
        with _progress(f"building {self.out}", len(corpus.passages)) as advance:
            manifest = build_index(
                corpus, self.backend, self.out, settings=settings, overwrite=self.overwrite, progress=advance
            )
        _print_built(self.out, manifest)
        return 0


@dataclass(frozen=True)
class IndexImport:
    """Import an index that another tool built, without rebuilding it."""

    out: Path
    """index folder"""
    index: Path | None = None
    """FAISS index file, e.g. e5_Flat.index; needs --corpus and --encoder"""
    corpus: Path | None = None
    """corpus of the FAISS index: line i is row i"""
    encoder: str | None = None
    """encoder of the vectors in the FAISS index"""
    lucene: Path | None = None
    """Lucene folder with stored raw documents, instead of --index"""
    k1: float = 0.9
    """BM25's term-frequency saturation"""
    b: float = 0.4
    """BM25's length normalisation"""
    overwrite: bool = False
    """replace an existing index"""

    def run(self) -> int:
        """Imports."""
        from .import_index import import_faiss, import_lucene

        check_bm25(self.k1, self.b)
        if self.lucene is not None and self.index is None and self.corpus is None and self.encoder is None:
            manifest = import_lucene(self.lucene, self.out, k1=self.k1, b=self.b, overwrite=self.overwrite)
        elif self.index is not None and self.corpus is not None and self.encoder and self.lucene is None:
            if (self.k1, self.b) != (IndexImport.k1, IndexImport.b):
                raise BerrypickError("--k1 and --b are for --lucene: a FAISS index has no BM25; remove them")
            manifest = import_faiss(self.index, self.corpus, self.encoder, self.out, overwrite=self.overwrite)
        else:
            raise BerrypickError("give --lucene FOLDER alone, or --index FILE with --corpus FILE and --encoder NAME")
        _print_built(self.out, manifest)
        return 0


@dataclass(frozen=True)
class IndexClean:
    """Remove what builds that were killed left beside index folders."""

    folder: tyro.conf.Positional[Path] = Path(".")
    """folder with index folders"""

    def run(self) -> int:
        """Cleans."""
        if not self.folder.is_dir():
            raise BerrypickError(f"{self.folder} is no folder; give the one that holds your index folders")
        gone = reclaim(self.folder) | reclaim_scratch(self.folder)
        for path, size in gone.items():
            sys.stdout.write(safe_text(f"removed {path} ({size / 1e6:,.1f} MB)") + "\n")
        sys.stdout.write(f"{counted(len(gone), 'left-over')} removed, {sum(gone.values()) / 1e6:,.1f} MB\n")
        return 0


@dataclass(frozen=True)
class IndexCheck:
    """Verify every checksum of an index."""

    folder: tyro.conf.Positional[Path]
    """index folder"""

    def run(self) -> int:
        """Checks."""
        folder = index_folder(self.folder)
        manifest = read_manifest(folder)
        for line in check_index(folder):
            sys.stdout.write(f"{line}\n")
        sys.stdout.write(f"{folder} is intact: {manifest.backend}, id {manifest.index_id[:16]}\n")
        return 0


@dataclass(frozen=True)
class IndexSearch:
    """Search an index with one query."""

    folder: tyro.conf.Positional[Path]
    """index folder"""
    query: tyro.conf.Positional[str]
    """text to search for"""
    k: int = 5
    """number of hits"""
    json: bool = False
    """print JSON instead of a table"""

    def run(self) -> int:
        """Searches."""
        at_least(1, {"--k": self.k})
        searcher = open_searcher(self.folder)
        hits = searcher.search([self.query], self.k)[0]
        searcher.close()
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
    """Measure evidence recall on a file of questions."""

    folder: tyro.conf.Positional[Path]
    """index folder"""
    questions: Path
    """questions as JSONL, with metadata.supporting_ids"""
    k: tuple[int, ...] = (2, 5, 10)
    """ranks at which recall is cut off"""
    json: bool = False
    """print JSON instead of a table"""

    def run(self) -> int:
        """Evaluates."""
        if not self.k or min(self.k) < 1:
            raise BerrypickError("--k needs at least one rank, all of them 1 or more")
        folder = index_folder(self.folder)
        known = {passage.id for passage in open_table(folder, read_manifest(folder))}
        searcher = open_searcher(folder)
        result = evaluate_index(searcher, self.questions, self.k, known)
        searcher.close()
        if self.json:
            sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n")
            return 0
        questions = counted(result["num_questions"], "question")
        sys.stdout.write(f"{questions}, {result['num_without_support']} without supporting passages skipped\n")
        table = Table()
        for name in ("k", "recall", "all support"):
            table.add_column(name, justify="right")
        for k in self.k:
            table.add_row(str(k), f"{result[f'recall@{k}']:.3f}", f"{result[f'all_support@{k}']:.3f}")
        Console().print(table)
        return 0


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, hidden unless that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)


def _print_built(out: Path, manifest: Manifest) -> None:
    passages = counted(manifest.num_passages, "passage")
    sys.stdout.write(f"{out}: {passages}, {manifest.backend}, id {manifest.index_id[:16]}\n")
    folder = shlex.quote(str(out))
    sys.stdout.write(f"next: berrypick index audit {folder} --questions FILE    (says what the corpus can answer)\n")
