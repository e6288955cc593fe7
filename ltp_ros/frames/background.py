# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Work that may be late or left out, in a thread that yields to all others."""
import contextlib
import os
import threading
import time
from concurrent import futures
from typing import Callable, Generic, Optional, TypeVar

T = TypeVar('T')
NAME = 'ltp_background'  # of the threads
NICENESS = 10
PATIENCE_S = 5.0  # with which the item in work is waited for


class Background(Generic[T]):
    """Does something with the newest item offered, at a limited rate; older ones are forgotten.

    Args:
        work: called with each item in the background thread.
        on_error: called there with what `work` raises; the next item is worked on all the same.
    """

    def __init__(self, work: Callable[[T], None], on_error: Callable[[Exception], None]):
        self._work, self._on_error = work, on_error
        self._condition = threading.Condition()
        self._item: Optional[T] = None
        self._period_s = 0.0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
        self._thread.start()

    def offer(self, item: T, period_s: float) -> None:
        """Offer an item; the one after it is worked on no sooner than `period_s` later."""
        with self._condition:
            self._item, self._period_s = item, period_s
            self._condition.notify()

    def stop(self) -> None:
        """Forget the waiting item, and wait for the one in work, unless it hangs."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            # Not above the others where the whole process was started with nice; 19 is the most
            inherited = max(os.getpriority(os.PRIO_PROCESS, thread), 0)
            os.setpriority(os.PRIO_PROCESS, thread, min(inherited + NICENESS, 19))
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopped or self._item is not None)
                if self._stopped:
                    return
                item, self._item = self._item, None
                period_s = self._period_s
            began = time.monotonic()
            assert item is not None  # it was waited for
            try:
                self._work(item)
            except Exception as error:  # noqa: BLE001  the thread would end with it
                self._on_error(error)
            del item  # or the image is kept until the next
            with self._condition:
                self._condition.wait_for(lambda: self._stopped,
                                         began + period_s - time.monotonic())


def in_thread(function: Callable[[], T]) -> 'futures.Future[T]':
    """Do what waits for a disk in a thread of its own, out of the way of all others."""
    future: futures.Future[T] = futures.Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001  it is for whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name='ltp_aside', daemon=True).start()
    return future
