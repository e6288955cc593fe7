# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes as a bag of ROS 2: the answers as a node would have published them."""
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Mapping

import numpy as np

from ltp_ros.frames.latency import FrameLatency
from ltp_ros.research.replay.bag_images import Header
from ltp_ros.research.replay.outcome import Answer, Outcome

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore  # optional

CLASSIFICATION, LATENCY = 'ltp_ros/msg/Classification', 'ltp_ros/msg/FrameLatency'
TOPICS = {CLASSIFICATION: '/ltp/classification', LATENCY: '/ltp/latency'}
STORAGES = {'mcap': 'MCAP', 'sqlite3': 'SQLITE3'}  # of rosbag2 -> of rosbags
Definitions = Mapping[str, str]  # name of a message -> the text of its .msg file


class Messages:
    """Makes the messages of the node without ROS.

    Args:
        definitions: of CLASSIFICATION and LATENCY.
    """

    def __init__(self, definitions: Definitions):
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore  # noqa: PLC0415
        self.store: Typestore = get_typestore(Stores.ROS2_HUMBLE)
        for name, text in definitions.items():
            self.store.register(get_types_from_msg(text, name))

    def _header(self, header: Header) -> Any:
        types = self.store.types
        return types['std_msgs/msg/Header'](
            stamp=types['builtin_interfaces/msg/Time'](sec=header.sec, nanosec=header.nanosec),
            frame_id=header.frame_id)

    def classification(self, header: Header, topic: str, answer: Answer) -> Any:
        """Return an answer as `ltp_ros.ros.messages.from_prediction` does, serialized."""
        types, seen = self.store.types, answer.region
        return self.store.serialize_cdr(types[CLASSIFICATION](
            header=self._header(header), image_topic=topic, model=answer.model,
            labels=list(answer.labels), class_ids=np.array(answer.class_ids, np.int32),
            scores=np.array(answer.scores, np.float32), keep_ratio=answer.keep_ratio,
            tokens_kept=answer.tokens_kept, tokens_total=answer.tokens_total,
            unknown=answer.unknown, known=answer.known, picture_faults=answer.picture_faults,
            region=types['sensor_msgs/msg/RegionOfInterest'](
                x_offset=seen.left, y_offset=seen.top, height=seen.height, width=seen.width,
                do_rectify=False)), CLASSIFICATION)

    def latency(self, header: Header, topic: str, latency: FrameLatency) -> Any:
        """Return a latency as `ltp_ros.ros.messages.from_latency` does, serialized."""
        return self.store.serialize_cdr(self.store.types[LATENCY](
            header=self._header(header), image_topic=topic,
            capture_to_publish_ms=latency.capture_to_publish_ms, **asdict(latency)), LATENCY)


def write_bag(outcomes: Iterable[Outcome], path: Path, timed: bool, storage: str,
              definitions: Definitions) -> None:
    """Write the answers as a bag, each at the record time of its image.

    Args:
        outcomes: of the images, in order; those without an answer are left out.
        path: a folder, which must not exist.
        timed: with /ltp/latency.
        storage: one of STORAGES.
        definitions: of CLASSIFICATION and LATENCY.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: PLC0415  optional
    messages = Messages(definitions)
    with Writer(path, version=8, storage_plugin=StoragePlugin[STORAGES[storage]]) as writer:
        answers, *latencies = (
            writer.add_connection(TOPICS[name], name, typestore=messages.store)
            for name in (CLASSIFICATION, *([LATENCY] if timed else [])))
        for outcome in outcomes:
            header, answer, latency = outcome.header, outcome.answer, outcome.latency
            if header is None or answer is None:
                continue
            writer.write(answers, outcome.record_ns,
                         messages.classification(header, outcome.topic, answer))
            if latencies and latency:
                writer.write(latencies[0], outcome.record_ns,
                             messages.latency(header, outcome.topic, latency))
