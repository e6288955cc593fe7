# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A listener and images for the tests over DDS."""
import contextlib
import errno
import os
import time
from collections import defaultdict

import numpy as np
import rclpy
from forked import Forked
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.ros.images import from_pixels
from ltp_ros.tools.support.processes import Process

SEC = 1_700_000_000
DEADLINE_S = 240.0  # where ten processes share a core; a test that works never comes near it


class Listener:
    """A node of the test's own process: hears every topic, publishes, sets parameters."""

    def __init__(self):
        self.node = rclpy.create_node('listener')
        self.heard = defaultdict(list)
        self._clients = {}
        self.listen('/ltp/classification', Classification)
        self.listen('/ltp/latency', FrameLatency)

    def listen(self, topic, message_type):
        """Collect the messages of a topic in `heard[topic]`."""
        best_effort = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(message_type, topic, self.heard[topic].append,
                                      best_effort if message_type is Image else 100)

    @property
    def classifications(self):
        return self.heard['/ltp/classification']

    def publisher(self, topic, message_type=Image, program=None):
        """Return a publisher once the node under test listens to it."""
        publisher = self.node.create_publisher(message_type, topic, 10)
        self.until(publisher.get_subscription_count, program)
        # A match here says nothing of a match there. The client of this call is announced after
        # the publisher and in order, so once it is answered, the node knows the publisher too.
        self.get_parameter('model')
        return publisher

    def until(self, condition, program=None):
        """Spin until the condition holds; fail with the program's output at the deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            alive = program is None or program.exit_code is None
            if not alive or time.monotonic() > deadline:
                raise AssertionError('not in time' if program is None else program.output)
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def call(self, service_type, name, request):
        """Call a service and return its response."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
            self.until(self._clients[name].service_is_ready)
        future = self._clients[name].call_async(request)
        self.until(future.done)
        return future.result()

    def set_parameter(self, name, value):
        """Do as `ros2 param set` does; return the result."""
        parameter = Parameter(name=name, value=rclpy.Parameter(name, value=value)
                              .to_parameter_msg().value)
        response = self.call(SetParameters, '/ltp/classifier/set_parameters',
                             SetParameters.Request(parameters=[parameter]))
        return response.results[0]

    def get_parameter(self, name):
        """Do as `ros2 param get` does."""
        response = self.call(GetParameters, '/ltp/classifier/get_parameters',
                             GetParameters.Request(names=[name]))
        value: ParameterValue = response.values[0]
        return parameter_value_to_python(value)


@contextlib.contextmanager
def stderr_in(path):
    """Have stderr written to a file meanwhile; yield a function that returns it so far.

    `capfd` loses what another thread writes just while it is read.
    """
    before = os.dup(2)
    with path.open('a') as file:
        os.dup2(file.fileno(), 2)
    try:
        yield path.read_text
    finally:
        os.dup2(before, 2)
        os.close(before)


def ros_arguments(remap=(), **parameters):
    """Return the command line that sets these parameters, and remaps names."""
    arguments = ['--ros-args', *(word for rule in remap for word in ('-r', rule))]
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else value
        arguments += ['-p', f'{name}:={text}']
    return arguments


def classifier_process(fresh=False, **parameters):
    """Start the node with these parameters; `fresh` where its start, end or memory is judged."""
    # 'auto' would choose by time, and so not the same on every run
    chosen = {'device': 'cpu', 'backend': 'eager', 'precision': 'float32',
              'keep_ratios': '[1.0, 0.7, 0.6, 0.53, 0.25]',  # each is timed at the start
              **parameters}
    return (Process if fresh else Forked)('ltp_ros.node', ros_arguments(**chosen))


def picture(index, size=(48, 64)):
    """Return an image message that can be told from others by its frame_id."""
    rgb = np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)
    header = Header(frame_id=f'frame {index}')
    header.stamp.sec, header.stamp.nanosec = SEC, index
    return from_pixels(header, rgb)


def exchange(listener: Listener, publisher, message, program):
    """Publish one image and wait for its classification and its latency."""
    before = len(listener.heard['/ltp/latency'])
    publisher.publish(message)
    listener.until(lambda: len(listener.heard['/ltp/latency']) > before
                   and len(listener.classifications) > before, program)
    return listener.classifications[-1], listener.heard['/ltp/latency'][-1]


class Door:
    """A file of labels that keeps whoever reads it waiting until `open`."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(str(path))

    def has_reader(self):
        try:
            self._file = os.open(str(self.path), os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO
            return False
        return True

    def open(self, labels):
        os.write(self._file, '\n'.join(labels).encode())
        os.close(self._file)


def change(listener, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return listener.call(ChangeState, '/ltp/classifier/change_state', request).success


def state(listener):
    return listener.call(GetState, '/ltp/classifier/get_state',
                         GetState.Request()).current_state.label


def statuses(listener):
    """Return level and message of each part of the newest diagnostics; {} before the first."""
    newest = listener.heard['/diagnostics'][-1] if listener.heard['/diagnostics'] else None
    return {status.name.split(': ', 1)[1]: (status.level[0], status.message)
            for status in (newest.status if newest else [])}
