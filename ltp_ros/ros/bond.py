# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The bond by which nav2's lifecycle manager notices that this process is gone."""
from typing import Protocol

from rclpy.node import Node

try:
    from bondpy.bondpy import Bond as _Bond
except ImportError:  # an optional package
    _Bond = None

# Seconds; nav2_util's
HEARTBEAT_PERIOD_S = 0.1
HEARTBEAT_TIMEOUT_S = 4.0


class Bond(Protocol):
    """What is used of bondpy's."""

    def shutdown(self) -> None:
        """Break the bond; the manager then knows that the node was deactivated."""


class _NoBond:
    def shutdown(self) -> None:
        """Nothing was begun."""


def form(node: Node) -> Bond:
    """Begin a bond as nav2's own nodes do: on the topic 'bond', under the node's name."""
    if _Bond is None:
        return _NoBond()
    bond = _Bond(node, 'bond', node.get_name())
    bond.set_heartbeat_period(HEARTBEAT_PERIOD_S)
    bond.set_heartbeat_timeout(HEARTBEAT_TIMEOUT_S)
    bond.start()
    return bond
