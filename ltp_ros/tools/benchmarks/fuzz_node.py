# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile images for a live node, over DDS, with good images among them."""
import contextlib
import signal
import time
from array import array
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Union

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ltp_ros.frames.decoding import RawImage
from ltp_ros.machine import resident_mib
from ltp_ros.msg import Classification
from ltp_ros.research.benchmarks.soak import IN_FLIGHT
from ltp_ros.research.hostile import (
    FILE_KINDS,
    RAW_KINDS,
    HostileImage,
    hostile_image,
)
from ltp_ros.ros.images import from_pixels
from ltp_ros.settings import fields
from ltp_ros.tools.benchmarks.session import CLASSIFIER, START_TIMEOUT_S, dropped, report_of
from ltp_ros.tools.support.frame_sources import panned_samples
from ltp_ros.tools.support.processes import (
    STOP_TIMEOUT_S,
    Process,
    ProcessError,
    parameter_arguments,
)

RATE_HZ = 1500.0  # of the hostile images, at most
GOOD_EVERY = 1000  # images
RESEND_S = 0.1  # a good image is sent again until it is answered: best effort may lose it
ANSWERED_WITHIN_S = 20.0
SILENT_S = 5.0  # between two diagnostics, which come once a second
UINT32 = 2 ** 32 - 1
Message = Union[Image, CompressedImage]


@dataclass
class NodeTally:
    """What became of the messages to one node."""

    sent: int = 0
    good: int = 0
    slowest_good_s: float = 0.0
    parameters: int = 0
    asked_again: int = 0  # requests whose first answer did not come
    slowest_parameter_s: float = 0.0
    slowest_parameter: str = ''  # its name and value
    longest_silence_s: float = 0.0  # between two diagnostics
    counts: Dict[str, int] = field(default_factory=dict)  # of the node's last report
    memory_mib: List[float] = field(default_factory=list)  # one a second
    faults: List[str] = field(default_factory=list)


