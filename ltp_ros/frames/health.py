# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says: how the input, the latency, the deadline and the device are doing."""
import math
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import IntEnum
from statistics import median
from typing import Dict, List, Optional, Sequence, Tuple

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config, TunerConfig
from ltp_ros.frames.latency import NS_PER_MS, FrameLatency, LatencyWindow
from ltp_ros.frames.mailbox import Counts
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.tuner.controller import Decision

STUCK_AFTER_MS = 5_000.0  # in work for longer, a frame will not come out
SILENT_AFTER_S = 5.0
FEWEST = 5  # answers that a status is decided by


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

    What a status says is steady: it is decided by all answers since the report before, and by
    at least the last five. Time before it was made, as while the node was inactive, is no silence.

    Args:
        pipeline: whose config, mailbox and state are reported.
        start_ns: now, on the clock of `report`.
    """

    def __init__(self, pipeline: Pipeline, start_ns: int):
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._window = LatencyWindow()
        self._newest: Optional[FrameLatency] = None
        self._recent: List[Tuple[str, FrameLatency]] = []  # topic, answer
        self._new = 0  # of them since the last report
        self._started_at_ns = self._reported_at_ns = self._answered_at_ns = start_ns
        counts = pipeline.mailbox.counts()
        # By topic: how many, and when that changed
        self._received = {topic: (received, start_ns)
                          for topic, received in counts.by_topic.items()}
        self._dropped = counts.dropped['superseded']

    def add(self, topic: str, latency: FrameLatency) -> None:
        """Note an answer to an image of a topic."""
        with self._lock:
            self._newest = latency
            self._recent.append((topic, latency))
            self._new += 1
            self._window.add(latency.total_ms, latency.deadline_met)

    def report(self, now_ns: int) -> List[Status]:
        """Return the four statuses; rates are over the time since the last report."""
        with self._lock:
            counts = self._pipeline.mailbox.counts()
            if self._new:
                self._answered_at_ns = now_ns
            self._recent = self._recent[-max(self._new, FEWEST):]
            statuses = [self._input(counts, now_ns), self._latency(),
                        self._deadline(counts, now_ns), self._device(now_ns)]
            self._reported_at_ns = now_ns
            self._new = 0
            return statuses

    def _input(self, counts: Counts, now_ns: int) -> Status:
        new = 0
        silent_s: Dict[str, float] = {}
        for topic, received in counts.by_topic.items():
            before, changed_at_ns = self._received.get(topic, (0, self._started_at_ns))
            if received > before:
                changed_at_ns = now_ns
            new += received - before
            self._received[topic] = received, changed_at_ns
            silent_s[topic] = (now_ns - changed_at_ns) / 1e9
        rate = new / max(now_ns - self._reported_at_ns, 1) * 1e9
        silent = [topic for topic, seconds in silent_s.items() if seconds > SILENT_AFTER_S]
        level, message = Severity.OK, 'receiving images'
        if silent:
            level, message = Severity.WARN, '; '.join(
                f'no image for {silent_s[topic]:.0f} s on {topic}' for topic in silent)
        elif not counts.received:
            message = 'waiting for images'
        return Status('input', level, message, {
            'rate (Hz)': f'{rate:.1f}', 'received': str(counts.received),
            'published': str(counts.published),
            **{f'dropped ({reason})': str(count) for reason, count in counts.dropped.items()}})

    def _latency(self) -> Status:
        numbers = {f'p{share:g} (ms)': _number(self._window.percentile(share / 100.0))
                   for share in (50, 95, 99)}
        message = 'receive to publish' if self._newest else 'no image answered yet'
        age_ms = self._newest.capture_to_publish_ms if self._newest else math.nan
        return Status('latency', Severity.OK, message, {
            **numbers, 'max (ms)': _number(self._window.percentile(1.0)),
            'newest, capture to publish (ms)': _number(age_ms),
            'answers in the window': str(len(self._window))})

    def _deadline(self, counts: Counts, now_ns: int) -> Status:
        tuner: TunerConfig = self._pipeline.config.tuner
        values = {'deadline (ms)': _number(tuner.deadline_ms or math.nan),
                  'keep_ratio': f'{self._pipeline.keep_ratio:g}',
                  'miss rate': _number(self._window.miss_rate if tuner.deadline_ms
                                       else math.nan, digits=3),
                  'decision': Decision(self._newest.decision).name if self._newest else 'n/a'}
        dropped, self._dropped = counts.dropped['superseded'] - self._dropped, (
            counts.dropped['superseded'])
        silent_s = (now_ns - self._answered_at_ns) / 1e9
        return Status('deadline', *self._deadline_state(tuner, dropped, silent_s), values)

    def _deadline_state(self, tuner: TunerConfig, dropped: int,
                        silent_s: float) -> Tuple[Severity, str]:
        if not tuner.deadline_ms:
            return Severity.OK, 'none set'
        if not len(self._window):
            return Severity.OK, 'no image answered yet'
        if silent_s > SILENT_AFTER_S:
            return Severity.OK, f'no image answered for {silent_s:.0f} s'
        late = late_arrivals(self._recent)
        if late:
            return Severity.WARN, late
        floors = sum(latency.decision == Decision.FLOOR for _, latency in self._recent)
        if 2 * floors > len(self._recent):
            lost = f'; {dropped} images superseded in the last second' if dropped else ''
            floor = floor_reason(self._pipeline.config, self._pipeline.keep_ratio)
            return Severity.ERROR, f'too slow even at {floor}{lost}'
        if self._window.miss_rate > max(tuner.target_miss_rate, 1.0 / len(self._window)):
            return Severity.WARN, 'missed more often than target_miss_rate'
        return Severity.OK, 'held'

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


def floor_reason(config: Config, keep_ratio: float) -> str:
    """Return the level in use, and why the tuner goes no lower, in a clause.

    Args:
        config: in force.
        keep_ratio: the lowest that the tuner finds useful.
    """
    ladder, bound = config.classifier.ladder, config.tuner.min_keep_ratio
    below = [f'{level:g}' for level in ladder if level < keep_ratio]
    no_faster = [f'{level:g}' for level in ladder if bound - 1e-6 <= level < keep_ratio]
    if no_faster:
        reason = f'the lowest that is any faster: {", ".join(no_faster)} took no less time'
    elif below:
        reason = f'the lowest that min_keep_ratio {bound:g} allows'
    else:
        reason = 'the only one' if len(ladder) == 1 else 'the lowest of keep_ratios'
    return f'keep_ratio {keep_ratio:g}, {reason}'


def late_arrivals(answers: Sequence[Tuple[str, FrameLatency]]) -> str:
    """Return a sentence on the topics most of whose images arrived too old; '' if there is none.

    Args:
        answers: topic and answer.
    """
    ages: Dict[str, List[float]] = defaultdict(list)
    totals = Counter(topic for topic, _ in answers)
    for topic, latency in answers:
        if latency.decision == Decision.LATE_ARRIVAL:
            ages[topic].append(latency.age_at_receive_ms)
    return '; '.join(late_arrival(topic, median(found)) for topic, found in ages.items()
                     if 2 * len(found) > totals[topic])


def late_arrival(topic: str, age_ms: float) -> str:
    """Return what is measured of a topic whose images arrive too old, and what to do."""
    return (f'{topic}: images arrive {age_ms:.0f} ms old, too old for the deadline at any '
            "keep_ratio; check the camera's clock, or set deadline_from:=receive")


def _number(value: float, digits: int = 1) -> str:
    return 'n/a' if math.isnan(value) else f'{value:.{digits}f}'
