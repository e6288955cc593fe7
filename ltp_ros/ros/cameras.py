# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of an active node, listened to only on demand where it is `lazy`."""
from typing import List, Optional

from ltp_ros.parameter import ConfigError
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.detections import DetectionSubscription
from ltp_ros.ros.frame_server import FrameServer
from ltp_ros.ros.managed_node import STEADY
from ltp_ros.ros.node_clock import NodeClock
from ltp_ros.ros.subscriptions import CameraSubscription, name_to_subscribe

# Humble has no event for a subscriber that comes or goes; discovery takes longer than this
CHECK_PERIOD_S = 0.1


class Cameras:
    """Subscribes to the cameras, and while nobody wants an answer of a lazy node, does not.

    Without a subscription the transport delivers nothing either, as image_transport's own
    publishers and image_proc have it.

    Args:
        node: whose `config` names the topics, and whether it is lazy.
        clock: of the node.
        server: takes the images, and knows whether somebody subscribes to the answers.

    Raises:
        ConfigError: if two topics are remapped to one, or one is an output of the node.
    """

    def __init__(self, node: ConfiguredNode, clock: NodeClock, server: FrameServer):
        self._node, self._clock, self._server = node, clock, server
        self._subscriptions: List[CameraSubscription] = []
        self._detections: Optional[DetectionSubscription] = None
        self._closed = False
        config = node.config.input  # judged now rather than on demand
        names = [node.resolve_topic_name(name_to_subscribe(node, topic, config))
                 for topic in config.image_topics]
        if len(set(names)) < len(names):  # by a remapping of <topic>/compressed
            raise ConfigError(f'image_topics {list(config.image_topics)} are remapped to {names}; '
                              'give each camera a topic of its own')
        if config.detections_topic:
            names.append(node.resolve_topic_name(config.detections_topic))
        own = {publisher.topic_name for publisher in node.publishers}.intersection(names)
        if own:
            raise ConfigError(f'image_topics {list(config.image_topics)}, detections_topic '
                              f'{config.detections_topic!r}: this node publishes on '
                              f'{", ".join(sorted(own))} itself; name the topic of a camera, and '
                              'of a detector')
        self._follow_demand()
        self._timer = node.create_timer(CHECK_PERIOD_S, self._follow_demand, clock=STEADY)
        self.update()

    @property
    def idle(self) -> bool:
        """Whether no camera is listened to, since nobody wants an answer."""
        return not self._subscriptions

    def update(self) -> None:
        """Do as the parameters say now; only a lazy node has to look at the demand again."""
        if self._node.config.input.lazy:
            self._timer.reset()
        else:
            self._timer.cancel()
        self._follow_demand()

    def _follow_demand(self) -> None:
        """Listen, or stop listening, as is wanted now."""
        if self._closed:
            return  # the executor may call a timer once more that is destroyed
        if not self._node.config.input.lazy or self._server.wanted:
            if self.idle:
                self._listen()
        elif not self.idle:
            self._stop_listening()

    def close(self) -> None:
        """Stop listening for good."""
        self._closed = True
        self._node.destroy_timer(self._timer)
        self._stop_listening()

    def _listen(self) -> None:
        config, put = self._node.config.input, self._server.pipeline.mailbox.put
        try:
            for topic in config.image_topics:
                camera = CameraSubscription(self._node, self._clock, topic, config, put)
                self._subscriptions.append(camera)
                self._server.watch(camera.feed)
                if config.detections_topic:
                    self._detections = DetectionSubscription(
                        self._node, config.detections_topic, config.detections_slop_ms,
                        camera.feed, put)
                    camera.callback = self._detections.add_image
        except Exception:
            self._stop_listening()
            raise

    def _stop_listening(self) -> None:
        for subscription in self._subscriptions:
            subscription.destroy()
        self._subscriptions = []
        if self._detections is not None:
            self._detections.destroy()
            self._detections = None
        self._server.pipeline.mailbox.discard()
