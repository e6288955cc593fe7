# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Held`: a setting of the whole process for the length of a block, in several threads at once."""
import threading
from typing import Callable, Generic, TypeVar

T = TypeVar('T')


class Held(Generic[T]):
    """A context manager that is put back once the last block that needs it has ended.

    A thread that hangs in a download is left behind, while another one makes the model again:
    each of them by itself would take the setting away from the other, or put back its own.

    Args:
        get: returns the setting.
        put: sets it.
        value: meanwhile.
    """

    def __init__(self, get: Callable[[], T], put: Callable[[T], None], value: T):
        self._get, self._put, self._value = get, put, value
        self._lock, self._blocks = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._blocks:
                self._before = self._get()
                self._put(self._value)
            self._blocks += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._put(self._before)
