"""The runner: every cell once, whole or not at all, a crash loses itself alone, other versions are refused."""

from __future__ import annotations

import contextlib
import json
import lzma
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from berrypick import BerrypickError
from berrypick.experiments.grid.cell_store import (
    cell_document,
    cell_file,
    failure_file,
    load_results,
    write_cells,
)
from berrypick.experiments.grid.experiment import Cell, Experiment
from berrypick.experiments.grid.runner import reproduce_cell, run_experiment
from berrypick.experiments.report.format import failure_lines
from berrypick.experiments.runs.run_folder import stored_json
from berrypick.retrieval_index.locks import LOCK, folder_lock
from fixtures.inline_ray import InlineRay, RayError
from fixtures.machine import patience


@dataclass
class Toy(Experiment):
    """Squares the number of each cell."""

    name: str = "toy"
    summary: str = ""
    version: int = 1
    factor: int = 1
    crash: set = field(default_factory=set)
    stop: set = field(default_factory=set)
    die: set = field(default_factory=set)
    haunt: bool = False
    needs: str = ""
    ran: list = field(default_factory=list)

    def cells(self, scale, num_seeds):
        return [Cell(f"arm/seed-{seed}", {"seed": seed, "factor": self.factor}) for seed in range(num_seeds)]

    def require(self, cells):
        if self.needs:
            raise BerrypickError(self.needs)

    def run_cell(self, cell, work):
        seed = cell.config["seed"]
        self.ran.append(seed)
        if seed in self.die:
            if self.haunt:
                keep_the_lock(work.parents[3] / "exorcised")
            os._exit(9)
        if seed in self.stop:
            raise KeyboardInterrupt
        if seed in self.crash:
            raise RuntimeError(f"seed {seed} went wrong")
        assert work.is_dir()
        return {"value": seed**2}

    def report(self, results, scale, num_seeds):
        return {"values": {k: v["value"] for k, v in results.done.items()}, "failed": results.failed, "text": ""}

    def write_files(self, results, report, out):
        assert (out / "report.json").is_file()


def keep_the_lock(until: Path):
    """Leaves a process behind that has inherited the lock and nothing else, as a dying process has it for a moment."""
    if os.fork() == 0:
        for number in map(int, os.listdir("/proc/self/fd")):
            with contextlib.suppress(OSError):
                if not os.readlink(f"/proc/self/fd/{number}").endswith(LOCK):
                    os.close(number)
        while until.parent.exists() and not until.exists():  # the folder of a passed test is deleted at once
            time.sleep(0.01)
        os._exit(0)


def run(toy, out, seeds=3, **options):
    return run_experiment(toy, out, scale="smoke", num_seeds=seeds, **options)


def test_a_second_run_computes_nothing_and_reports_the_same(tmp_path):
    toy = Toy()
    first = run(toy, tmp_path / "r")
    assert first["values"] == {"arm/seed-0": 0, "arm/seed-1": 1, "arm/seed-2": 4}
    assert first["command"] == "berrypick run toy --scale smoke --seeds 3 --out r"
    assert run(toy, tmp_path / "r") == first
    assert toy.ran == [0, 1, 2]
    assert stored_json(tmp_path / "r" / "report.json") == first


def test_a_crashed_cell_loses_itself_alone_is_named_and_is_tried_again(tmp_path):
    toy = Toy(crash={1})
    report = run(toy, tmp_path / "r")
    assert report["values"] == {"arm/seed-0": 0, "arm/seed-2": 4}
    assert report["failed"] == {"arm/seed-1": "RuntimeError: seed 1 went wrong"}
    toy.crash.clear()
    assert run(toy, tmp_path / "r")["failed"] == {}
    assert toy.ran == [0, 1, 2, 1]


