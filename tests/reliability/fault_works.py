"""The pieces of work that are failed and killed: what each prepares, runs, runs again, and must leave."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["WORKS", "Work"]

WORLD = ("--env", "berrypick/World-v0", "--env-arg", "num_train=8", "num_test=4", "num_validation=0", "index=bm25s")
TOY = Path(__file__).resolve().parents[1] / "experiments" / "grid" / "toy_experiment.py"
Words = Sequence[str]


def berrypick(words: Words) -> int:
    """The exit code of a command."""
    from berrypick.__main__ import main

    return main(list(words))


def nothing(folder: Path) -> int:
    """Prepares nothing."""
    return 0


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes:
        words: folder, whether it is run again -> the command line; what a user types after a failure is the second.
        kept: patterns of the files that must be the same as if nothing had happened.
        prepare: fills the folder before the work; returns 0.
        before: is called once, before all children.
        run: runs the command line.
    """

    words: Callable[[Path, bool], Words]
    kept: tuple[str, ...]
    prepare: Callable[[Path], int] = nothing
    before: Callable[[], None] = lambda: None
    run: Callable[[Words], int] = berrypick


def _resume(again: bool) -> Words:
    return ("--resume",) if again else ()


def _build(folder: Path, again: bool) -> Words:
    if again and (folder / "index").exists():  # a whole index is there, which a second build would refuse to replace
        return ["index", "clean", str(folder)]
    return ["index", "build", "--corpus", str(folder.parent / "corpus.jsonl"), "--backend", "bm25s",
            "--out", str(folder / "index")]  # fmt: skip


def _train(folder: Path, again: bool) -> Words:
    return ["train", *WORLD, "--policy", "tiny", "--sft-steps", "0", "--steps", "2", "--questions-per-step", "2",
            "--group-size", "2", "--max-new-tokens", "2", "--checkpoint-every", "1", "--track",
            "--out", str(folder / "run"), *_resume(again)]  # fmt: skip


def _eval(folder: Path, again: bool) -> Words:
    return ["eval", *WORLD, "--policy", "random_order", "--samples", "2", "--max-rows", "4",
            "--out", str(folder / "run"), *_resume(again)]  # fmt: skip


def _run(folder: Path, again: bool) -> Words:
    return ["run", f"{TOY}:toy", "--scale", "smoke", "--seeds", "1", "--out", str(folder / "run")]


def _report(folder: Path, again: bool) -> Words:
    return ["report", str(folder / "run")]


def _clean(folder: Path, again: bool) -> Words:
    return ["index", "clean", str(folder)]


def _serve(folder: Path, again: bool) -> Words:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return ["serve", str(folder / "index"), "--port", str(port)]


def _built(folder: Path) -> int:
    return berrypick(_build(folder, False))


def _left_over(folder: Path) -> int:
    """A whole index, and what killed builds left beside it."""
    code = _built(folder)
    for name in (".index.abcd_123.partial", ".other.0123abcd.partial", ".index.scratch"):
        shutil.copytree(folder / "index", folder / name)
    return code


def _evaluated(folder: Path) -> int:
    return berrypick([*_eval(folder, False), "--no-html"])


def _draw_no_figures() -> None:
    """Drawing takes nine tenths of the time; what can fail is the writing of the files."""
    from matplotlib.figure import Figure

    def savefig(self: Figure, place: Path, **options: object) -> None:
        place.write_bytes(b"a drawing" * 5000)

    Figure.savefig = savefig


def _serve_and_stop(words: Words) -> int:
    """Runs the server, asks it once, and stops it as a service manager does."""
    import urllib3

    def stop() -> None:
        url, answered = f"http://127.0.0.1:{words[-1]}/search", False
        while not answered:
            time.sleep(0.02)
            try:
                reply = urllib3.request("POST", url, json={"queries": ["ripe berries"]}, retries=False)
            except urllib3.exceptions.HTTPError:
                continue
            answered = reply.status == 200
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn ends, and then lets the signal end the process
    threading.Thread(target=stop, daemon=True).start()
    return berrypick(words)


WORKS = {
    "index build": Work(_build, ("index/*",)),
    "index clean": Work(_clean, ("index/*",), prepare=_left_over),
    "eval": Work(_eval, ("run/rollouts.jsonl", "run/report.json")),
    "report": Work(_report, ("run/rollouts.jsonl", "run/report.html"), prepare=_evaluated),
    "run": Work(_run, ("run/cells/**/*.json",), before=_draw_no_figures),
    "train": Work(_train, ("run/metrics.jsonl", "run/checkpoints/rl-000002/*")),
    "serve": Work(_serve, ("index/*",), prepare=_built, run=_serve_and_stop),
}
