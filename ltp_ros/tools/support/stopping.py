# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Signals that a program records, in order to stop cleanly and soon."""
import contextlib
import os
import signal
import threading
import time
import traceback
from typing import Callable, Iterator, List

GRACE_S = 0.8  # for the main thread to see the signal and end by itself


@contextlib.contextmanager
def noting(*numbers: int) -> Iterator[List[int]]:
    """Append these signals to the list that is yielded, in place of their default action."""
    noted: List[int] = []
    previous = {number: signal.signal(number, lambda received, frame: noted.append(received))
                for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending(*numbers: int, at_once: Callable[[], None],
           at_last: Callable[[], int]) -> Iterator[List[int]]:
    """Note signals as `noting` does, but end the program if the block goes on for GRACE_S.

    Python handles a signal between two instructions of the main thread: not while that waits for
    a server, or for one call of torch that computes for a minute.

    Args:
        numbers: the signals.
        at_once: called in another thread when a signal comes, to save what must not be lost.
        at_last: called there before the program is ended; returns its exit code.
    """
    arrived, wake = os.pipe()
    os.set_blocking(wake, False)  # as Python demands
    left = threading.Event()

    def watch() -> None:
        for received in iter(lambda: os.read(arrived, 1), b''):
            if received[0] in numbers:
                grace_ends = time.monotonic() + GRACE_S
                try:
                    at_once()
                except Exception:  # noqa: BLE001  whatever it is, say so and end
                    traceback.print_exc()
                if not left.wait(grace_ends - time.monotonic()):
                    os._exit(at_last())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    previous = signal.set_wakeup_fd(wake)
    try:
        with noting(*numbers) as noted:
            yield noted
    finally:
        left.set()
        signal.set_wakeup_fd(previous)
        os.close(wake)
        watcher.join()
        os.close(arrived)
