# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of an active node, listened to only on demand where it is `lazy`."""
from typing import Callable, List

from ltp_ros.frames.mailbox import Mailbox
from ltp_ros.ros.configured_node import ConfiguredNode
from ltp_ros.ros.managed_node import STEADY
from ltp_ros.ros.subscriptions import CameraSubscription

# Humble has no event for a subscriber that comes or goes; discovery takes longer than this
CHECK_PERIOD_S = 0.1


class Cameras:
    """Subscribes to the cameras, and while nobody wants an answer of a lazy node, does not.

    Without a subscription the transport delivers nothing either, as image_transport's own
    publishers and image_proc have it.

    Args:
        node: whose `config` names the topics, and whether it is lazy.
        mailbox: takes the images.
        wanted: returns whether somebody subscribes to an answer.

    Raises:
        rclpy.exceptions.InvalidTopicNameException, ValueError: if a topic's name is not valid.
    """

    def __init__(self, node: ConfiguredNode, mailbox: Mailbox, wanted: Callable[[], bool]):
        self._node, self._mailbox, self._wanted = node, mailbox, wanted
        self._subscriptions: List[CameraSubscription] = []
        self._closed = False
        self._listen()  # even if it is for nothing: a bad topic is refused now, not on demand
        self.update()
        self._timer = node.create_timer(CHECK_PERIOD_S, self.update, clock=STEADY)

    @property
    def idle(self) -> bool:
        """Whether no camera is listened to, since nobody wants an answer."""
        return not self._subscriptions

    def update(self) -> None:
        """Listen, or stop listening, as is wanted now."""
        if self._closed:
            return  # the executor may call a timer once more that is destroyed
        if self._wanted() or not self._node.config.input.lazy:
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
        config = self._node.config.input
        try:
            for topic in config.image_topics:
                self._subscriptions.append(
                    CameraSubscription(self._node, topic, config, self._mailbox.put))
                self._mailbox.expect(self._subscriptions[-1].topic)
        except Exception:
            self._stop_listening()
            raise

    def _stop_listening(self) -> None:
        for subscription in self._subscriptions:
            subscription.destroy()
        self._subscriptions = []
        self._mailbox.discard()
