"""Ctrl-C while a long loop runs: the step in hand ends first, so that a checkpoint can be written."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stops_after_step"]

_TEXT = "stopping after this step, with a checkpoint; Ctrl-C again stops at once, without one\n"


@contextmanager
def stops_after_step(*, wanted: bool = True) -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether Ctrl-C was pressed in the block; its caller writes what it must and stops.

    A second Ctrl-C raises `KeyboardInterrupt` at once, as it does outside the block. Nothing changes in other threads
    than the main one, or if the program handles Ctrl-C itself.

    Args:
        wanted: False changes nothing. Several processes of one run cannot agree on a step to stop after.
    """
    pressed = threading.Event()
    ours = (
        wanted
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )

    def ask(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        sys.stderr.write(_TEXT)
        sys.stderr.flush()

    if not ours:
        yield pressed.is_set
        return
    signal.signal(signal.SIGINT, ask)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
