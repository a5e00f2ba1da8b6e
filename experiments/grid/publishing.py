"""Publishes a run: results/NAME in the project, and the pages that are made from its report."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
from pathlib import Path

from ...retrieval_index.errors import BerrypickError
from ..runs.run_folder import stored_json
from .cell_store import CELLS_PATTERN
from .experiment import Experiment, Report

__all__ = ["check_project", "publish"]

_OURS = "<!-- written by experiments/"
PUBLISHED = ("environment.json", "config.json")


def check_project(project: Path) -> None:
    """Raises BerrypickError unless the folder is a project, so that `publish` writes nowhere else."""
    if not (project / "pyproject.toml").is_file():
        raise BerrypickError(
            f"{project} is no project folder (it has no pyproject.toml); give the folder of the project"
        )


def publish(experiment: Experiment, run: Path, project: Path) -> list[Path]:
    """Copies the report, values per world, PNG figures, settings and environment of a run, and writes its pages.

    Args:
        experiment: the experiment of the run.
        run: a folder of `berrypick run NAME`.
        project: receives `results/NAME/` and the pages in `docs/`.
    """
    if not (run / "report.json").is_file():
        raise BerrypickError(
            f"{run} holds no report.json; run this first: berrypick run {experiment.name} --out {shlex.quote(str(run))}"
        )
    check_project(project)
    results = project / "results" / experiment.name
    report = _stored(run / "report.json")
    _check_not_less(report, results)
    pages = experiment.pages(report, project / "results")
    for name in pages:
        page = project / "docs" / name
        if page.is_file() and _OURS not in page.read_text():
            raise BerrypickError(f"{page} was not written by a report and is not overwritten; move it away")
    (results / "figures").mkdir(parents=True, exist_ok=True)
    files = [run / name for name in PUBLISHED if (run / name).is_file()]
    for pattern in (CELLS_PATTERN, "figures/*.png"):
        files += sorted(run.glob(pattern))
    written = [results / "report.json"]
    written[0].write_text(json.dumps(report, separators=(",", ":")) + "\n")  # a fourth smaller than with spaces
    written += [Path(shutil.copyfile(file, results / file.relative_to(run))) for file in files]
    for table in sorted(run.glob("*.csv")):
        written.append(results / f"{table.name}.gz")
        written[-1].write_bytes(gzip.compress(table.read_bytes(), mtime=0))  # equal tables give equal bytes
    docs = project / "docs"
    docs.mkdir(exist_ok=True)
    for name, text in pages.items():
        (docs / name).write_text(text)
        written.append(docs / name)
    return written


def _check_not_less(report: Report, results: Path) -> None:
    """Refuses to replace a report of more cells or of another scale."""
    before = results / "report.json"
    if not before.is_file():
        return
    old = _stored(before)
    if old["scale"] != report["scale"] or old["cells"]["done"] > report["cells"]["done"]:
        raise BerrypickError(
            f"{results} holds {old['cells']['done']} cells of scale {old['scale']} and this run "
            f"{report['cells']['done']} of scale {report['scale']}; finish the run, or move {results} away"
        )


def _stored(file: Path) -> Report:
    try:
        report: Report = stored_json(file)
    except (OSError, ValueError) as error:
        raise BerrypickError(
            f"{file} is damaged ({error}); run the same command again, which writes it anew"
        ) from error
    return report
