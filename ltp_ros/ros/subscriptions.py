# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribe to a camera, and say why when nothing comes from it."""
import time
from typing import Callable, Union

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CompressedImage, Image

from ltp_ros.config import InputConfig
from ltp_ros.files import plain
from ltp_ros.frames.camera_health import CameraFeed
from ltp_ros.frames.latency import NO_CLOCK
from ltp_ros.frames.mailbox import Frame
from ltp_ros.ros import messages, transport
from ltp_ros.ros.managed_node import STEADY
from ltp_ros.ros.node_clock import NodeClock

try:
    from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
except ImportError:  # their place on Humble
    from rclpy.qos_event import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks

SILENCE_S = 5.0


def suffix_of(config: InputConfig) -> str:
    """Return what the transport adds to the name of a camera's topic."""
    return '/compressed' if config.image_transport == 'compressed' else ''


def name_to_subscribe(node: Node, topic: str, config: InputConfig) -> str:
    """Return the name of a camera's topic for a subscription, which remaps it (again)."""
    # As image_transport has it, remapping the base topic remaps the compressed one
    suffix = suffix_of(config)
    return node.resolve_topic_name(topic) + suffix if suffix else topic


class CameraSubscription:
    """The images of one camera, handed to `callback` with their age.

    Args:
        node: whose namespace the topic is resolved in, and who logs.
        clock: of the node.
        topic: without '/compressed', whatever the transport.
        config: transport and reliability.
        callback: called in the executor's thread with each `Frame`; must return at once. Replace
            the attribute for another.
    """

    def __init__(self, node: Node, clock: NodeClock, topic: str, config: InputConfig,
                 callback: Callable[[Frame], None]):
        self._node, self._clock = node, clock
        self.callback = callback
        suffix = suffix_of(config)
        # A queue would only make images older before they are seen: depth 1
        qos = QoSProfile(depth=1, reliability=(
            QoSReliabilityPolicy.RELIABLE if config.image_reliability == 'reliable'
            else QoSReliabilityPolicy.BEST_EFFORT))
        self._type = f'sensor_msgs/msg/{"CompressedImage" if suffix else "Image"}'
        self._subscription = node.create_subscription(
            CompressedImage if suffix else Image, name_to_subscribe(node, topic, config),
            self._receive, qos,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._warn_of_qos))
        # Read off the subscription: it is remapped, and remapping a name twice may swap cameras
        name = self._subscription.topic_name
        self.topic = name[:-len(suffix)] if suffix and name.endswith(suffix) else name
        self.feed = CameraFeed(self.topic)
        self._received = False
        self._stamp_faults_told = 0
        self._watch = node.create_timer(SILENCE_S, self._warn_of_silence, clock=STEADY)

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_timer(self._watch)
        self._node.destroy_subscription(self._subscription)

    def _receive(self, message: Union[Image, CompressedImage]) -> None:
        receive_ns, simulated = time.monotonic_ns(), self._clock.simulated
        self._received = True
        feed = self.feed
        age_ms, fault = feed.stamps.age_ms(messages.stamp_ns(message.header),
                                           self._clock.now_ns, self._clock.step_ms)
        kinds = len(feed.stamps.faults.keys() - {NO_CLOCK})  # which the diagnostics tell
        if kinds > self._stamp_faults_told:
            self._stamp_faults_told = kinds
            self._node.get_logger().warning(
                f'{self.topic}: {fault}; timestamps unusable: measuring latencies and the '
                'deadline from arrival')
        feed.age_ms, feed.receive_ns, feed.simulated = age_ms, receive_ns, simulated
        feed.encoding = message.encoding if isinstance(message, Image) else message.format
        feed.incompatible_qos = feed.silent_because = ''  # or it was another publisher
        self.callback(Frame(self.topic, message, receive_ns, age_ms, simulated))

    def _warn_of_silence(self) -> None:
        received, self._received = self._received, False
        if received or self._clock.paused:  # a world that stands still is no fault
            return
        name = self._subscription.topic_name
        found = self._node.get_publishers_info_by_topic(name)
        if not found:
            self.feed.incompatible_qos = ''  # its publisher is gone
        if self.feed.incompatible_qos:  # the mismatch has been logged, and is the cause
            return
        publishers = sum(info.topic_type == self._type for info in found)
        if found and not publishers:
            cause = (f'its publisher sends {plain(found[0].topic_type)}, not {self._type}; check '
                     'image_topics (a base topic, without /compressed) and image_transport')
        elif not publishers:
            cause = 'it has no publisher; check image_topics and image_transport'
        else:
            segment = transport.largest_segment()
            limit = (f'; images of more than {segment / 1e6:.0f} MB, the size of its segment, get '
                     'lost: publish smaller or compressed ones, or give the profiles of both a '
                     'larger segment_size' if segment else '')
            advice = transport.shared_memory_fault() or (
                'check that they publish, and that their process uses the Fast DDS profiles of '
                f'this one{limit}; ltp_doctor looks further')
            cause = f'it has {publishers} publisher{"s" if publishers > 1 else ""}; {advice}'
        if cause != self.feed.silent_because:  # once; /diagnostics goes on telling
            self._node.get_logger().warning(f'no image for {SILENCE_S:g} s on {name}: {cause}')
        self.feed.silent_because = cause

    def _warn_of_qos(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        self.feed.incompatible_qos = qos_policy_name_from_kind(event.last_policy_kind)
        self._node.get_logger().warning(
            f'a publisher on {self._subscription.topic_name} offers a QoS that does not match '
            f'({self.feed.incompatible_qos}); set image_reliability:=best_effort')
