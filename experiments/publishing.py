"""From a run folder to the project: results/NAME and the page that is made of its report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ..retrieval_index.errors import BerrypickError
from .experiment import Experiment

__all__ = ["publish"]

PUBLISHED = ("report.json", "environment.json", "config.json")


def publish(experiment: Experiment, run: Path, project: Path) -> list[Path]:
    """Copies the report, per-seed values, PNG pictures, settings and environment of a run, and writes its pages.

    Args:
        experiment: whose run it is.
        run: folder of `berrypick run NAME`.
        project: gets `results/NAME/` and the experiment's pages below `docs/`.
    """
    if not (run / "report.json").is_file():
        raise BerrypickError(f"{run} holds no report.json; run berrypick run {experiment.name} --out {run} first")
    results = project / "results" / experiment.name
    files = [run / name for name in PUBLISHED]
    for pattern in ("*.csv", "*_cells.jsonl.gz", "figures/*.png"):
        files += sorted(run.glob(pattern))
    written = []
    for file in files:
        if file.is_file():
            to = results / file.relative_to(run)
            to.parent.mkdir(parents=True, exist_ok=True)
            written.append(Path(shutil.copyfile(file, to)))
    docs = project / "docs"
    docs.mkdir(exist_ok=True)
    for name, text in experiment.pages(json.loads((results / "report.json").read_text())).items():
        (docs / name).write_text(text)
        written.append(docs / name)
    return written
