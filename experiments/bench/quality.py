"""`berrypick bench quality`: evidence recall of a single search, per data set and back end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...retrieval_index.corpus import read_corpus
from ...retrieval_index.errors import BerrypickError, UnknownNameError
from ...retrieval_index.evaluation import evaluate_index
from ...retrieval_index.store import BACKENDS, ensure_index, open_searcher
from ..runs.environment import environment_facts
from ..runs.run_folder import write_json

__all__ = ["BenchQuality", "markdown"]

_MEASURES = ("recall@2", "recall@5", "recall@10", "all_support@10")


@dataclass(frozen=True)
class BenchQuality:
    """Measure evidence recall when the text of each question is searched once."""

    data: Path
    """folder of the data sets; each is a folder with corpus.jsonl.gz and questions.jsonl"""
    out: Path = Path("runs/bench-quality")
    """receives the indexes, quality.json and quality.md"""
    sets: tuple[str, ...] = ("hotpotqa", "2wikimultihopqa", "musique", "strategyqa")
    """names of the data sets"""
    backends: tuple[str, ...] = ("bm25s", "lucene", "faiss", "hybrid")
    """back ends; dense ones encode with minilm, which takes minutes"""
    json: bool = False
    """print JSON instead of a table"""

    def run(self) -> int:
        """Builds missing indexes, evaluates them and writes the table."""
        self._check()
        self.out.mkdir(parents=True, exist_ok=True)
        rows = [self._row(name, backend) for name in self.sets for backend in self.backends]
        result = {"environment": environment_facts(), "rows": rows}
        write_json(self.out / "quality.json", result)
        (self.out / "quality.md").write_text(markdown(rows), encoding="utf-8")
        sys.stdout.write(json.dumps(result, indent=1, sort_keys=True) + "\n" if self.json else markdown(rows))
        return 0

    def _check(self) -> None:
        for backend in self.backends:
            if backend not in BACKENDS:
                raise UnknownNameError("index backend", backend, BACKENDS)
        for file in (self.data / name / part for name in self.sets for part in ("corpus.jsonl.gz", "questions.jsonl")):
            if not file.is_file():
                raise BerrypickError(f"there is no {file}; give --data the folder that contains the data sets")

    def _row(self, name: str, backend: str) -> dict[str, Any]:
        folder = self.data / name
        passages = read_corpus(folder / "corpus.jsonl.gz").passages
        index = self.out / f"{name}-{backend}"
        manifest = ensure_index(passages, backend, index)
        searcher = open_searcher(index)
        known = {passage.id for passage in passages}
        measured = evaluate_index(searcher, folder / "questions.jsonl", (2, 5, 10), known)
        searcher.close()
        rounded = {measure: round(measured[measure], 4) for measure in _MEASURES}
        return {
            "set": name,
            "backend": backend,
            "questions": measured["num_questions"],
            "index_id": manifest.index_id,
            **rounded,
        }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The Markdown table of docs/retrieval.md."""
    lines = [
        "| set (questions) | back end | recall@2 | recall@5 | recall@10 | all support@10 |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = " | ".join(f"{row[measure]:.3f}" for measure in _MEASURES)
        lines.append(f"| {row['set']} ({row['questions']}) | {row['backend']} | {cells} |")
    return "\n".join(lines) + "\n"
