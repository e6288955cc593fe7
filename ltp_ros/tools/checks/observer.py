# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Look at a running ROS system: nodes of this package, their diagnostics, and cameras."""
import contextlib
import os
import time
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple, Type, TypeVar, Union

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from ltp_ros.frames.encodings import ImageError
from ltp_ros.ros import messages
from ltp_ros.ros.node_clock import NodeClock
from ltp_ros.ros.transport import use_large_images
from ltp_ros.settings import fields
from ltp_ros.tools.checks.camera import COMPRESSED, RAW, SUFFIX, Arrival, Camera, Publisher
from ltp_ros.tools.checks.node import Classifier
from ltp_ros.tools.checks.transport import Participant, participant_of

SETTLED_S = 1.5  # without a change of the graph
ANNOUNCED_S = 4.0  # Fast DDS repeats a lost announcement after 3
DISCOVERY_S = 10.0
ANSWER_S = 10.0  # a busy machine
DIAGNOSTICS_S = 8.0  # they come once a second
KEPT = 12  # pictures of a camera
MARKS = ('keep_ratios', 'image_topics')  # parameters that no other node has
ANSWER = 'ltp_ros/msg/Classification'
ImageMessage = Union[Image, CompressedImage]
Response = TypeVar('Response')


class Observer:
    """A node that looks at others; a context manager."""

    def __enter__(self) -> 'Observer':
        use_large_images()  # or this process would lose the images itself
        with contextlib.ExitStack() as stack:
            self._context = rclpy.Context()
            rclpy.init(args=[], context=self._context)
            stack.callback(self._context.try_shutdown)
            self._node = rclpy.create_node(f'ltp_doctor_{os.getpid()}', context=self._context)
            stack.callback(self._node.destroy_node)
            self._executor = SingleThreadedExecutor(context=self._context)
            self._executor.add_node(self._node)
            stack.callback(self._executor.shutdown)
            self._clock = NodeClock(self._node)
            self._statuses: Dict[str, DiagnosticStatus] = {}
            self._node.create_subscription(DiagnosticArray, '/diagnostics', self._note, 10)
            self._exit = stack.pop_all()
        self._discover()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exit.close()

    def _discover(self) -> None:
        """Spin until there is a managed node and the graph stays as it is."""
        graph: object = None
        changed_s = begun_s = time.monotonic()
        while time.monotonic() < begun_s + DISCOVERY_S:
            self._executor.spin_once(timeout_sec=0.1)
            services = self._node.get_service_names_and_types()
            found, now_s = (sorted(self._nodes()), services), time.monotonic()
            if found != graph:
                graph, changed_s = found, now_s
            elif now_s > max(changed_s + SETTLED_S, begun_s + ANNOUNCED_S) and any(
                    name.endswith('/change_state') for name, _ in services):
                return

    def _nodes(self) -> Set[str]:
        """Return the full names of the nodes that are known by now."""
        return {_full_name(*node) for node in self._node.get_node_names_and_namespaces()}

    def _note(self, message: DiagnosticArray) -> None:
        self._statuses.update({status.name: status for status in message.status})

    def _until(self, condition: Callable[[], object], timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def classifiers(self) -> List[str]:
        """Return the full names of the nodes of this package, whatever they are called."""
        services = {name for name, _ in self._node.get_service_names_and_types()}
        return [name for name in sorted(self._nodes()) if f'{name}/change_state' in services
                and (self._answers(name) or set(self._parameters(name, MARKS)) == set(MARKS))]

    def _answers(self, name: str) -> bool:
        """Return whether a node publishes answers, as it does once the model is loaded."""
        namespace, _, base = name.rpartition('/')
        return any(ANSWER in types for _, types in
                   self._node.get_publisher_names_and_types_by_node(base, namespace or '/'))

    def classifier(self, name: str) -> Classifier:
        """Return what can be seen of a node of this package."""
        # Of another version of this package it may have others
        listed = self._call(ListParameters, ListParameters.Response, f'{name}/list_parameters',
                            ListParameters.Request())
        parameters = self._parameters(name, [
            field.name for _, field in fields() if listed and field.name in listed.result.names])
        if self._parameters(name, ['use_sim_time']).get('use_sim_time'):
            self._node.set_parameters([Parameter('use_sim_time', value=True)])
        state = self._call(GetState, GetState.Response, f'{name}/get_state', GetState.Request())
        prefix = f'{name.lstrip("/")}: '
        self._until(lambda: any(status.startswith(prefix) for status in self._statuses),
                    DIAGNOSTICS_S)
        return Classifier(
            name, parameters, state.current_state.label if state else '',
            [(status.name, int.from_bytes(status.level, 'little'), status.message)
             for status in self._statuses.values() if status.name.startswith(prefix)],
            self._cameras_of(name, parameters))

    def _parameters(self, node: str, names: Sequence[str]) -> Dict[str, object]:
        """Return the values of these parameters; {} if a node lacks one, or does not answer."""
        response = self._call(GetParameters, GetParameters.Response, f'{node}/get_parameters',
                              GetParameters.Request(names=list(names)))
        values = map(parameter_value_to_python, response.values) if response else ()
        return {name: tuple(value) if isinstance(value, list) else value
                for name, value in zip(names, values) if value is not None}

    def _call(self, service_type: type, response_type: Type[Response], name: str,
              request: object) -> Optional[Response]:
        del response_type  # tells mypy alone
        client = self._node.create_client(service_type, name)
        try:
            if not self._until(client.service_is_ready, ANSWER_S):
                return None
            future = client.call_async(request)
            return future.result() if self._until(future.done, ANSWER_S) else None
        finally:
            self._node.destroy_client(client)

    def _cameras_of(self, node: str, parameters: Dict[str, object]) -> Dict[str, bool]:
        """Return the topics that a node listens to, and whether it asks for reliable."""
        namespace, _, base = node.rpartition('/')
        topics = [topic for topic, types in self._node.get_subscriber_names_and_types_by_node(
            base, namespace or '/') if {RAW, COMPRESSED} & set(types)]
        if topics:
            return {topic: any(
                info.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE
                for info in self._node.get_subscriptions_info_by_topic(topic)
                if _full_name(info.node_name, info.node_namespace) == node) for topic in topics}
        # It is not active, or lazy and not asked: then it may name them in its diagnostics
        suffix = SUFFIX if parameters.get('image_transport') == 'compressed' else ''
        part = f'{node.lstrip("/")}: camera '
        told = [name[len(part):] for name in self._statuses if name.startswith(part)]
        given = parameters.get('image_topics')
        named = told or [topic if topic.startswith('/') else f'{namespace}/{topic}'
                         for topic in (given if isinstance(given, tuple) else ())]
        return {topic + suffix: parameters.get('image_reliability') == 'reliable'
                for topic in named}

    def image_topics(self) -> Dict[str, List[str]]:
        """Return the types of the topics that somebody publishes images on, debug images aside."""
        return {topic: types for topic, types in self._node.get_topic_names_and_types()
                if {RAW, COMPRESSED} & set(types) and not topic.endswith('/debug_image')
                and self._node.get_publishers_info_by_topic(topic)}

    def participants(self, topic: str) -> List[Participant]:
        """Return the processes of this machine that publish on a topic or listen to it."""
        own = [list(info.endpoint_gid) for info in
               self._node.get_subscriptions_info_by_topic('/diagnostics')
               if info.node_name == self._node.get_name()]
        found = [participant_of(list(info.endpoint_gid), own[0]) for info in (
            *self._node.get_publishers_info_by_topic(topic),
            *self._node.get_subscriptions_info_by_topic(topic)) if own]
        return sorted({process for process in found if process and process.pid != os.getpid()})

    def watch(self, topic: str, seconds: float,
              wants_reliable: bool) -> Tuple[Camera, List[ImageMessage]]:
        """Listen to a camera; return what was seen of it, and some of its images, oldest first.

        Args:
            topic: with /compressed, if so.
            seconds: how long.
            wants_reliable: whether the node asks for that.
        """
        arrivals: List[Arrival] = []
        kept: List[ImageMessage] = []
        every_s = seconds / KEPT

        def receive(message: ImageMessage) -> None:
            received_ns = time.monotonic_ns()
            arrivals.append(Arrival(messages.stamp_ns(message.header), self._clock.now_ns,
                                    received_ns, self._clock.step_ms))
            if (received_ns - begun_ns) / 1e9 >= len(kept) * every_s:
                kept.append(message)

        subscription = self._node.create_subscription(
            CompressedImage if topic.endswith(SUFFIX) else Image, topic, receive,
            QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT))
        begun_ns = time.monotonic_ns()
        self._until(lambda: False, seconds)
        publishers = [Publisher(
            _full_name(info.node_name, info.node_namespace), info.topic_type,
            info.qos_profile.reliability == QoSReliabilityPolicy.BEST_EFFORT)
            for info in self._node.get_publishers_info_by_topic(topic)]
        self._node.destroy_subscription(subscription)
        newest = kept[-1] if kept else None
        encoding, size, fault = _describe(newest) if newest is not None else ('', (0, 0), '')
        return Camera(topic, seconds, publishers, arrivals, wants_reliable, encoding, size, fault,
                      self.image_topics()), kept


def _describe(message: ImageMessage) -> Tuple[str, Tuple[int, int], str]:
    encoding = message.format if isinstance(message, CompressedImage) else message.encoding
    try:
        height, width = messages.to_rgb(message).shape[:2]
    except ImageError as error:
        return encoding, (0, 0), str(error)
    return encoding, (height, width), ''


def _full_name(name: str, namespace: str) -> str:
    return f'{namespace.rstrip("/")}/{name}'
