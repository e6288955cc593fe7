# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark crops`: the boxes of a detector before a deadline, more and more of them.

The real node, and a camera (640x480) with a detector whose boxes have all sizes and places. Each
number of boxes is answered with the deadline, and without one at keep ratio 1 beside it.
"""
import argparse
from typing import Any, Dict, List, Mapping, Sequence, Tuple, TypedDict

import numpy as np
from rich import box
from rich.progress import Progress
from rich.table import Table
from sensor_msgs.msg import Image

from ltp_ros.msg import FrameLatency
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.ros.detections import Detection2DArray
from ltp_ros.ros.images import from_pixels
from ltp_ros.tools.benchmarks.session import (
    CLASSIFIER,
    Session,
    head_of,
    measure_and_report,
    model_parameters,
    pictures,
    stamp_ns,
)
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, common_flags, positive, positive_int

NAME = 'crops'
PARENTS = [common_flags(CLASSIFIER_FLAGS)]
SETTLE_FRAMES = 20
TOPIC = 'detector/boxes'
SIDES = (16, 240)  # pixels of a box


class CropRow(TypedDict):
    """So many boxes with one deadline."""

    boxes: int
    deadline_ms: float  # 0: none
    n: int              # answers
    lost: int           # images without an answer
    keep_ratio: float   # mean
    p50_ms: float       # from capture to publish
    p99_ms: float
    late: float         # share of the answers
    answered: float     # share of the boxes


class Detector(Session):
    """The node, and in this process a camera with a detector.

    Args:
        parameters: of the node.
        advance: as of `Session`.
        rate_hz: images a second.
    """

    def __init__(self, parameters: Mapping[str, object], advance: Any, rate_hz: float):
        super().__init__({**parameters, 'detections_topic': TOPIC}, advance)
        self.rate_hz, self.boxes = rate_hz, 1
        self.sent: List[int] = []  # stamps, ns
        self.results: List[Tuple[int, int]] = []  # boxes with a result, and all
        self._rng = np.random.default_rng(0)
        self._pictures = [rgb for _, rgb in pictures()]

    def start_source(self) -> None:
        """Publish an image and its boxes at each tick."""
        node = self._node
        self._image = node.create_publisher(Image, 'image', 10)
        self._array = node.create_publisher(Detection2DArray, TOPIC, 10)
        node.create_subscription(Detection2DArray, 'detections', self._on_detections, 100)
        node.create_timer(1.0 / self.rate_hz, self._publish)

    def _publish(self) -> None:
        from vision_msgs.msg import Detection2D  # noqa: PLC0415  not in the wheels
        stamp = self._node.get_clock().now()
        array = Detection2DArray()
        array.header.stamp = stamp.to_msg()
        rgb = self._pictures[len(self.sent) % len(self._pictures)]
        for index in range(self.boxes):
            found = Detection2D(id=str(index))
            found.bbox.size_x, found.bbox.size_y = map(float, self._rng.uniform(*SIDES, 2))
            centre = found.bbox.center.position
            centre.x, centre.y = (float(self._rng.uniform(0, side)) for side in (640, 480))
            array.detections.append(found)
        self._image.publish(from_pixels(array.header, rgb))
        self._array.publish(array)
        self.sent.append(stamp.nanoseconds)

    def _on_detections(self, message: 'Detection2DArray') -> None:
        self.results.append((sum(bool(found.results) for found in message.detections),
                             len(message.detections)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('--boxes', nargs='+', type=positive_int, default=[5, 20, 40, 80], metavar='N',
        help='boxes of an image, one run each')
    add('--deadline-ms', type=positive, default=80.0, metavar='MS', help='from capture to publish')
    add('--min-keep-ratio', type=float, default=0.45, metavar='RATIO',
        help='lowest level of the tuner')
    add('--rate', type=positive, default=10.0, metavar='HZ', help='images a second')
    add('--seconds', type=positive, default=20.0, metavar='S', help='duration of each run')


def measure(args: argparse.Namespace,
            bar: Progress) -> Tuple[Dict[str, object], List[CropRow]]:
    """Return the head of the JSON file, and its rows."""
    if Detection2DArray is None:
        raise BenchmarkError('this needs vision_msgs, which is not installed here: apt install '
                             'ros-$ROS_DISTRO-vision-msgs')
    head = {**head_of(args, NAME), 'rate_hz': args.rate, 'seconds': args.seconds}
    task = bar.add_task('starting', total=2 * args.seconds * len(args.boxes))
    parameters = {**model_parameters(args), 'min_keep_ratio': args.min_keep_ratio}
    rows: List[CropRow] = []
    with Detector(parameters, lambda passed_s: bar.advance(task, passed_s), args.rate) as session:
        for count in args.boxes:
            session.boxes = count
            for deadline_ms in (args.deadline_ms, 0.0):
                bar.update(task, description=f'{count} boxes, deadline {deadline_ms:g} ms')
                session.set(CLASSIFIER, 'deadline_ms', deadline_ms)
                session.set(CLASSIFIER, 'keep_ratio', 1.0)
                session.wait_for_answers(SETTLE_FRAMES)
                rows.append(_row(session, count, deadline_ms, args.seconds))
        return {**head, **session.running, 'conserved': session.conserved}, rows


def _row(session: Detector, count: int, deadline_ms: float, seconds: float) -> CropRow:
    before = len(session.results)
    start_ns, end_ns = session.let_time_pass(seconds)
    results = session.results[before:]
    session.wait_for_answer_after(end_ns)
    answers: Sequence[FrameLatency] = [message for message in session.heard
                                       if start_ns <= stamp_ns(message) < end_ns]
    if len(answers) < 2:
        raise BenchmarkError(f'{len(answers)} answers in {seconds:g} s; increase --seconds')
    ages_ms = np.array([message.capture_to_publish_ms for message in answers])
    sent = sum(start_ns <= sent_ns < end_ns for sent_ns in session.sent)
    return {'boxes': count, 'deadline_ms': deadline_ms, 'n': len(answers),
            'lost': max(sent - len(answers), 0),
            'keep_ratio': float(np.mean([message.keep_ratio for message in answers])),
            'p50_ms': float(np.percentile(ages_ms, 50)),
            'p99_ms': float(np.percentile(ages_ms, 99)),
            'late': float(np.mean([not message.deadline_met for message in answers])),
            'answered': sum(answered for answered, _ in results) / max(
                sum(total for _, total in results), 1)}


def make_table(head: Mapping[str, object], rows: Sequence[CropRow]) -> Table:
    """Return the rows as a table of 80 characters."""
    table = Table(
        title='{model} on {device}, {backend} {precision}, '.format(**head) +
        f'640x480 at {head["rate_hz"]:g} Hz',
        caption='from capture to publish, in milliseconds; no answer: images superseded or lost',
        box=box.SIMPLE_HEAD, padding=0)
    for heading in ('boxes', 'deadline', 'answers', 'no answer', 'keep', 'p50', 'p99', 'late',
                    'boxes answered'):
        table.add_column(heading, justify='right', no_wrap=True)
    for row in rows:
        table.add_row(
            str(row['boxes']), f'{row["deadline_ms"]:g}' if row['deadline_ms'] else 'none',
            str(row['n']), str(row['lost']), f'{row["keep_ratio"]:.2f}', f'{row["p50_ms"]:.1f}',
            f'{row["p99_ms"]:.1f}', f'{100 * row["late"]:.1f} %' if row['deadline_ms'] else '',
            f'{100 * row["answered"]:.1f} %', end_section=not row['deadline_ms'])
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print the table and write the files given by the flags."""
    measure_and_report(args, bar, measure, make_table)
