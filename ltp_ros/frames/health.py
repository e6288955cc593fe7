# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says: how the input, the latency, the deadline and the device are doing."""
import math
import threading
from dataclasses import dataclass
from enum import IntEnum
from typing import Dict, List, Optional

from ltp_ros.classifier import Classifier
from ltp_ros.config import TunerConfig
from ltp_ros.frames.latency import NS_PER_MS, FrameLatency, LatencyWindow
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.tuner.controller import Decision

STUCK_AFTER_MS = 5_000.0  # in work for longer, a frame will not come out
SILENT_AFTER_MS = 5_000.0


class Severity(IntEnum):
    """Severities of REP-107; the values of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Status:
    """One line of the diagnostics; keys carry the units, 'n/a' stands for unknown."""

    part: str
    level: Severity
    message: str
    values: Dict[str, str]


class Health:
    """Gather answers in the worker's thread, report from any other.

    Args:
        pipeline: whose config, mailbox and state are reported.
        start_ns: now, on the clock of `report`.
    """

    def __init__(self, pipeline: Pipeline, start_ns: int):
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._window = LatencyWindow()
        self._newest: Optional[FrameLatency] = None
        self._num_reported = 0
        self._received_at_ns = self._reported_at_ns = start_ns

    def add(self, latency: FrameLatency) -> None:
        """Note an answer."""
        with self._lock:
            self._newest = latency
            self._window.add(latency.total_ms, latency.deadline_met)

    def report(self, now_ns: int) -> List[Status]:
        """Return the four statuses; rates are over the time since the last report."""
        with self._lock:
            return [self._input(now_ns), self._latency(), self._deadline(), self._device(now_ns)]

    def _input(self, now_ns: int) -> Status:
        counts = self._pipeline.mailbox.counts()
        received = counts.received
        rate = (received - self._num_reported) / max(now_ns - self._reported_at_ns, 1) * 1e9
        if received > self._num_reported:
            self._received_at_ns = now_ns
        self._num_reported, self._reported_at_ns = received, now_ns
        silent_ms = (now_ns - self._received_at_ns) / NS_PER_MS
        level, message = Severity.OK, 'receiving images'
        if silent_ms > SILENT_AFTER_MS:
            level, message = Severity.WARN, f'no image for {silent_ms / 1000.0:.0f} s'
        return Status('input', level, message, {
            'rate (Hz)': f'{rate:.1f}', 'received': str(received),
            'published': str(counts.published),
            **{f'dropped, {reason}': str(count) for reason, count in counts.dropped.items()}})

    def _latency(self) -> Status:
        numbers = {f'p{share:g} (ms)': _number(self._window.percentile(share / 100.0))
                   for share in (50, 95, 99)}
        message = 'receive to publish' if self._newest else 'no image answered yet'
        age_ms = self._newest.capture_to_publish_ms if self._newest else math.nan
        return Status('latency', Severity.OK, message, {
            **numbers, 'max (ms)': _number(self._window.percentile(1.0)),
            'newest, capture to publish (ms)': _number(age_ms),
            'answers in the window': str(len(self._window))})

    def _deadline(self) -> Status:
        tuner: TunerConfig = self._pipeline.config.tuner
        values = {'deadline (ms)': _number(tuner.deadline_ms or math.nan),
                  'keep_ratio': f'{self._pipeline.keep_ratio:g}',
                  'miss rate': _number(self._window.miss_rate if tuner.deadline_ms
                                       else math.nan, digits=3),
                  'decision': Decision(self._newest.decision).name if self._newest else 'n/a'}
        level, message = Severity.OK, 'held' if tuner.deadline_ms else 'none set'
        if tuner.deadline_ms and self._newest:
            if self._newest.decision == Decision.FLOOR:
                level = Severity.ERROR
                message = 'too slow even at the lowest keep_ratio allowed; images are dropped'
            elif self._window.miss_rate > max(tuner.target_miss_rate, 1.0 / len(self._window)):
                level, message = Severity.WARN, 'missed more often than target_miss_rate'
        return Status('deadline', level, message, values)

    def _device(self, now_ns: int) -> Status:
        classifier: Classifier = self._pipeline.classifier
        values = {'model': classifier.model_name, 'device': str(classifier.device),
                  'backend': classifier.backend.name, 'precision': classifier.precision}
        busy_since_ns = self._pipeline.busy_since_ns
        if busy_since_ns is not None and now_ns - busy_since_ns > STUCK_AFTER_MS * NS_PER_MS:
            seconds = (now_ns - busy_since_ns) / 1e9
            return Status('device', Severity.ERROR, f'stuck in one image for {seconds:.0f} s',
                          values)
        return Status('device', Severity.OK, 'running', values)


def _number(value: float, digits: int = 1) -> str:
    return 'n/a' if math.isnan(value) else f'{value:.{digits}f}'
