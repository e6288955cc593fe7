# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_image_source`: publish a video, a folder, a webcam or the sample images as a camera."""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_image_source())

import argparse
import array
import math
import signal
from typing import Iterator, List, Optional, Tuple, Union

import cv2
import numpy as np
import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.duration import Duration
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.utilities import remove_ros_args
from rclpy.validate_full_topic_name import validate_full_topic_name
from rich.console import Console
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ltp_ros.files import expand
from ltp_ros.images import ImageFileError, Note
from ltp_ros.ros.images import from_pixels
from ltp_ros.ros.managed_node import STEADY
from ltp_ros.ros.node_clock import NodeClock
from ltp_ros.ros.transport import use_large_images
from ltp_ros.settings import check
from ltp_ros.tools.support.flags import number, positive_int, whole_number
from ltp_ros.tools.support.frame_sources import SAMPLES, NamedImage, is_camera, open_source
from ltp_ros.tools.support.telling import teller

# encoding -> OpenCV conversion from RGB
ENCODINGS = {'bgr8': cv2.COLOR_RGB2BGR, 'rgb8': None, 'mono8': cv2.COLOR_RGB2GRAY}

NODE_NAME = 'image_source'
SETTLE_S = 0.5  # from the last match to the first frame
CLOCK_CHECK_S = 1.0
NS_PER_S = 1_000_000_000
MAX_RATE_HZ = 1000.0


class ImageSource(Node):
    """Publish one frame per period until the source ends, then complete the future `done`.

    The header carries the frame's name as frame_id and the time of publication as stamp. The
    parameter `rate` [Hz] may change at any time; a new value takes effect on the next frame.
    """

    def __init__(self, frames: Iterator[NamedImage], args: argparse.Namespace):
        super().__init__(NODE_NAME)
        self._frames = frames
        self._args = args
        self._count = 0
        self.done: rclpy.Future = rclpy.Future()
        reliability = (QoSReliabilityPolicy.BEST_EFFORT if args.best_effort
                       else QoSReliabilityPolicy.RELIABLE)
        self._publisher = self.create_publisher(
            CompressedImage if args.compressed else Image,
            args.topic + ('/compressed' if args.compressed else ''),
            QoSProfile(depth=5, reliability=reliability))
        self.add_on_set_parameters_callback(_check_parameters)
        rate = self.declare_parameter('rate', args.rate, ParameterDescriptor(
            description='frames per second [Hz]', dynamic_typing=True)).value  # an integer will do
        self._timer = self.create_timer(1.0 / rate, self._tick)
        self._time = NodeClock(self)
        if self._time.simulated:  # so is the rate, and the timer stands while the simulation does
            self.create_timer(CLOCK_CHECK_S, self._time.report, clock=STEADY)
        # The subscriber may complete the match a moment later than this publisher
        self._ticks_to_settle = math.ceil(SETTLE_S * rate) if args.wait else 0
        if args.wait:
            self.get_logger().info(f'waiting for {args.wait} subscriber(s) on '
                                   f'{self._publisher.topic_name}')

    def _tick(self) -> None:
        period_ns = int(NS_PER_S / self.get_parameter('rate').value)
        if self._timer.timer_period_ns != period_ns:
            self._timer.timer_period_ns = period_ns
        if not self._begun():
            return
        named = None if self._count == self._args.count else next(self._frames, None)
        if named is None:
            self._timer.cancel()
            if not self._args.best_effort:
                self._publisher.wait_for_all_acked(Duration(seconds=2.0))
            self._report()
            self.done.set_result(None)
            return
        name, image = named
        header = Header(frame_id=name, stamp=self.get_clock().now().to_msg())
        self._publisher.publish(to_message(header, image, self._args))
        self._count += 1

    def _report(self) -> None:
        """Log how many images were published and, if that was too few, why."""
        logger = self.get_logger()
        told = f'published {self._count} image{"" if self._count == 1 else "s"}'
        if is_camera(self._args.source) and self._count != self._args.count:
            logger.warning(f'{told}, then the camera gave no more')
        else:
            logger.info(told)

    def _begun(self) -> bool:
        if self._ticks_to_settle > 0 and (
                self._publisher.get_subscription_count() >= self._args.wait):
            self._ticks_to_settle -= 1
        return self._ticks_to_settle == 0


def _check_parameters(parameters: List[Parameter]) -> SetParametersResult:
    for parameter in parameters:
        if parameter.name == 'rate' and not is_rate(parameter.value):
            return SetParametersResult(successful=False, reason=(
                f'rate {parameter.value!r} is not allowed; it must be a number in '
                f'(0, {MAX_RATE_HZ:g}]'))
    return SetParametersResult(successful=True)


