"""Evaluates, trains and reports in a loop over a server, and watches memory, open handles and files.

Run by test_soak.py: `soak_driver.py FOLDER SECONDS [leak]`. With "leak" it loses memory, handles and files in each
cycle, so that a test sees that the soak can fail. Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from soak_verdict import Sample, verdict

WORLD = ("--env", "berrypick/World-v0", "--env-arg", "num_train=8", "num_test=8", "num_validation=0")
MOST_S = 20.0
"""How long handles that are being closed may take."""


def berrypick(*words: object) -> None:
    """Runs a command in this process."""
    from berrypick.__main__ import main

    code = main([str(word) for word in words])
    assert code == 0, f"exit {code}: {words}"


def resident_mib(process: int | str) -> float:
    """Resident memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def handles(process: int | str, most: int | None) -> int:
    """Open handles; waits for those above `most` to be closed."""
    end = time.monotonic() + MOST_S
    while True:
        count = len(os.listdir(f"/proc/{process}/fd"))
        if most is None or count <= most or time.monotonic() > end:
            return count
        time.sleep(0.02)


@contextmanager
def served(index: Path, log: Path) -> Iterator[tuple[str, int]]:
    """Address and process of a server of the index."""
    import urllib3

    words = [sys.executable, "-m", "berrypick", "serve", str(index), "--port", "0"]
    with log.open("wb") as file, subprocess.Popen(words, stderr=file, stdout=file) as process:
        try:
            while not (found := [line for line in log.read_text().splitlines() if "http://" in line]):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            url = "http://" + found[0].partition("http://")[2].split('"')[0].split()[0].rstrip("/,")
            while urllib3.request("GET", url + "/health", retries=20).status != 200:
                time.sleep(0.05)
            yield url, process.pid
        finally:
            process.terminate()


def cycle(folder: Path, url: str) -> int:
    """Evaluates, trains and reports; returns the number of hidden files that were left."""
    world = [*WORLD, f"index={url}"]
    played, trained = folder / "eval", folder / "train"
    berrypick("eval", *world, "--policy", "random_order", "--samples", "4", "--out", played)
    berrypick("report", played)
    berrypick("train", *world, "--policy", "tiny", "--sft-steps", "0", "--steps", "2", "--questions-per-step", "2",
              "--group-size", "2", "--max-new-tokens", "6", "--checkpoint-every", "1", "--out", trained)  # fmt: skip
    hidden = [path for place in (played, trained) for path in place.rglob(".*")]
    for place in (played, trained):
        shutil.rmtree(place)
    return len(hidden)


def ask(url: str) -> None:
    """Two hundred requests on one connection; every twentieth is malformed and is refused."""
    import urllib3

    headers = {"Content-Type": "application/json"}
    with urllib3.PoolManager(headers=headers) as pool:
        for number in range(200):
            malformed = number % 20 == 7
            body = b'{"queries": 3}' if malformed else json.dumps({"queries": [f"ledger {number}"] * 3}).encode()
            reply = pool.request("POST", url + "/retrieve", body=body)
            assert reply.status == (422 if malformed else 200), reply.data


def prepared(folder: Path) -> Path:
    """The folder of an index of the World's records."""
    from berrypick.envs.tasks.registry import make_task
    from berrypick.retrieval_index.corpus import write_corpus

    task = make_task("berrypick/World-v0", num_train=8, num_test=8, num_validation=0)
    write_corpus(folder / "corpus.jsonl", task.passages)
    berrypick("index", "build", "--corpus", folder / "corpus.jsonl", "--backend", "bm25s", "--out", folder / "index")
    return folder / "index"


def main(folder: Path, seconds: float, *, leak: bool) -> dict[str, Any]:
    """Runs cycles for so long; returns what they did, what they lost and what is wrong with it."""
    import urllib3

    temporary = Path(tempfile.gettempdir())
    lost: list[object] = []
    trim = ctypes.CDLL(None).malloc_trim
    samples: dict[str, list[Sample]] = {"server": [], "client": []}
    left = 0
    with served(prepared(folder), folder / "server.log") as (url, server):
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(samples["client"]) < 8:
            left += cycle(folder, url)
            ask(url)
            if leak:
                lost += [bytearray(os.urandom(1 << 20) * 8), os.open(os.devnull, os.O_RDONLY)]
                (temporary / f"left-{len(lost)}").touch()
            gc.collect()
            trim(0)
            for name, process in (("server", server), ("client", os.getpid())):
                most = samples[name][2].handles if len(samples[name]) > 2 and not leak else None
                samples[name].append(Sample(resident_mib(process), handles(process, most)))
        metrics = urllib3.request("GET", url + "/metrics").data.decode()
    left += sum(path.is_file() for path in temporary.rglob("*"))  # torch leaves an empty folder
    requests = sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("berrypick_requests_to"))
    return {
        "seconds": round(seconds),
        "cycles": len(samples["client"]),
        "requests": int(requests),
        **verdict(samples, left),
    }


if __name__ == "__main__":
    place, length, *planted = sys.argv[1:]
    out = os.dup(1)
    os.dup2(os.open(os.path.join(place, "client.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    result = main(Path(place), float(length), leak=bool(planted))
    os.write(out, json.dumps(result).encode())
