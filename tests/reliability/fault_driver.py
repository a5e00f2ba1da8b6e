"""Fails or kills a piece of work at its n-th file operation, lets it go on undisturbed, and compares what is left.

Run by test_faults.py, with the shim preloaded: `fault_driver.py SHIM WORK FOLDER SEED SAMPLE`. SAMPLE is a number of
(mode, n) pairs, or "all". Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

MODES = {
    1: "killed before an operation",
    2: "killed after half of a write",
    3: "disk full from an operation on",
    4: "an operation fails once",
    5: "killed after an operation",
}
KILLS = (1, 2, 5)
WORLD = ("--env", "berrypick/World-v0", "--env-arg", "num_train=8", "num_test=4", "num_validation=0", "index=bm25s")
TOY = Path(__file__).resolve().parents[1] / "experiments" / "grid" / "toy_experiment.py"


def words_of(work: str, folder: Path, *, again: bool) -> Sequence[str]:
    """The command line of a piece of work; `again` is what a user types after a failure."""
    resume = ("--resume",) if again else ()
    if work == "index" and again and (folder / "index").exists():
        return ["index", "clean", str(folder)]  # a whole index is there, which a second build would refuse to replace
    if work == "index":
        return ["index", "build", "--corpus", str(folder.parent / "corpus.jsonl"), "--backend", "bm25s",
                "--out", str(folder / "index")]  # fmt: skip
    if work == "train":
        return ["train", *WORLD, "--policy", "tiny", "--sft-steps", "0", "--steps", "2",
                "--questions-per-step", "2", "--group-size", "2", "--max-new-tokens", "6", "--checkpoint-every", "1",
                "--track", "--out", str(folder / "run"), *resume]  # fmt: skip
    if work == "eval":
        return ["eval", *WORLD, "--policy", "random_order", "--samples", "2", "--max-rows", "4",
                "--out", str(folder / "run"), *resume]  # fmt: skip
    return ["run", f"{TOY}:toy", "--scale", "smoke", "--seeds", "1", "--out", str(folder / "run")]


KEPT = {
    "index": ("index/*",),
    "train": ("run/metrics.jsonl", "run/checkpoints/rl-000002/*"),
    "eval": ("run/rollouts.jsonl", "run/report.json"),
    "run": ("run/cells/**/*.json",),
}
"""What must be the same as if nothing had happened."""


def left(work: str, folder: Path) -> dict[str, str]:
    """Path -> digest of what counts."""
    files = sorted(path for pattern in KEPT[work] for path in folder.glob(pattern) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def in_child(task: Callable[[], int], log: Path) -> int:
    """The exit code of a forked child that runs the task, -9 if it was killed."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 99
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = task()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def main(shim_file: str, work: str, root: Path, seed: int, sample: str) -> dict[str, object]:
    from berrypick.__main__ import main as berrypick

    if work == "train":
        import_module("berrypick.experiments.commands.train")  # once, not in every child
        import_module("berrypick.policies.language.session")
        import_module("berrypick.policies.language.model").load_language_model("tiny")
    shim = ctypes.CDLL(shim_file)
    log, counts = root / "stderr", root / "count"

    def run(folder: Path, *, again: bool) -> int:
        return berrypick(list(words_of(work, folder, again=again)))

    def counted(folder: Path) -> int:
        shim.shim_set(str(folder).encode(), 0, ctypes.c_long(-1), None)
        code = run(folder, again=False)
        counts.write_text(str(shim.shim_count()))
        return code

    def failing(folder: Path, mode: int, at: int) -> int:
        shim.shim_set(str(folder).encode(), mode, ctypes.c_long(at), None)
        return run(folder, again=False)

    (root / "corpus.jsonl").write_text(
        "".join(json.dumps({"id": str(at), "text": f"passage {at} of ripe berries"}) + "\n" for at in range(30))
    )
    shim.shim_count.restype = ctypes.c_long
    folder = root / "work"
    folder.mkdir()
    assert in_child(partial(counted, folder), log) == 0, log.read_text()
    wanted, operations = left(work, folder), int(counts.read_text())
    assert wanted, "the work leaves something"
    points = [(mode, at) for mode in MODES for at in range(1, operations + 1)]
    if sample != "all":
        points = random.Random(seed).sample(points, min(int(sample), len(points)))
    wrong: list[str] = []
    for mode, at in points:
        shutil.rmtree(folder)
        folder.mkdir()
        where = f"{work}: {MODES[mode]} {at}"
        code = in_child(partial(failing, folder, mode, at), log)
        said = log.read_text(errors="replace")
        if mode not in KILLS and (code not in (0, 2) or "Traceback" in said):
            wrong.append(f"{where}: exit {code}: {said[-600:]}")
        if mode in KILLS and code not in (-9, 0):
            wrong.append(f"{where}: exit {code}: {said[-600:]}")
        again = in_child(partial(run, folder, again=True), log)
        if again != 0:
            wrong.append(f"{where}: going on: exit {again}: {log.read_text(errors='replace')[-600:]}")
        elif (found := left(work, folder)) != wanted:
            wrong.append(f"{where}: differs in {sorted(dict(found.items() ^ wanted.items()))}")
        hidden = [path.name for path in folder.rglob(".*") if path.name.endswith(".partial")]
        if hidden and again == 0:
            wrong.append(f"{where}: left {hidden}")
    return {"work": work, "operations": operations, "tried": len(points), "wrong": wrong}


if __name__ == "__main__":
    shim_path, work_name, root_name, seed_text, sample_text = sys.argv[1:]
    print(json.dumps(main(shim_path, work_name, Path(root_name), int(seed_text), sample_text)))
