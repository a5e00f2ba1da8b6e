"""Time from the first import to the first hit, in fresh processes: berrypick, the same steps by hand, and Pyserini.

All Lucene rows include the same work of Java: its start, loading Anserini, opening the index, and a first query before
anything is compiled. The difference from the row "Anserini by hand" is our own code.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...retrieval_index.errors import BerrypickError
from ...retrieval_index.java import jvm_settings
from ...retrieval_index.store import read_manifest

__all__ = ["first_hit"]

_OURS = """
import numpy, gymnasium
lap("numpy_gymnasium_s")
from pathlib import Path
from berrypick.retrieval_index.store import open_searcher
lap("import_s")
searcher = open_searcher(Path(sys.argv[1]))
lap("open_s")
hit = searcher.search([sys.argv[2]], 3)[0][0]
(hit.id, hit.score, hit.text)
lap("search_s")
"""
_JAVA = """
import jnius_config
jnius_config.add_options(*json.loads(sys.argv[3]))
jnius_config.add_classpath(sys.argv[4])
"""
_BY_HAND = (
    _JAVA
    + """
import jnius
Searcher = jnius.autoclass("io.anserini.search.SimpleSearcher")
lap("import_s")
searcher = Searcher(sys.argv[1] + "/lucene")
searcher.set_bm25(0.9, 0.4)
lap("open_s")
hit = searcher.search(sys.argv[2], 3)[0]
(hit.docid, hit.score)
lap("search_s")
"""
)
_PYSERINI = (
    _JAVA
    + """
import jnius
from pyserini.search.lucene import LuceneSearcher
lap("import_s")
searcher = LuceneSearcher(sys.argv[1] + "/lucene")
searcher.set_bm25(0.9, 0.4)
lap("open_s")
hit = searcher.search(sys.argv[2], 3)[0]
(hit.docid, hit.score)
lap("search_s")
"""
)
_HEAD = """
import json, sys, time
laps, last = {}, time.perf_counter()
def lap(name):
    global last
    laps[name], last = time.perf_counter() - last, time.perf_counter()
"""
_TAIL = "\nprint(json.dumps(laps))\n"


def first_hit(folder: Path, questions: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """Median seconds of each way, measured in turn; for Lucene also `own_s`, the total minus the steps by hand."""
    backend = read_manifest(folder).backend
    ways = {f"berrypick {backend}": _OURS}
    if backend == "lucene":
        ways |= {"Anserini by hand": _BY_HAND, "Pyserini": _PYSERINI}
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, script in ways.items():
            laps = _one(_HEAD + script + _TAIL, folder, questions[0])
            if number:  # the first round fills the disk cache
                taken[way].append({**laps, "total_s": sum(laps.values())})
    rows = [
        {"way": way, **{lap: statistics.median(one[lap] for one in done) for lap in done[0]}}
        for way, done in taken.items()
    ]
    if backend == "lucene":
        by_hand = taken["Anserini by hand"]
        ours = taken[f"berrypick {backend}"]
        rows[0]["own_s"] = statistics.median(a["total_s"] - b["total_s"] for a, b in zip(ours, by_hand))
    return rows


def _one(script: str, folder: Path, question: str) -> dict[str, float]:
    arguments, environment = [str(folder), question], dict(os.environ)
    if _JAVA in script:
        settings = jvm_settings()
        arguments += [json.dumps(settings.options), str(settings.jar)]
        environment |= {**settings.environment, "OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY") or "unused"}
    command = [sys.executable, "-c", script, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ended.returncode:
        raise BerrypickError(f"a process of the bench failed: {ended.stderr.strip().splitlines()[-1]}")
    laps: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return laps
