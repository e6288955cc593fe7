# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Signals that a program records, in order to stop cleanly."""
import contextlib
import signal
from typing import Iterator, List


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
