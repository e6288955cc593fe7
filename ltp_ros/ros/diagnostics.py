# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics, for as long as the node lives."""
import time
from typing import Callable, Iterator, List

from diagnostic_msgs.msg import DiagnosticArray

from ltp_ros.frames.status import Severity, Status
from ltp_ros.ros import messages, transport
from ltp_ros.ros.managed_node import STEADY, THROTTLE, ManagedNode
from ltp_ros.ros.node_clock import NodeClock

PERIOD_S = 1.0  # REP-107
ONCE_A_MINUTE = {**THROTTLE, 'throttle_duration_sec': 60.0}
IDLE = 'idle: nobody subscribes'


class Diagnostics:
    """Publishes once a second: the lifecycle state and, while active, how the work goes.

    Args:
        node: whose state is reported.
        clock: of the node.
        health: returns the statuses of the work.
        idle: returns whether an active node has nothing to do, since nobody subscribes.
        stalled: returns a sentence while a model that is being loaded makes no progress, or ''.
    """

    def __init__(self, node: ManagedNode, clock: NodeClock, health: Callable[[], List[Status]],
                 idle: Callable[[], bool], stalled: Callable[[], str]):
        self._node, self._clock = node, clock
        self._health, self._idle, self._stalled = health, idle, stalled
        self._state, self._since_s = '', 0.0
        self._transport_fault = 'not known yet'
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(PERIOD_S, self._publish, clock=STEADY)

    def _publish(self) -> None:
        self._publisher.publish(messages.from_health(
            self._node.get_clock().now().to_msg(),
            self._node.get_fully_qualified_name().lstrip('/'), self._statuses()))

    def _statuses(self) -> Iterator[Status]:
        state, now_s = self._node.state, time.monotonic()
        if state != self._state:
            self._state, self._since_s = state, now_s
        fault, stalled = self._node.fault, self._stalled()
        if stalled:
            self._node.get_logger().warning(stalled, **ONCE_A_MINUTE)
        level = Severity.ERROR if fault else Severity.WARN if stalled else Severity.OK
        said = f'{state}, {IDLE}' if self._idle() else ': '.join(
            filter(None, (state, fault or stalled)))
        yield Status('lifecycle', level, said, {'for (s)': f'{now_s - self._since_s:.0f}'})
        clock = self._clock.report()
        if clock is not None:
            yield clock
        if self._transport_fault:  # until a segment is seen, of this process or of a camera
            self._transport_fault = transport.shared_memory_fault()
        if self._transport_fault:
            yield Status('transport', Severity.WARN, self._transport_fault, {})
        if state == 'active':
            yield from self._health()
