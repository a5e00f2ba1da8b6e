"""Servers for a benchmark, each in a separate process on a free port."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ...retrieval_index.errors import BerrypickError

__all__ = ["Server", "reference", "served"]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]


def served(folder: Path) -> AbstractContextManager[Server]:
    """Runs `berrypick serve` on an index folder."""
    return _running(["-m", "berrypick", "serve", str(folder), "--log-level", "warning", "--port"])


def reference(kind: str, folder: Path) -> AbstractContextManager[Server]:
    """Runs a server of `reference_servers`, "noop" or "loop"."""
    return _running(["-m", f"{__name__.rpartition('.')[0]}.reference_servers", kind, str(folder)])


def _is_ready(url: str) -> bool:
    import urllib3

    with contextlib.suppress(urllib3.exceptions.HTTPError):
        return urllib3.request("GET", url + "/health", retries=False).status == 200
    return False


@contextlib.contextmanager
def _running(command: Sequence[str]) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, *command, str(port)], stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while not _is_ready(url):
            if process.poll() is not None:
                raise BerrypickError("a server of the benchmark did not start; see its log above")
            time.sleep(0.1)
        yield Server(url, process)
    finally:
        process.terminate()
        process.wait(60)
