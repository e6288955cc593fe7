# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Hostile parameters for a live node, set by two threads while images come."""
import contextlib
import random
import threading
import time
from typing import Callable, List, Mapping

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from ltp_ros.files import short
from ltp_ros.research.hostile import hostile_parameter
from ltp_ros.tools.benchmarks.fuzz_node import ANSWERED_WITHIN_S, LiveNode, NodeTally
from ltp_ros.tools.benchmarks.session import CLASSIFIER
from ltp_ros.tools.support.processes import ProcessError

ATTEMPTS = 4


def fuzz_node(seed: int, most: int, seconds: float, parameters_s: float,
              parameters: Mapping[str, object], transport: str,
              advance: Callable[[int], None]) -> NodeTally:
    """Send a node hostile images, then set hostile parameters.

    Args:
        seed: of both.
        most: number of images.
        seconds: for the images.
        parameters_s: for the parameters.
        parameters: of the node, by name.
        transport: 'raw' or 'compressed'.
        advance: called now and then with the number of images so far.
    """
    live = LiveNode(transport, parameters)
    try:
        with live:
            live.storm(seed, most, seconds, advance)
            storm_of_parameters(live, seed, parameters_s)
    except ProcessError as error:
        live.tally.faults.append(str(error))
    return live.tally


def storm_of_parameters(live: LiveNode, seed: int, seconds: float) -> None:
    """Have two threads set hostile parameters while hostile images come; then all is as before."""
    ends = time.monotonic() + seconds
    setters = [threading.Thread(target=_set_parameters, args=(live.tally, seed + index, ends))
               for index in range(2)]
    for setter in setters:
        setter.start()
    number = 0
    while any(setter.is_alive() for setter in setters):
        live.send(live.hostile(seed, number))
        live.spin(0.02)
        number += 1
    for setter in setters:
        setter.join()
    live.restore()
    live.check_good()
    live.check_counts()


def _set_parameters(tally: NodeTally, seed: int, ends: float) -> None:
    rng = random.Random(seed)
    node = rclpy.create_node(f'fuzz_{seed}', namespace='ltp')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        client = node.create_client(SetParameters, f'{CLASSIFIER}/set_parameters')
        client.wait_for_service(ANSWERED_WITHIN_S)
        while time.monotonic() < ends:
            asked = list(_parameters(rng))
            request = SetParameters.Request(parameters=[
                parameter.to_parameter_msg() for parameter in asked])
            # An answer may be lost: the service may be known here before this client is there,
            # and of a service's answers DDS keeps the last ten, for all who ask
            for attempt in range(ATTEMPTS):
                tally.asked_again += attempt > 0
                started = time.monotonic()
                future = client.call_async(request)
                executor.spin_until_future_complete(future, ANSWERED_WITHIN_S / ATTEMPTS)
                if future.done():
                    break
            values = ', '.join(f'{short(item.name)} {short(item.value)}' for item in asked)
            if not future.done():
                tally.faults.append(f'{values}: not answered in {ANSWERED_WITHIN_S:g} s')
                return
            seconds = time.monotonic() - started
            if seconds > tally.slowest_parameter_s:
                tally.slowest_parameter_s, tally.slowest_parameter = seconds, values
            tally.parameters += len(asked)
            results: List[SetParametersResult] = future.result().results
            if len(results) != len(asked) or any(
                    not result.successful and not result.reason for result in results):
                tally.faults.append(f'{values}: answered by {results}')
    finally:
        executor.shutdown()
        node.destroy_node()


def _parameters(rng: random.Random) -> List[Parameter]:
    found: List[Parameter] = []
    while len(found) < rng.choice((1, 1, 3)):
        name, value = hostile_parameter(rng)
        with contextlib.suppress(TypeError, ValueError, OverflowError, AssertionError):
            parameter = Parameter(name, value=value)  # rclpy itself refuses a mixed list
            parameter.to_parameter_msg()
            found.append(parameter)
    return found