class LiveNode:
    """A node to send messages to; a context manager that ends it, and judges how it ended.

    Args:
        transport: 'raw' or 'compressed'.
        parameters: of the node, by name; '' leaves one at its default.
    """

    def __init__(self, transport: str, parameters: Mapping[str, object]):
        self.tally = NodeTally()
        given = {**parameters, 'image_transport': transport, 'keep_ratios': '[1.0, 0.7]'}
        self._arguments = parameter_arguments(given)
        self._type = Image if transport == 'raw' else CompressedImage
        self._answers: Dict[str, Classification] = {}  # by frame_id
        self._reported_s = 0.0
        self._rgb = next(iter(panned_samples(('chelsea',))))[1]

    def __enter__(self) -> 'LiveNode':
        with contextlib.ExitStack() as stack:
            self._node = rclpy.create_node('fuzz', namespace='ltp')
            stack.callback(self._node.destroy_node)
            self._executor = SingleThreadedExecutor()
            self._executor.add_node(self._node)
            stack.callback(self._executor.shutdown)
            self._node.create_subscription(Classification, 'classification', self._on_answer, 100)
            self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_report, 10)
            suffix = '' if self._type is Image else '/compressed'
            self._publisher = self._node.create_publisher(self._type, f'image{suffix}', 1)
            self._program = stack.enter_context(
                Process('ltp_ros.node', self._arguments))
            self.until(lambda: self.tally.counts and self._publisher.get_subscription_count(),
                       START_TIMEOUT_S, 'the node')
            self._expected = self._answer()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._stack:
            if kind is None:
                self._program.send_signal(signal.SIGINT)
                code = self._program.wait(STOP_TIMEOUT_S)
                if code or 'Traceback' in self._program.output:
                    self.tally.faults.append(
                        f'the node ended with {code}: {self._program.output[-2000:]}')

    def storm(self, seed: int, most: int, seconds: float, advance: Callable[[int], None]) -> None:
        """Send hostile images, and now and then a good one, which has to be answered as ever."""
        started = time.monotonic()
        for number in range(most):
            now = time.monotonic()
            if now > started + seconds:
                break
            self.send(self.hostile(seed, number))
            if number % GOOD_EVERY == 0:
                advance(number)
                self.check_good()
            self.spin(max(0.0, started + number / RATE_HZ - now))
        self.check_good()
        self.check_counts()

    def check_good(self) -> None:
        """Have a good image answered, in time and as at the beginning."""
        started = time.monotonic()
        answer = self._answer()
        self.tally.slowest_good_s = max(self.tally.slowest_good_s, time.monotonic() - started)
        if answer.class_ids != self._expected.class_ids or not np.allclose(
                answer.scores, self._expected.scores, atol=1e-5):
            self.tally.faults.append(f'a good image was answered by {answer}, before by '
                                     f'{self._expected}')

    def check_counts(self) -> None:
        """Wait until every image is accounted for."""
        try:
            self.until(lambda: in_flight(self.tally.counts) == 0, ANSWERED_WITHIN_S, 'the counts')
        except ProcessError:
            self.tally.faults.append(f'images are lost: {self.tally.counts}')

    def restore(self) -> None:
        """Set every live parameter to its default."""
        client = self._node.create_client(SetParametersAtomically,
                                          f'{CLASSIFIER}/set_parameters_atomically')
        future = client.call_async(SetParametersAtomically.Request(parameters=[
            Parameter(item.name, value=list(item.default) if isinstance(item.default, tuple)
                      else item.default).to_parameter_msg()
            for _, item in fields() if item.metadata['live']]))
        self.until(future.done, ANSWERED_WITHIN_S, 'the parameters to be restored')
        if not future.result().result.successful:
            self.tally.faults.append(f'not restored: {future.result().result.reason}')

    def hostile(self, seed: int, number: int) -> Message:
        """Return a hostile image for this node."""
        kinds = RAW_KINDS if self._type is Image else FILE_KINDS
        return message_of(hostile_image(seed, number, kinds))

    def send(self, message: Message) -> None:
        """Publish a message."""
        self._publisher.publish(message)
        self.tally.sent += 1

    def spin(self, timeout_s: float) -> None:
        """Take what the node says."""
        self._executor.spin_once(timeout_sec=timeout_s)
        self._program.check()

    def until(self, condition: Callable[[], object], timeout_s: float, awaited: str) -> None:
        """Spin until the condition holds; raise ProcessError on a timeout."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise ProcessError(f'timed out after {timeout_s:g} s waiting for {awaited}:\n'
                                   f'{self._program.output[-2000:]}')
            self.spin(0.02)

    def _answer(self) -> Classification:
        frame_id = f'good {self.tally.good}'
        self.tally.good += 1
        header = Header(frame_id=frame_id)
        message = from_pixels(header, self._rgb)
        if self._type is CompressedImage:
            message = CompressedImage(header=header, format='png', data=cv2.imencode(
                '.png', self._rgb[..., ::-1])[1].tobytes())
        deadline = time.monotonic() + ANSWERED_WITHIN_S
        while frame_id not in self._answers:
            if time.monotonic() > deadline:
                raise ProcessError(f'a good image was not answered in {ANSWERED_WITHIN_S:g} s:\n'
                                   f'{self._program.output[-2000:]}')
            self.send(message)
            resend = time.monotonic() + RESEND_S
            while frame_id not in self._answers and time.monotonic() < resend:
                self.spin(RESEND_S)
        return self._answers.pop(frame_id)

    def _on_answer(self, message: Classification) -> None:
        if message.header.frame_id.startswith('good '):
            self._answers[message.header.frame_id] = message

    def _on_report(self, message: DiagnosticArray) -> None:
        report = report_of(message)
        if 'input' not in report:  # the node is not active yet
            return
        values = report['input'].values
        now, tally = time.monotonic(), self.tally
        if tally.counts:
            silence_s = now - self._reported_s
            tally.longest_silence_s = max(tally.longest_silence_s, silence_s)
            if silence_s > SILENT_S:
                tally.faults.append(f'no diagnostics for {silence_s:.1f} s')
        self._reported_s = now
        tally.counts = {'received': int(values['received']),
                        'published': int(values['published']), 'dropped': dropped(values)}
        if not 0 <= in_flight(tally.counts) <= IN_FLIGHT:
            tally.faults.append(f'images are lost: {tally.counts}')
        tally.memory_mib.append(resident_mib(self._program.pid))


def in_flight(counts: Mapping[str, int]) -> int:
    """Return how many images are neither published nor dropped."""
    return counts['received'] - counts['published'] - counts['dropped']


def message_of(hostile: HostileImage) -> Message:
    """Return a hostile image as a message."""
    header = Header(frame_id=hostile.frame_id)
    header.stamp.sec, header.stamp.nanosec = hostile.stamp
    image = hostile.image
    data = array('B', bytes(image.data))
    if isinstance(image, RawImage):
        return Image(header=header, height=image.height & UINT32, width=image.width & UINT32,
                     encoding=image.encoding, is_bigendian=int(image.is_bigendian),
                     step=image.step & UINT32, data=data)
    return CompressedImage(header=header, format=image.format, data=data)
