"""Writes a report's page to its place, and says at the end of the screen where everything is."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...retrieval_index.errors import BerrypickError
from ..measures.by_step import SeriesRow
from ..measures.rows import ArmsReport
from ..measures.sweep import SweepReport
from .closing import Closing
from .html import html_page
from .html_series import series_page
from .html_sweep import sweep_page
from .packed_episode import PageEpisode
from .page_file import PAGE, SERIES_PAGE, default_page_file, write_page_file
from .sweep_folder import SweepFolder, evaluated_cells, run_env

__all__ = ["report_closing", "sweep_closing", "write_page", "write_series_page", "write_sweep_page"]


def write_page(
    inputs: Sequence[Path],
    arms: Mapping[str, Sequence[PageEpisode]],
    report: ArmsReport,
    file: Path | None = None,
) -> tuple[Path | None, str]:
    """Writes the page of a report.

    Args:
        inputs: the run folders and rollouts files.
        arms: their rollouts by arm.
        report: their measures.
        file: chosen by the user; by default see `default_page_file`.

    Returns:
        The page and "", or None and why there is none. A place that the user chose raises instead.

    Raises:
        BerrypickError: the chosen file cannot be written.
    """
    return _write(inputs, lambda: html_page(arms, report), file, PAGE)


def write_series_page(
    inputs: Sequence[Path],
    arms: Mapping[str, Sequence[PageEpisode]],
    series: Mapping[str, SeriesRow],
    total: int,
    file: Path | None = None,
    *,
    left_out: int = 0,
) -> tuple[Path | None, str]:
    """Writes the page of a report by step; see `write_page` and `series_page`."""
    return _write(inputs, lambda: series_page(arms, series, total, left_out=left_out), file, SERIES_PAGE)


def write_sweep_page(
    folder: Path, arms: Mapping[str, Sequence[PageEpisode]], report: SweepReport, file: Path | None = None
) -> tuple[Path | None, str]:
    """Writes the page of a sweep; see `write_page` and `sweep_page`."""
    return _write([folder], lambda: sweep_page(arms, report), file, PAGE)


def _write(inputs: Sequence[Path], page: Callable[[], str], file: Path | None, name: str) -> tuple[Path | None, str]:
    if file is not None:
        write_page_file(file, page())
        return file, ""
    target, why = default_page_file(inputs, name)
    if target is None:
        return None, why
    try:
        write_page_file(target, page())
    except BerrypickError as error:
        return None, str(error)
    return target, ""


def report_closing(inputs: Sequence[Path], page: Path | None, why: str = "") -> Closing:
    """Says where the page, the figures and the rollouts of some run folders and files are, and what to run next.

    Args:
        inputs: the run folders and rollouts files.
        page: the page that was written.
        why: the reason if no page was written; "" if none was wanted.
    """
    files: list[tuple[str, object]] = []
    if page is not None:
        files.append(("page", page))
    elif why:
        files.append(("no page", why))
    for path in inputs:
        figures = sorted((path / "figures").glob("*.png"))
        files += [("figure", figure) for figure in figures[:3]]
        files.append(("rollouts", _rollouts(path)))
    paths = " ".join(shlex.quote(str(path)) for path in inputs)
    compare = f"berrypick report {paths} OTHER" if len(inputs) == 1 else f"berrypick report {paths} --json"
    what = "compares it with another run" if len(inputs) == 1 else "the same numbers for a program"
    return Closing(files, [f"{compare}    ({what})"])


def sweep_closing(folder: Path, sweep: SweepFolder, page: Path | None, why: str = "") -> Closing:
    """Says where the page and the files of a sweep are, and which cell to evaluate next.

    Args:
        folder: of the sweep.
        sweep: what it holds.
        page: the page that was written.
        why: the reason if no page was written; "" if none was wanted.
    """
    files: list[tuple[str, object]] = [("page", page)] if page is not None else [("no page", why)] if why else []
    files += [("results", folder / "sweep.json"), ("metrics", folder / "*" / "*" / "metrics.jsonl")]
    done = evaluated_cells(folder)
    if done:
        files.append(("rollouts", folder / "*" / "*-test" / "rollouts.jsonl"))
    missing = [place for name, place in sweep.folders.items() if name not in done]
    if not missing:
        return Closing(
            files, [f"berrypick report {shlex.quote(str(folder))} --json    (the same numbers for a program)"]
        )
    place = missing[0]
    command = f"berrypick eval --env {run_env(place)} --policy {shlex.quote(str(place))}"
    command += f" --out {shlex.quote(f'{place}-test')}"
    return Closing(files, [f"{command}    (cells not evaluated: {len(missing)})"])


def _rollouts(path: Path) -> Path:
    if path.is_file():
        return path
    direct = [path / name for name in ("rollouts.jsonl", "rollouts.jsonl.gz") if (path / name).is_file()]
    return direct[0] if direct else path / "eval" / "*" / "rollouts.jsonl"