@pytest.mark.slow
def test_a_cell_whose_process_is_killed_loses_itself_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[3])  # where the processes find this module
    report = run(Toy(die={1}), tmp_path / "r", seeds=5, workers=2)
    assert report["values"] == {f"arm/seed-{seed}": seed**2 for seed in (0, 2, 3, 4)}
    assert list(report["failed"]) == ["arm/seed-1"]
    assert "was killed" in report["failed"]["arm/seed-1"]
    assert len(run(Toy(), tmp_path / "r", seeds=5, workers=2)["values"]) == 5


@pytest.mark.parametrize("address", ["local", "ray://head:10001"])
def test_cells_are_computed_on_ray_and_shared_with_processes(tmp_path, monkeypatch, address):
    ray = InlineRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    toy = Toy(crash={1})
    report = run(toy, tmp_path / "r", workers=2, address=address)
    assert report["values"] == {"arm/seed-0": 0, "arm/seed-2": 4}
    assert report["failed"] == {"arm/seed-1": "RuntimeError: seed 1 went wrong"}
    started = {"num_cpus": 2} if address == "local" else {"address": address}
    assert started.items() <= ray.options.items() and not ray.is_open
    toy.crash.clear()
    assert run(toy, tmp_path / "r")["failed"] == {} and toy.ran == [1]  # Ray's tasks have copies of it
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(toy, tmp_path / "r", address="local")["failed"] == {}  # nothing is left for Ray


def test_a_task_of_ray_that_dies_loses_its_cell_alone(tmp_path, monkeypatch):
    class Dying(InlineRay):
        def get(self, task):
            cell = pickle.loads(task.args[1])[2]
            if cell.key.endswith("-1"):
                failure_file(tmp_path / "r", cell).parent.mkdir(parents=True, exist_ok=True)
                failure_file(tmp_path / "r", cell).write_text("killed\n")  # as a process leaves it that has begun
                raise RayError("a long story\nthe worker died")
            return super().get(task)

    monkeypatch.setitem(sys.modules, "ray", Dying())
    report = run(Toy(), tmp_path / "r", address="local")
    assert report["values"] == {"arm/seed-0": 0, "arm/seed-2": 4} and list(report["failed"]) == ["arm/seed-1"]