def is_rate(value: object) -> bool:
    """Return whether `value` is a valid frame rate [Hz]: an int or float in (0, MAX_RATE_HZ]."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and 0.0 < value <= MAX_RATE_HZ)


def to_message(header: Header, rgb: np.ndarray,
               args: argparse.Namespace) -> Union[Image, CompressedImage]:
    """Return (H, W, 3) uint8 RGB as an Image or CompressedImage, according to `args`."""
    if args.size:
        rgb = cv2.resize(rgb, args.size, interpolation=cv2.INTER_AREA)
    if args.compressed:
        _, jpeg = cv2.imencode('.jpg', rgb[..., ::-1])
        return CompressedImage(header=header, format='jpeg', data=array.array('B', jpeg.tobytes()))
    code = ENCODINGS[args.encoding]
    return from_pixels(header, rgb if code is None else cv2.cvtColor(rgb, code), args.encoding)


def parse_size(text: str) -> Tuple[int, int]:
    """Parse '640x480' to (width, height)."""
    width, _, height = text.partition('x')
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f'{text!r} is not a valid size; expected WIDTHxHEIGHT')
    return int(width), int(height)


def parse_topic(text: str) -> str:
    """Return a topic name, checked: absolute, relative, or private with ~."""
    try:
        check('image_topics', [text])  # as the node takes it
        validate_full_topic_name(expand_topic_name(text, NODE_NAME, '/'))
    except (NameValidationException, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a topic name; expected words of letters, digits and _, joined by /, '
            'such as /camera/image_raw, without /compressed') from error
    return text


parse_rate = number(float, f'in (0, {MAX_RATE_HZ:g}]', is_rate)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog='ltp_image_source', description=__doc__.split(': ', 1)[1])
    parser.add_argument('source', type=expand, nargs='?', default='samples',
                        help='a video file, a folder of images, the number or device of a camera '
                        '(0, /dev/video0), a stream (rtsp://…, http://…), or samples '
                        '(default): a pan over the images in this package')
    parser.add_argument('--topic', type=parse_topic, default='/ltp/image',
                        help='topic of the raw images; default: %(default)s')
    parser.add_argument('--rate', type=parse_rate, default=10.0, metavar='HZ',
                        help='frames per second, for a camera or stream its own; '
                        'default: %(default)s')
    parser.add_argument('--count', type=positive_int, metavar='N',
                        help='stop after N frames; a source with fewer is started over')
    parser.add_argument('--loop', action='store_true', help='start over at the end')
    parser.add_argument('--size', type=parse_size, metavar='WxH', help='resize every frame')
    parser.add_argument('--encoding', choices=sorted(ENCODINGS), default='rgb8',
                        help='encoding of the raw images; default: %(default)s')
    parser.add_argument('--compressed', action='store_true',
                        help='publish JPEG on <topic>/compressed instead')
    parser.add_argument('--best-effort', action='store_true',
                        help='publish best effort; the default, reliable, serves subscribers of '
                        'both kinds')
    parser.add_argument('--wait', type=whole_number, nargs='?', default=0, const=1, metavar='N',
                        help='start once there are N (default: 1) subscribers')
    parser.add_argument('--samples', nargs='+', choices=sorted(SAMPLES), default=list(SAMPLES),
                        help='sample images to publish; default: all')
    return parser


def open_frames(args: argparse.Namespace, note: Note) -> Iterator[NamedImage]:
    """Return the frames of the source; Ctrl-C ends the program while OpenCV waits for a stream."""
    previous = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        loop = args.loop or args.count is not None
        return open_source(args.source, loop, tuple(args.samples), note)
    finally:
        signal.signal(signal.SIGINT, previous)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the program; return its exit code."""
    argv = sys.argv if argv is None else ['ltp_image_source', *argv]
    tell = teller(Console(stderr=True), 'ltp_image_source')

    def fail(error: Exception) -> int:
        tell(str(error))
        return 2
    try:
        args = build_parser().parse_args(remove_ros_args(argv)[1:])
        use_large_images()
        frames = open_frames(args, tell)
        rclpy.init(args=argv)
        node = ImageSource(frames, args)
    except (ImageFileError, NameValidationException, ParameterException,
            RuntimeError) as error:  # the last by rclpy, of its own arguments
        rclpy.try_shutdown()
        return fail(error)
    try:
        rclpy.spin_until_future_complete(node, node.done)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # a normal stop
    except ImageFileError as error:
        return fail(error)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
