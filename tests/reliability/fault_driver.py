"""Fails or kills a piece of work at its n-th file operation, lets it go on undisturbed, and compares what is left.

Run by test_faults.py, with the shim preloaded: `fault_driver.py SHIM WORK FOLDER SEED SAMPLE [DONE]`. SAMPLE is a
number of (mode, n) pairs, or "all". DONE is a file that gets a line for each pair that was tried; pairs that it holds
are not tried again, so that an interrupted run goes on. Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from fault_works import WORKS, Work

MODES = {
    1: "killed before an operation",
    2: "killed after half of a write",
    3: "disk full from an operation on",
    4: "an operation fails once",
    5: "killed after an operation",
}
KILLS = (1, 2, 5)


def left(work: Work, folder: Path) -> dict[str, str]:
    """Path -> digest of what counts."""
    files = sorted(path for pattern in work.kept for path in folder.glob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def in_child(task: Callable[[], int], folder: Path, log: Path) -> int:
    """The exit code of a forked child that runs the task in the folder, -9 if it was killed."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 99
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(folder)
        code = task()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


class Faults:
    """A piece of work in a folder, under the shim."""

    def __init__(self, shim_file: str, work: str, root: Path) -> None:
        self.name, self.work, self.root = work, WORKS[work], root
        self.folder, self.prepared, self.log = root / "work", root / "prepared", root / "stderr"
        self._shim = ctypes.CDLL(shim_file)
        self._shim.shim_count.restype = ctypes.c_long
        (root / "corpus.jsonl").write_text(
            "".join(json.dumps({"id": str(at), "text": f"passage {at} of ripe berries"}) + "\n" for at in range(30))
        )
        self.work.before()
        self._fresh(self.prepared)
        assert in_child(partial(self.work.prepare, self.prepared), self.prepared, self.log) == 0, self.log.read_text()
        counts = root / "count"

        def counted() -> int:
            code = self._run(0, -1)
            counts.write_text(json.dumps([self._shim.shim_count(), sorted(sys.modules)]))
            return code

        self._fresh(self.folder, self.prepared)
        assert in_child(counted, self.folder, self.log) == 0, self.log.read_text()
        self.operations, modules = json.loads(counts.read_text())
        self.wanted = left(self.work, self.folder)
        for module in modules:  # imported once here, not in every child
            with suppress(Exception):
                import_module(module)
        assert self.wanted, "the work leaves something"

    def _fresh(self, folder: Path, source: Path | None = None) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if source is None:
            folder.mkdir()
        else:
            shutil.copytree(source, folder)

    def _run(self, mode: int, at: int) -> int:
        words = self.work.words(self.folder, False)
        self._shim.shim_set(str(self.folder).encode(), mode, ctypes.c_long(at), None)
        return self.work.run(words)

    def _again(self) -> int:
        return self.work.run(self.work.words(self.folder, True))

    def trial(self, mode: int, at: int) -> list[str]:
        """What went wrong when the work was failed or killed at an operation and then run again."""
        self._fresh(self.folder, self.prepared)
        where = f"{self.name}: {MODES[mode]} {at}"
        code = in_child(partial(self._run, mode, at), self.folder, self.log)
        said = self.log.read_text(errors="replace")
        wrong = []
        if (mode in KILLS and code not in (-9, 0)) or (mode not in KILLS and code not in (0, 2)):
            wrong.append(f"{where}: exit {code}: {said[-600:]}")
        elif mode not in KILLS and "Traceback" in said:
            wrong.append(f"{where}: a traceback: {said[-600:]}")
        again = in_child(self._again, self.folder, self.log)
        if again != 0:
            return [*wrong, f"{where}: going on: exit {again}: {self.log.read_text(errors='replace')[-600:]}"]
        if (found := left(self.work, self.folder)) != self.wanted:
            wrong.append(f"{where}: differs in {sorted(dict(found.items() ^ self.wanted.items()))}")
        hidden = [path.name for path in self.folder.rglob(".*") if path.name.endswith(".partial")]
        return [*wrong, f"{where}: left {hidden}"] if hidden else wrong


def main(shim_file: str, work: str, root: Path, seed: int, sample: str, done: Path | None) -> dict[str, Any]:
    """Tries the pairs; counts what was tried and what went wrong."""
    faults = Faults(shim_file, work, root)
    points = [(mode, at) for mode in MODES for at in range(1, faults.operations + 1)]
    if sample != "all":
        points = random.Random(seed).sample(points, min(int(sample), len(points)))
    tried: dict[tuple[int, int], list[str]] = {}
    if done is not None and done.exists():
        for line in done.read_text().splitlines():
            row = json.loads(line)
            if row["work"] == work and row["operations"] == faults.operations:
                tried[row["mode"], row["at"]] = row["wrong"]
    for mode, at in points:
        if (mode, at) in tried:
            continue
        tried[mode, at] = faults.trial(mode, at)
        if done is not None:
            row = {"work": work, "operations": faults.operations, "mode": mode, "at": at, "wrong": tried[mode, at]}
            with done.open("a") as file:
                file.write(json.dumps(row) + "\n")
    modes = Counter(MODES[mode] for mode, _ in points)
    wrong = [why for point in points for why in tried[point]]
    return {"operations": faults.operations, "tried": len(points), "modes": dict(modes), "wrong": wrong}


if __name__ == "__main__":
    shim_path, work_name, root_name, seed_text, sample_text, *rest = sys.argv[1:]
    done_file = Path(rest[0]) if rest else None
    print(json.dumps(main(shim_path, work_name, Path(root_name), int(seed_text), sample_text, done_file)))
