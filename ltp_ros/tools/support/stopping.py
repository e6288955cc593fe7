# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that end early in good order when they are told to."""
import contextlib
import signal
from typing import Iterator, List


@contextlib.contextmanager
def noting(*numbers: int) -> Iterator[List[int]]:
    """Note these signals in the list that is returned, instead of what they do otherwise."""
    noted: List[int] = []
    previous = {number: signal.signal(number, lambda received, frame: noted.append(received))
                for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
