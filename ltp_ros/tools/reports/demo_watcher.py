# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's own node: hears what the classifier publishes, and hands it to the report."""
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.ros import messages
from ltp_ros.tools.reports.demo_table import DemoReport


class DemoWatcher(Node):
    """Feed a `DemoReport` with every answer, its latency, and the newest debug picture."""

    def __init__(self, report: DemoReport):
        super().__init__('demo', namespace='ltp')
        self.started_s = time.monotonic()
        self._report = report
        self.create_subscription(Classification, 'classification', self._hear_answer, 100)
        self.create_subscription(FrameLatency, 'latency', report.add_latency, 100)
        self.create_subscription(
            Image, 'debug_image', self._hear_picture,
            QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT))

    def _hear_answer(self, message: Classification) -> None:
        self._report.add_answer(message, time.monotonic())

    def _hear_picture(self, message: Image) -> None:
        self._report.add_picture(message.header.frame_id, messages.to_rgb(message))
