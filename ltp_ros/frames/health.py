# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says: how the input, the latency, the deadline and the device are doing."""
import math
import threading
from collections import Counter, defaultdict
from statistics import median
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ltp_ros.classifier import Classifier
from ltp_ros.config import Config, TunerConfig
from ltp_ros.frames import advice
from ltp_ros.frames.camera_health import CameraFeed, CameraHealth, input_values
from ltp_ros.frames.crops import Crops
from ltp_ros.frames.latency import NS_PER_MS, FrameLatency, LatencyWindow
from ltp_ros.frames.mailbox import NOTHING, Counts
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.status import FEWEST, SILENT_AFTER_S, Severity, Status, number
from ltp_ros.frames.watchdog import stuck
from ltp_ros.tuner.controller import Decision

MAX_CONSECUTIVE_DELAY_MS = 1_000.0  # the usual value of Autoware's nodes


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
        self._in_time_at_ns = start_ns  # when the newest answer was, last
        self._counts = pipeline.mailbox.counts()
        self._cameras: Dict[str, CameraHealth] = {}  # by topic
        for topic in pipeline.mailbox.counts_by_camera():
            self.watch(CameraFeed(topic))

    def watch(self, feed: CameraFeed) -> None:
        """Report a camera from now on, with what its subscription knows."""
        counts = self._pipeline.mailbox.counts_by_camera().get(feed.topic, NOTHING)
        with self._lock:
            self._cameras[feed.topic] = CameraHealth(feed, counts, self._started_at_ns)

    def add_drop(self, topic: str, why: str) -> None:
        """Note an image of a topic that was dropped, and a sentence on it."""
        with self._lock:
            self._camera(topic).add_drop(why)

    def add(self, topic: str, latency: FrameLatency, faults: Iterable[str] = (),
            size: str = '') -> None:
        """Note an answer to an image of a topic, with the faults and the size of its picture."""
        with self._lock:
            self._camera(topic).add_picture(faults, size)
            self._newest = latency
            self._recent.append((topic, latency))
            self._new += 1
            self._window.add(latency.total_ms, latency.deadline_met)

    def add_boxes(self, topic: str, crops: Crops) -> None:
        """Note what became of the boxes of an image."""
        with self._lock:
            self._camera(topic).add_boxes(crops)

    def report(self, now_ns: int, paused: bool = False) -> List[Status]:
        """Return the statuses; rates are over the time since the last report.

        Args:
            now_ns: now.
            paused: the cameras are silent because simulated time stands still.
        """
        with self._lock:
            by_camera = self._pipeline.mailbox.counts_by_camera()
            counts = sum(by_camera.values(), NOTHING)
            cameras = [self._camera(topic).report(of_camera, now_ns, paused)
                       for topic, of_camera in by_camera.items()]
            if self._new:
                self._answered_at_ns = now_ns
            self._recent = self._recent[-max(self._new, FEWEST):]
            statuses = [self._input(counts, cameras, now_ns), *cameras, self._latency(),
                        self._deadline(counts, now_ns), self._device()]
            self._reported_at_ns, self._counts = now_ns, counts
            self._new = 0
            return statuses

    def _camera(self, topic: str) -> CameraHealth:
        """Return a camera's health; one that was not expected has sent nothing before."""
        if topic not in self._cameras:
            self._cameras[topic] = CameraHealth(CameraFeed(topic), NOTHING, self._started_at_ns)
        return self._cameras[topic]

    def _input(self, counts: Counts, cameras: Sequence[Status], now_ns: int) -> Status:
        """Return the sum over the cameras."""
        new = counts.received - self._counts.received
        faults = [camera for camera in cameras if camera.level]
        message = '; '.join(camera.message for camera in faults) or (
            'receiving images' if counts.received else 'waiting for images')
        return Status('input', max((camera.level for camera in faults), default=Severity.OK),
                      message,
                      input_values(new / max(now_ns - self._reported_at_ns, 1) * 1e9, counts))

    def _latency(self) -> Status:
        numbers = {f'p{share:g} (ms)': number(self._window.percentile(share / 100.0))
                   for share in (50, 95, 99)}
        message = 'receive to publish' if self._newest else 'no image answered yet'
        age_ms = self._newest.capture_to_publish_ms if self._newest else math.nan
        return Status('latency', Severity.OK, message, {
            **numbers, 'max (ms)': number(self._window.percentile(1.0)),
            'newest, capture to publish (ms)': number(age_ms),
            'inference_time_ms': number(self._newest.inference_ms if self._newest else math.nan),
            'answers in the window': str(len(self._window))})

    def _deadline(self, counts: Counts, now_ns: int) -> Status:
        tuner: TunerConfig = self._pipeline.config.tuner
        values = {'deadline (ms)': number(tuner.deadline_ms or math.nan),
                  'keep_ratio': f'{self._pipeline.keep_ratio:g}',
                  'miss rate': number(self._window.miss_rate if tuner.deadline_ms
                                      else math.nan, digits=3),
                  'decision': Decision(self._newest.decision).name if self._newest else 'n/a',
                  **self._watchdog(now_ns)}
        dropped = counts.dropped['superseded'] - self._counts.dropped['superseded']
        silent_s = (now_ns - self._answered_at_ns) / 1e9
        return Status('deadline', *self._deadline_state(tuner, dropped, silent_s), values)

    def _watchdog(self, now_ns: int) -> Dict[str, str]:
        """Return what the diagnostics of Autoware's nodes say of their processing time."""
        newest = self._newest
        if newest is None or newest.deadline_met:
            self._in_time_at_ns = now_ns
        delay_ms = (now_ns - self._in_time_at_ns) / NS_PER_MS
        return {'is_processing_time_ms_in_expected_range': str(not newest or newest.deadline_met),
                'processing_time_ms': number(newest.total_ms if newest else math.nan),
                'is_consecutive_processing_delay_in_range': str(
                    delay_ms <= MAX_CONSECUTIVE_DELAY_MS),
                'consecutive_processing_delay_ms': number(delay_ms if newest else math.nan)}

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
            return Severity.ERROR, f'too slow even at {floor}{lost}; {self._advice(dropped)}'
        if self._window.miss_rate > max(tuner.target_miss_rate, 1.0 / len(self._window)):
            varies = self._pipeline.variation > advice.WIDE
            return Severity.WARN, 'missed more often than target_miss_rate' + (
                f", since this machine's speed varies; {self._advice(dropped)}" if varies else '')
        return Severity.OK, 'held'

    def _advice(self, dropped: int) -> str:
        pipeline = self._pipeline
        return advice.sentence(advice.hints(pipeline.config.classifier, pipeline.classifier,
                                            pipeline.variation, dropped > 0))

    def _device(self) -> Status:
        classifier: Classifier = self._pipeline.classifier
        values = {'model': classifier.model_name, 'device': str(classifier.device),
                  'backend': classifier.backend.name, 'precision': classifier.precision}
        if classifier.kept and classifier.kept.check:
            values['answers'] = classifier.kept.check
        if self._pipeline.stuck_s:
            return Status('device', Severity.ERROR, stuck(self._pipeline.stuck_s), values)
        if self._pipeline.trouble:
            return Status('device', Severity.WARN, self._pipeline.trouble, values)
        return Status('device', Severity.OK, 'running', values)


def floor_reason(config: Config, keep_ratio: float) -> str:
    """Return the level in use, and why the tuner goes no lower, in a clause.

    Args:
        config: in force.
        keep_ratio: the lowest that the tuner finds useful.
    """
    ladder, bound = config.classifier.levels, config.tuner.min_keep_ratio
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