def test_without_ray_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BerrypickError, match=r"berrypick\[sweep\]"):
        run(Toy(), tmp_path / "r", address="local")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_cells_are_computed_on_the_real_ray(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{root / 'tests'}")  # where the tasks find this module
    report = run(Toy(crash={1}, die={2}), tmp_path / "r", seeds=4, workers=2, address="local")
    assert report["values"] == {"arm/seed-0": 0, "arm/seed-3": 9}
    assert set(report["failed"]) == {"arm/seed-1", "arm/seed-2"}


def test_a_kill_after_the_result_leaves_no_failure_beside_it(tmp_path):
    run(Toy(), tmp_path / "r", seeds=2)
    left = failure_file(tmp_path / "r", Toy().cells("smoke", 2)[1])
    left.write_text("the process that computed it was killed\n")
    assert run(Toy(), tmp_path / "r", seeds=2)["failed"] == {} and not left.exists()


ENDLESS = """
import signal, sys, time
from pathlib import Path
from berrypick.experiments.grid.experiment import Cell, Experiment
from berrypick.experiments.grid.runner import run_experiment

class Endless(Experiment):
    name, summary, version = "endless", "", 1
    def cells(self, scale, num_seeds):
        return [Cell(f"seed-{seed}", {"seed": seed}) for seed in range(num_seeds)]
    def run_cell(self, cell, work):
        (work / "begun").touch()
        time.sleep(1000)
    def report(self, results, scale, num_seeds):
        return {}

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    run_experiment(Endless(), Path(sys.argv[1]), scale="smoke", num_seeds=2, workers=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_processes_of_a_run_that_is_killed_or_interrupted_end_with_it(tmp_path, sent):
    script, out = tmp_path / "endless.py", tmp_path / "r"
    script.write_text(ENDLESS)
    works = [out / "work" / f"seed-{seed}" for seed in (0, 1)]
    command = [sys.executable, str(script), str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run_of_two:
        try:
            wait_until(lambda: run_of_two.poll() is not None or all((work / "begun").is_file() for work in works))
            assert [state_of(work) for work in works] == ["busy", "busy"]
            run_of_two.send_signal(sent)
            said = run_of_two.communicate(timeout=patience(60))[1]
        finally:
            run_of_two.kill()
    if sent == signal.SIGINT:  # the traceback is that of the run alone, and no cell counts as failed
        assert said.count("Traceback") <= 1 and "multiprocessing" not in said
        assert not list((out / "failed").rglob("*.txt"))
    wait_until(lambda: [state_of(work) for work in works] == ["ours", "ours"])  # a dead process holds no lock


def wait_until(holds):
    end = time.monotonic() + patience(60)
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def state_of(work):
    with folder_lock(work) as lock:
        return lock


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's /proc/self/fd")
@pytest.mark.slow
def test_a_cell_that_was_seen_to_die_has_failed_even_while_its_lock_outlives_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    try:
        report = run(Toy(die={1}, haunt=True), tmp_path / "r", seeds=3, workers=2)
    finally:
        (tmp_path / "exorcised").touch()
    assert list(report["values"]) == ["arm/seed-0", "arm/seed-2"]
    assert "was killed" in report["failed"]["arm/seed-1"]


def test_a_cell_that_ends_while_it_is_looked_at_is_done_and_neither_lost_nor_failed(tmp_path, monkeypatch):
    """Another process writes the result, deletes the failure file and releases the lock between any two looks."""
    (cell,) = Toy().cells("smoke", 1)
    failure = failure_file(tmp_path, cell)

    def finishes(out, found):
        failure.unlink(missing_ok=True)
        path = cell_file(out, found)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cell_document(Toy(), found, {"value": 0})))
        return False

    failure.parent.mkdir(parents=True)
    failure.write_text("begun")
    monkeypatch.setattr("berrypick.experiments.grid.cell_store._is_under_way", finishes)
    found = load_results(Toy(), tmp_path, [cell])
    assert (found.done, found.failed, found.not_run) == ({"arm/seed-0": {"value": 0}}, {}, [])
    cell_file(tmp_path, cell).unlink()
    real = type(failure).is_file
    failure.write_text("begun")
    # the failure file may go between a look at it and its reading
    monkeypatch.setattr(type(failure), "is_file", lambda path: (real(path), finishes(tmp_path, cell))[0])
    assert load_results(Toy(), tmp_path, [cell]).done == {"arm/seed-0": {"value": 0}}


def test_a_cell_whose_failure_file_is_empty_for_an_instant_is_said_to_be_begun(tmp_path):
    (cell,) = Toy().cells("smoke", 1)
    failure_file(tmp_path, cell).parent.mkdir(parents=True)
    failure_file(tmp_path, cell).touch()
    assert load_results(Toy(), tmp_path, [cell]).failed == {"arm/seed-0": "begun"}


def test_a_cell_that_another_process_computes_is_under_way_and_not_lost(tmp_path):
    toy = Toy()
    run(toy, tmp_path / "r", seeds=1)
    (tmp_path / "r" / "failed" / "arm" / "seed-1.txt").write_text("begun")
    with folder_lock(tmp_path / "r" / "work" / "arm" / "seed-1"):
        found = load_results(toy, tmp_path / "r", toy.cells("smoke", 2))
        assert (found.not_run, found.under_way, found.failed) == (["arm/seed-1"], ["arm/seed-1"], {})
    found = load_results(toy, tmp_path / "r", toy.cells("smoke", 2))
    assert (found.not_run, found.under_way, found.failed) == ([], [], {"arm/seed-1": "begun"})


def test_a_cell_whose_other_process_dies_during_the_run_is_computed_at_the_end(tmp_path):
    class Meeting(Toy):
        def run_cell(self, cell, work):
            if cell.config["seed"] == 2:
                other.close()
            return super().run_cell(cell, work)

    toy = Meeting()
    run(toy, tmp_path / "r", only="*seed-0")
    with contextlib.ExitStack() as other:
        other.enter_context(folder_lock(tmp_path / "r" / "work" / "arm" / "seed-1"))
        report = run(toy, tmp_path / "r")
    assert toy.ran == [0, 2, 1]
    assert list(report["values"]) == ["arm/seed-0", "arm/seed-1", "arm/seed-2"]


def test_runs_in_one_folder_leave_each_other_what_they_are_about_or_have_done(tmp_path):
    class Meeting(Toy):
        def run_cell(self, cell, work):
            if cell.config["seed"] == 1:  # another run begins and ends while this cell is computed
                other = run(second, tmp_path / "r")
                assert list(other["values"]) == ["arm/seed-0", "arm/seed-2"] and other["failed"] == {}
            return super().run_cell(cell, work)

    first, second = Meeting(), Toy()
    assert list(run(first, tmp_path / "r")["values"]) == ["arm/seed-0", "arm/seed-1", "arm/seed-2"]
    assert (first.ran, second.ran) == ([0, 1], [2])


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    toy = Toy(stop={1})
    with pytest.raises(KeyboardInterrupt):
        run(toy, tmp_path / "r")
    assert load_results(toy, tmp_path / "r", toy.cells("smoke", 3)).not_run == ["arm/seed-1", "arm/seed-2"]
    toy.stop.clear()
    run(toy, tmp_path / "r")
    assert toy.ran == [0, 1, 1, 2]


def test_only_chosen_cells_are_computed_and_the_report_is_of_all_that_is_there(tmp_path):
    toy = Toy()
    run_experiment(toy, tmp_path / "r", scale="smoke", num_seeds=3, only="*seed-1")
    report = run_experiment(toy, tmp_path / "r", scale="smoke", num_seeds=3, only="*seed-2")
    assert toy.ran == [1, 2]
    assert list(report["values"]) == ["arm/seed-1", "arm/seed-2"]
    with pytest.raises(BerrypickError, match=r"no cell matches 'sed-1'; the first of 3 is arm/seed-0"):
        run_experiment(toy, tmp_path / "r", scale="smoke", num_seeds=3, only="sed-1")


def test_a_run_goes_on_from_cells_that_were_computed_elsewhere(tmp_path):
    first = Toy()
    run(first, tmp_path / "a", seeds=2)
    cells = first.cells("smoke", 2)
    kept = tmp_path / "cells.jsonl.xz"
    write_cells(first, load_results(first, tmp_path / "a", cells), cells, kept)
    toy = Toy()
    report = run_experiment(toy, tmp_path / "b", scale="smoke", num_seeds=3, given=kept)
    assert toy.ran == [2]
    assert report["values"] == {"arm/seed-0": 0, "arm/seed-1": 1, "arm/seed-2": 4}
    with pytest.raises(BerrypickError, match="other settings"):
        run_experiment(Toy(factor=2), tmp_path / "c", scale="smoke", num_seeds=3, given=kept)
    kept.write_bytes(lzma.compress(b"[1]\n"))
    with pytest.raises(BerrypickError, match=r"cells.jsonl.xz:1 is no cell"):
        run_experiment(Toy(), tmp_path / "d", scale="smoke", num_seeds=3, given=kept)
    kept.write_text("[1]")
    with pytest.raises(BerrypickError, match="cannot be read"):
        run_experiment(Toy(), tmp_path / "f", scale="smoke", num_seeds=3, given=kept)
    with pytest.raises(BerrypickError, match="is no file of cells"):
        run_experiment(Toy(), tmp_path / "e", scale="smoke", num_seeds=3, given=tmp_path / "no")


def test_a_folder_of_published_results_stands_for_its_one_file_of_cells(tmp_path):
    first = Toy()
    run(first, tmp_path / "a", seeds=2)
    cells = first.cells("smoke", 2)
    published = tmp_path / "results"
    published.mkdir()
    with pytest.raises(BerrypickError, match=r"results holds 0 files of cells \(\*_cells.jsonl.xz\); give the file"):
        run(Toy(), tmp_path / "b", given=published)
    assert not (tmp_path / "b").exists()
    write_cells(first, load_results(first, tmp_path / "a", cells), cells, published / "grid_cells.jsonl.xz")
    toy = Toy()
    assert len(run(toy, tmp_path / "b", given=published)["values"]) == 3
    assert toy.ran == [2]
    (published / "old_cells.jsonl.xz").touch()
    with pytest.raises(BerrypickError, match="holds 2 files of cells"):
        run(Toy(), tmp_path / "c", given=published)


def test_results_of_another_version_are_refused(tmp_path):
    run(Toy(), tmp_path / "r")
    with pytest.raises(BerrypickError, match="version"):
        run(Toy(version=2), tmp_path / "r")
    with pytest.raises(BerrypickError, match=r"version 1 of toy, this is version 2; choose a new --out"):
        load_results(Toy(version=2), tmp_path / "r", Toy().cells("smoke", 1))


def test_cells_computed_with_other_settings_are_refused(tmp_path):
    run(Toy(), tmp_path / "r")
    with pytest.raises(BerrypickError, match="other settings"):
        run(Toy(factor=2), tmp_path / "r")


def test_a_folder_of_another_run_or_of_other_files_is_refused(tmp_path):
    run(Toy(), tmp_path / "r")
    with pytest.raises(BerrypickError, match="another run"):
        run_experiment(Toy(), tmp_path / "r", scale="smoke", num_seeds=5)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(BerrypickError, match="other files"):
        run(Toy(), tmp_path / "full")


def test_a_cell_is_reproduced_whatever_the_folder_holds(tmp_path):
    toy = Toy()
    found = reproduce_cell(toy, "arm/seed-2", tmp_path / "r", scale="smoke", num_seeds=3)
    assert found == {"value": 4}
    with pytest.raises(BerrypickError, match="did you mean arm/seed-2"):
        reproduce_cell(toy, "arm/sed-2", tmp_path / "r", scale="smoke", num_seeds=3)


def test_what_all_cells_need_is_asked_for_before_the_first_and_leaves_no_folder(tmp_path):
    toy = Toy(needs="no corpus; set BERRYPICK_DATA")
    with pytest.raises(BerrypickError, match="no corpus"):
        run(toy, tmp_path / "r")
    with pytest.raises(BerrypickError, match="no cell matches"):
        run(Toy(), tmp_path / "r", only="nosuch")
    with pytest.raises(BerrypickError, match="no file of cells"):
        run(Toy(), tmp_path / "r", given=tmp_path / "nosuch")
    assert toy.ran == []
    assert not (tmp_path / "r").exists()


def test_a_damaged_cell_says_what_to_delete(tmp_path):
    run(Toy(), tmp_path / "r")
    (tmp_path / "r" / "cells" / "arm" / "seed-1.json").write_text("{")
    with pytest.raises(BerrypickError, match=r"seed-1.json is damaged .*; delete it"):
        run(Toy(), tmp_path / "r")


def test_failures_of_one_reason_are_one_line():
    failed = {"a": "no data", "b": "no data", "c": "no data", "d": "no memory"}
    assert failure_lines(failed) == ["failed: a and 2 more: no data", "failed: d: no memory"]


def test_no_seeds_are_refused(tmp_path):
    with pytest.raises(BerrypickError, match="--seeds and --workers must be at least 1"):
        run(Toy(), tmp_path / "r", seeds=0)


def test_no_partial_cell_is_left_or_read(tmp_path):
    toy = Toy()
    run(toy, tmp_path / "r", seeds=1)
    folder = tmp_path / "r" / "cells" / "arm"
    assert [path.name for path in folder.iterdir()] == ["seed-0.json"]
    (folder / ".seed-1.json.partial").write_text('{"version": 1, "resu')
    assert load_results(toy, tmp_path / "r", toy.cells("smoke", 2)).not_run == ["arm/seed-1"]
