# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node and the cameras of `ltp_benchmark soak`, watched all the time."""
import contextlib
import itertools
import signal
import time
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import Image

from ltp_ros.frames.mailbox import NOTHING, Counts
from ltp_ros.frames.status import Severity
from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.process_usage import usage
from ltp_ros.research.benchmarks.soak import Record, Sample, counts_of, in_flight, unaccounted
from ltp_ros.tools.benchmarks.session import CLASSIFIER, Session, stamp_ns
from ltp_ros.tools.benchmarks.soak_node import FAILURES
from ltp_ros.tools.benchmarks.soak_pictures import Reference
from ltp_ros.tools.support.processes import ProcessError

TOPICS = ('/ltp/image', '/ltp/image2')
CAMERA_PART = 'camera '  # of the diagnostics, before the topic
SAMPLE_S = 2.0
AGAIN_S = 30.0  # after whatever happened; a camera takes some seconds to start


class SoakSession(Session):
    """A session that records what the node counts, answers and holds.

    Args:
        parameters: of the node.
        rate_hz: of each camera.
        progress: called every few seconds with the seconds since `begin`.
    """

    program = 'ltp_ros.tools.benchmarks.soak_node'

    def __init__(self, parameters: Mapping[str, object], rate_hz: float,
                 progress: Callable[[float], None]):
        super().__init__({**parameters, 'image_topics': list(TOPICS)}, lambda passed_s: None)
        self.rate_hz, self.record = rate_hz, Record()
        self.stage = ''
        self.ages: List[Tuple[float, float]] = []  # time_s, ms; emptied for each phase
        self.counts = NOTHING  # of the newest report
        self._cameras: Dict[str, Counts] = {}  # by topic
        self._progress = progress
        self._reference: Optional[Reference] = None
        self._answered_ns = 0  # the stamp of the camera's newest image with an answer

    def begin(self, reference: Reference) -> None:
        """Record from now on."""
        self._reference, self._begun_s = reference, time.monotonic()
        self._node.create_subscription(Classification, 'classification', self._on_answer, 1000)
        self._node.create_timer(SAMPLE_S, self._sample)
        num_reports = self.record.num_reports
        self.until(lambda: self.record.num_reports > num_reports, AGAIN_S, 'diagnostics')

    @property
    def time_s(self) -> float:
        """Seconds since `begin`."""
        return time.monotonic() - self._begun_s

    def wait_until_answered(self) -> float:
        """Wait for an answer to an image that the camera takes from now on; return the seconds."""
        start, start_ns = time.monotonic(), time.time_ns()
        self.until(lambda: self._answered_ns >= start_ns, AGAIN_S,
                   'an answer to a new image')
        return time.monotonic() - start

    def wait_until_accounted(self) -> None:
        """End the camera, and wait until no image is in flight."""
        self.end(self.camera)
        self.until(lambda: in_flight(self.counts) == 0, AGAIN_S, 'a report without an image in '
                   'flight, though the cameras are silent')

    def start_afresh(self) -> None:
        """Have the node give back what it and the transport keep for images that are over."""
        self.change_state(Transition.TRANSITION_DEACTIVATE)  # a pool lives with its subscription
        self.change_state(Transition.TRANSITION_ACTIVATE)
        self.wait_until_answered()
        self.classifier.send_signal(signal.SIGUSR2)

    def fail_the_model(self) -> None:
        """Let the model fail on the next images, and wait until it has recovered."""
        failed = self.counts.dropped['failed']
        self.classifier.send_signal(signal.SIGUSR1)
        self.until(lambda: self.counts.dropped['failed'] >= failed + FAILURES, AGAIN_S,
                   'images on which the model fails')
        self.until(lambda: self.reports[-1]['device'].level == Severity.OK, AGAIN_S,
                   'the model to be well again')

    def change_state(self, transition: int) -> None:
        """Have the node go through a transition of its lifecycle."""
        request = ChangeState.Request()
        request.transition.id = transition
        response = self.call(ChangeState, f'{CLASSIFIER}/change_state', request).result()
        if not response.success:
            raise BenchmarkError(f'{CLASSIFIER} refused the transition {transition}')

    @contextlib.contextmanager
    def second_camera(self) -> Iterator[None]:
        """Run another camera, on the other topic."""
        camera = self.start_camera('--topic', TOPICS[1], '--ros-args', '-r',
                                   '__node:=image_source2')
        yield
        self.end(camera)

    @contextlib.contextmanager
    def publishing(self, images: Sequence[Image]) -> Iterator[None]:
        """Publish these images in turn, beside the camera and at its rate."""
        publisher = self._node.create_publisher(Image, TOPICS[0], 5)
        turns = itertools.cycle(images)

        def publish() -> None:
            image = next(turns)
            image.header.stamp = self._node.get_clock().now().to_msg()
            publisher.publish(image)

        timer = self._node.create_timer(1 / self.rate_hz, publish)
        yield
        self._node.destroy_timer(timer)
        self._node.destroy_publisher(publisher)

    @contextlib.contextmanager
    def debug_image(self) -> Iterator[None]:
        """Look at what the node draws."""
        subscription = self._node.create_subscription(
            Image, 'debug_image', lambda message: None, 1)
        yield
        self._node.destroy_subscription(subscription)

    def _spin(self, timeout_s: float) -> None:
        super()._spin(timeout_s)
        if self.classifier.exit_code is not None:
            raise ProcessError('the node ended by itself, with exit code 0')

    def _sample(self) -> None:
        with contextlib.suppress(OSError):  # it has ended, which `_spin` tells
            self.record.samples.append(Sample(self.time_s, self.stage,
                                              usage(self.classifier.pid)))
        self._progress(self.time_s)

    def _on_latency(self, message: FrameLatency) -> None:
        self.heard[:] = [message]  # a long run has too many
        if self._reference:
            self.ages.append((self.time_s, message.capture_to_publish_ms))

    def _on_answer(self, message: Classification) -> None:
        assert self._reference is not None  # subscribed after it
        fault = self._reference.fault(message)
        if fault:
            self.record.wrong.append(fault)
        self.record.compared = self._reference.compared
        self.record.largest_difference = self._reference.largest_difference
        if message.header.frame_id.isdecimal() and message.image_topic == TOPICS[0]:
            self._answered_ns = stamp_ns(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        num_reports = len(self.reports)
        super()._on_diagnostics(message)
        if len(self.reports) == num_reports:
            return
        self.reports[:] = self.reports[-1:]
        report = self.reports[-1]
        self.record.num_reports += 1
        self.counts = counts_of(report['input'].values)
        cameras = {part[len(CAMERA_PART):]: counts_of(status.values)
                   for part, status in report.items() if part.startswith(CAMERA_PART)}
        self.record.lost += unaccounted(cameras, self.counts, self._cameras)
        self._cameras = cameras
