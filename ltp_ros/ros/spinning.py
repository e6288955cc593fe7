# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Call the callbacks of a node, and outlive what one of them raises."""
import traceback
from typing import List

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from ltp_ros.ros.managed_node import THROTTLE

# rclpy's thread for signals wakes the guard of every executor, also of one that the signal has
# just ended. Each lives until that thread has ended (`rclpy.try_shutdown`): else it wakes freed
# memory
_EXECUTORS: List[SingleThreadedExecutor] = []
AT_MOST = 100  # faults without anything else between them: then it is the waiting that fails


def spin(node: Node) -> None:
    """Call the callbacks of a node until its context is shut down.

    `rclpy.spin` ends with the first exception, and a diagnostic message that could not be sent
    would cost the robot its camera. Here it costs the callback, and is logged.

    Raises:
        ExternalShutdownException, KeyboardInterrupt: as rclpy does.
        Exception: what is raised again and again, with nothing between, or outside of a callback
            where rclpy then calls none of its group any more.
    """
    executor = SingleThreadedExecutor(context=node.context)
    _EXECUTORS.append(executor)
    executor.add_node(node)
    faults = 0
    try:
        while node.context.ok():
            try:
                executor.spin_once()
                faults = 0
            except Exception:  # noqa: BLE001  whatever it is, the cameras are to be served
                faults += 1
                # The shutdown is an exception too, or came in the middle of a publish or a wait
                if not node.context.ok() or faults > AT_MOST or _is_deaf(node):
                    raise
                node.get_logger().error(traceback.format_exc(), **THROTTLE)
    finally:
        executor.remove_node(node)


def _is_deaf(node: Node) -> bool:
    """Return whether rclpy takes a callback for running that has ended."""
    return not all(timer.callback_group.can_execute(timer) for timer in node.timers)
