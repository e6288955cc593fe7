# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node of `ltp_demo`: passes the messages of the classifier to the report."""
import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.ros import messages
from ltp_ros.tools.reports.demo_table import DemoReport


class DemoWatcher(Node):
    """Feed a `DemoReport` with every answer, its latency, and the debug images."""

    def __init__(self, report: DemoReport):
        super().__init__('demo', namespace='ltp')
        self.started_s = time.monotonic()
        self._report = report
        self.create_subscription(Classification, 'classification', self._on_answer, 100)
        self.create_subscription(FrameLatency, 'latency', report.add_latency, 100)
        self.create_subscription(
            Image, 'debug_image', self._on_debug_image,
            QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT))

    def _on_answer(self, message: Classification) -> None:
        self._report.add_answer(message, time.monotonic())

    def _on_debug_image(self, message: Image) -> None:
        self._report.add_picture(message.header.frame_id, messages.to_rgb(message))
