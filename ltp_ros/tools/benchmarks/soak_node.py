# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node as `ltp_benchmark soak` runs it, with two more signals.

SIGUSR1: its model fails on the next images. SIGUSR2: it gives free memory back to the system, so
that what it still holds is what it needs.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.run('ltp_ros.tools.benchmarks.soak_node', interrupted=0))

import ctypes
import gc
import signal
from typing import Any, Optional
from unittest import mock

import numpy as np

from ltp_ros import node
from ltp_ros.classifier import Classifier
from ltp_ros.frames.recovery import RETRIES
from ltp_ros.prediction import Prediction

# One more than are passed over: the node goes down to its lowest level until the model is well
FAILURES = RETRIES + 1


def main() -> int:
    """Run the node; return its exit code."""
    answer, left, libc = Classifier.classify, 0, ctypes.CDLL(None)

    def fail(number: int, frame: object) -> None:
        nonlocal left
        left = FAILURES

    def give_back(number: int, frame: object) -> None:
        gc.collect()
        if hasattr(libc, 'malloc_trim'):  # glibc's
            libc.malloc_trim(0)

    def classify(classifier: Classifier, rgb: np.ndarray, keep_ratio: Optional[float] = None,
                 **wanted: Any) -> Prediction:
        nonlocal left
        if left:
            left -= 1
            raise RuntimeError('out of memory (simulated)')
        return answer(classifier, rgb, keep_ratio, **wanted)

    signal.signal(signal.SIGUSR1, fail)
    signal.signal(signal.SIGUSR2, give_back)
    with mock.patch.object(Classifier, 'classify', classify):
        return node.main()
