# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Bags for the tests of `ltp_replay`, and how to read them without it."""
import csv

import cv2
import numpy as np
import pytest

from ltp_ros.tools.support.frame_sources import SAMPLES, panned_samples

# Without a GPU, without a choice of the runtime: the same numbers each time
FLAGS = ['--model', 'demo', '--device', 'cpu', '--backend', 'eager', '--precision', 'float32',
         '--num-threads', '1', '--quiet']
CAMERA = '/camera/image_raw'
START_NS, PERIOD_NS = 1_700_000_000_123_456_789, 33_333_333
FRAME_IDS = ('camera', '', 'kamera_ä', 'a/"b",\n c')


def pictures(count, size=(96, 72)):
    """Return views (H, W, 3) uint8 RGB of the packaged photos, as a panning camera sees them."""
    views = [rgb for _, rgb in panned_samples(SAMPLES)]
    return [cv2.resize(views[7 * index % len(views)], size, interpolation=cv2.INTER_AREA)
            for index in range(count)]


def jpeg(rgb):
    return cv2.imencode('.jpg', rgb[..., ::-1])[1].reshape(-1)


def stores():
    """Return rosbags' types of ROS 2 and of ROS 1."""
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    from rosbags.typesys import Stores, get_typestore
    return get_typestore(Stores.ROS2_HUMBLE), get_typestore(Stores.ROS1_NOETIC)


def header_of(types, number, delay_ns, **more):
    stamp_ns = START_NS + number * PERIOD_NS - delay_ns
    stamp = types['builtin_interfaces/msg/Time'](sec=stamp_ns // 10 ** 9,
                                                 nanosec=stamp_ns % 10 ** 9)
    return types['std_msgs/msg/Header'](
        stamp=stamp, frame_id=FRAME_IDS[number % len(FRAME_IDS)], **more)


def message_of(types, rgb, header):
    """Return an image message: raw of an array of pixels, compressed of bytes."""
    if rgb.ndim == 3:
        height, width, _ = rgb.shape
        return types['sensor_msgs/msg/Image'](
            header=header, height=height, width=width, encoding='rgb8', is_bigendian=0,
            step=3 * width, data=rgb.reshape(-1))
    return types['sensor_msgs/msg/CompressedImage'](header=header, format='jpeg', data=rgb)


def write_bag(path, topics, plugin='MCAP', period_ns=PERIOD_NS, delay_ns=4_000_000):
    """Write pictures [(H, W, 3) or the bytes of a file] by topic, one of each topic in turn.

    They are recorded `delay_ns` after their stamps.
    """
    store, _ = stores()
    from rosbags.rosbag2 import StoragePlugin, Writer
    with Writer(path, version=8, storage_plugin=StoragePlugin[plugin]) as writer:
        for topic, content in topics.items():
            kind = 'Image' if content[0].ndim == 3 else 'CompressedImage'
            connection = writer.add_connection(topic, f'sensor_msgs/msg/{kind}', typestore=store)
            for number, rgb in enumerate(content):
                message = message_of(store.types, rgb, header_of(store.types, number, delay_ns))
                writer.write(connection, START_NS + number * period_ns,
                             store.serialize_cdr(message, connection.msgtype))
    return path


def write_ros1_bag(path, content):
    """Write pictures as ROS 1 does."""
    _, store = stores()
    from rosbags.rosbag1 import Writer
    with Writer(path) as writer:
        connection = writer.add_connection(f'{CAMERA}/compressed',
                                           'sensor_msgs/msg/CompressedImage', typestore=store)
        for number, rgb in enumerate(content):
            header = header_of(store.types, number, 0, seq=number)
            writer.write(connection, START_NS + number * PERIOD_NS, store.serialize_ros1(
                message_of(store.types, rgb, header), connection.msgtype))
    return path


def raw_messages(path):
    """Return (topic, nanoseconds, bytes) of all messages of a bag, in order."""
    from rosbags.highlevel import AnyReader
    store, _ = stores()
    with AnyReader([path], default_typestore=store) as bag:
        return [(topic.topic, time_ns, bytes(content)) for topic, time_ns, content
                in bag.messages()]


def answers(path):
    """Return the messages of ltp_ros in a bag, in order, read with what the bag tells of them."""
    from rosbags.highlevel import AnyReader
    store, _ = stores()
    with AnyReader([path], default_typestore=store) as bag:
        return [bag.deserialize(content, topic.msgtype) for topic, _, content in bag.messages()]


def header_bytes(content):
    """Return the header of a serialized message (little-endian CDR), with its frame_id whole."""
    size = int(np.frombuffer(content[12:16], '<u4')[0])
    return content[:16 + size]


def rows(path):
    """Return the rows of a CSV file by column."""
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def count(path):
    return len(rows(path))
