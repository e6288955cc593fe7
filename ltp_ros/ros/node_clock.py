# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`NodeClock`: a node's ROS clock, and what is known of it where it is simulated."""
import time
from typing import Optional

from rclpy.clock import JumpThreshold, ROSClock, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

from ltp_ros.frames.simulated_time import SimulatedClock
from ltp_ros.frames.status import Status


class NodeClock:
    """The clock that stamps are held against; for the executor's thread alone."""

    def __init__(self, node: Node):
        clock = node.get_clock()
        assert isinstance(clock, ROSClock)  # every node's is; the types do not say so
        self._node, self._clock = node, clock
        self._simulated = SimulatedClock(time.monotonic_ns())
        # rclpy listens to /clock already, and tells of every step
        self._handle = self._clock.create_jump_callback(
            JumpThreshold(min_forward=Duration(nanoseconds=1),
                          min_backward=Duration(nanoseconds=-1), on_clock_change=False),
            post_callback=self._advance)

    @property
    def now_ns(self) -> int:
        """ROS time; 0 where it is simulated and no /clock has come."""
        return self._clock.now().nanoseconds

    @property
    def simulated(self) -> bool:
        """Whether use_sim_time is set."""
        return self._clock.ros_time_is_active

    @property
    def step_ms(self) -> Optional[float]:
        """By how much the clock goes at a time, where it is simulated."""
        return self._simulated.step_ms if self.simulated else None

    @property
    def paused(self) -> bool:
        """Whether the simulation stands, and every camera in it."""
        return self.simulated and self._simulated.paused(time.monotonic_ns())

    def report(self) -> Optional[Status]:
        """Return the status of simulated time, and log a fault of it once; None in real time."""
        if not self.simulated:
            return None
        status = self._simulated.report(time.monotonic_ns(), self._node.count_publishers('/clock'))
        if status.level:
            self._node.get_logger().warning(status.message, once=True)
        return status

    def _advance(self, jump: TimeJump) -> None:
        self._simulated.advance(jump.delta.nanoseconds, time.monotonic_ns())
