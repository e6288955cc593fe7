# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The tuner on the device: 200 images per second with a deadline, with and without a load."""
import subprocess
import sys
import threading
import time
from typing import List

import numpy as np

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config
from ltp_ros.frames.drops import FrameDropped
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.processed import Processed
from ltp_ros.frames.startup import TIMED_ROUNDS
from ltp_ros.frames.worker import Worker
from ltp_ros.research.benchmarks.gpu.parts import LEVELS, Settings, Task
from ltp_ros.research.benchmarks.gpu.subjects import noise, subjects
from ltp_ros.settings import update
from ltp_ros.tuner.levels import costs_of

RATE_HZ, SMALL_RATE_HZ = 200.0, 20.0
DEADLINE_FACTOR = 1.5  # multiplies the tail latency of the unpruned model
LEAST_DEADLINE_MS = 1.0
SETTLE_S = 0.5
LOAD = '''
import sys, torch
x = torch.randn(2048, 2048, device=sys.argv[1])
print('busy', flush=True)
while True:
    x = (x @ x).clamp_(-1, 1)
    if sys.argv[1] == 'cuda':
        torch.cuda.synchronize()
'''


def config_of(settings: Settings) -> Config:
    """Return the configuration of a node, without a deadline."""
    subject = subjects(settings)[0]
    return update(Config(), {'model': subject.name, 'checkpoint': subject.checkpoint,
                             'device': settings.device, 'cache': f'{settings.output}/{LEVELS}',
                             'deadline_from': 'receive', 'keep_ratio': 1.0})


class Heard:
    """A `FrameListener` that collects the latencies of the answered frames."""

    def __init__(self) -> None:
        self.latencies: List[FrameLatency] = []

    def publish(self, processed: Processed) -> bool:
        """Accept a prediction."""
        return True

    def on_answer(self, processed: Processed, latency: FrameLatency) -> None:
        """Record the latency of an answer."""
        self.latencies.append(latency)

    def on_drop(self, frame: Frame, drop: FrameDropped) -> None:
        """Ignore a drop, which the mailbox has counted."""

    def on_failure(self, error: BaseException) -> None:
        """Ignore the error; a check fails if no image is answered."""


def run(task: Task) -> None:
    """Answer a camera's images without a load, with one, and without again."""
    worker = Worker()
    try:
        config = config_of(task.settings)
        classifier = worker.submit(lambda: Classifier(config.classifier)).result()
        worker.submit(classifier.warm_up).result()
        costs = costs_of(
            worker.submit(lambda: classifier.time_levels(TIMED_ROUNDS)).result())
        for cost in costs:
            task.row('levels', keep_ratio=cost.keep_ratio, median_ms=cost.median_ms,
                     p99_ms=cost.p99_ms)
        slowest = max(costs, key=lambda cost: cost.keep_ratio)
        deadline_ms = max(DEADLINE_FACTOR * slowest.p99_ms, LEAST_DEADLINE_MS)
        config = update(config, {'deadline_ms': deadline_ms})
        heard = Heard()
        pipeline = Pipeline(classifier, costs, Mailbox(), np.asarray, time.monotonic_ns, config)
        worker.start(pipeline, heard)
        seconds = max((task.left_s - 3.0) / 3.5, 1.0)
        watch(task, pipeline, heard, 'alone', seconds, deadline_ms)
        with subprocess.Popen([sys.executable, '-c', LOAD, task.settings.device],
                              stdout=subprocess.PIPE, text=True) as load:
            try:
                assert load.stdout is not None
                load.stdout.readline()  # it has started
                watch(task, pipeline, heard, 'with a load', seconds, deadline_ms)
            finally:
                load.kill()
        watch(task, pipeline, heard, 'alone again', seconds, deadline_ms)
    finally:
        worker.stop()


def watch(task: Task, pipeline: Pipeline, heard: 'Heard', phase: str, seconds: float,
          deadline_ms: float) -> None:
    """Send images for some seconds, and report the answers."""
    rate_hz = SMALL_RATE_HZ if task.settings.small else RATE_HZ
    heard.latencies.clear()
    before = pipeline.mailbox.counts()
    stop = threading.Event()

    def camera() -> None:
        rgb, next_s = noise(480, 640), time.monotonic()
        while not stop.is_set():
            pipeline.mailbox.put(Frame('camera', rgb, time.monotonic_ns(), 0.0))
            next_s += 1.0 / rate_hz
            time.sleep(max(next_s - time.monotonic(), 0.0))

    thread = threading.Thread(target=camera)
    thread.start()
    time.sleep(seconds)
    stop.set()
    thread.join()
    end = time.monotonic() + SETTLE_S
    while pipeline.busy_since_ns is not None and time.monotonic() < end:
        time.sleep(0.01)
    counts = pipeline.mailbox.counts()
    found = list(heard.latencies)
    ages = [latency.total_ms for latency in found] or [float('nan')]
    ratios = [latency.keep_ratio for latency in found]
    task.row(f'{rate_hz:g} images per second', phase=phase, deadline_ms=deadline_ms,
             received=counts.received - before.received, answered=len(found),
             miss_rate=float(np.mean([not latency.deadline_met for latency in found] or [True])),
             mean_keep_ratio=float(np.mean(ratios or [0.0])),
             level_changes=int(np.count_nonzero(np.diff(ratios))),
             age_p50_ms=float(np.percentile(ages, 50)), age_p99_ms=float(np.percentile(ages, 99)))
    task.check(f'{phase}: images were answered', bool(found))
