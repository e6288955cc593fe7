# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What one thread is working on, so that another may take it away where the model hangs."""
import threading
from typing import Callable, Optional

from ltp_ros.frames.drops import Abandoned


class WorkInHand:
    """One piece of work at a time: begun, in the model, ended, and published.

    Args:
        now_ns: a monotonic clock.
    """

    def __init__(self, now_ns: Callable[[], int]):
        self.since_ns: Optional[int] = None  # when that which is not published yet was begun
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._work: Optional[object] = None  # in the model, or on the way to it
        self._in_model = False

    def begin(self, work: object) -> None:
        """Take work in hand."""
        with self._lock:
            self._work, self._in_model, self.since_ns = work, False, self._now_ns()

    def enter_model(self, work: object) -> None:
        """Note that the model has it from now on.

        Raises:
            Abandoned: if it was taken away meanwhile.
        """
        with self._lock:
            self._check(work)
            self._in_model = True

    def end(self, work: object) -> None:
        """Note that the model is done with it: from now on it belongs to its thread.

        Raises:
            Abandoned: if it was taken away meanwhile.
        """
        with self._lock:
            self._check(work)
            self._work = None

    def _check(self, work: object) -> None:
        if self._work is not work:
            raise Abandoned

    def take(self, since_ns: Optional[int]) -> Optional[object]:
        """Take away and return what has not left the model yet; None if there is nothing.

        Args:
            since_ns: only what is in the model, and was begun then; None: and what is on the way
                to it too.
        """
        with self._lock:
            if since_ns is not None and not (self._in_model and self.since_ns == since_ns):
                return None
            work, self._work = self._work, None
        if work is not None:
            self.since_ns = None
        return work
