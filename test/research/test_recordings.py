# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Images without labels: folders, npz, videos, bags."""
import cv2
import numpy as np
import pytest

from ltp_ros.images import ImageFileError
from ltp_ros.research.datasets import DatasetError
from ltp_ros.research.recordings import rgb_images

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]  # RGB


def picture(colour):
    return np.full((48, 64, 3), colour, np.uint8)


def colours(images):
    """Return which of COLOURS each image is nearest to."""
    means = [image.reshape(-1, 3).mean(axis=0) for image in images]
    return [int(np.abs(np.array(COLOURS) - mean).sum(axis=1).argmin()) for mean in means]


def test_a_folder_is_read_whatever_its_order(tmp_path):
    for number, colour in enumerate(COLOURS):
        path = tmp_path / 'day' / str(number) / 'image.png'
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), picture(colour)[..., ::-1])
    assert colours(rgb_images(str(tmp_path), 100)) == [0, 1, 2, 3, 4]
    assert colours(rgb_images(str(tmp_path), 2)) == [0, 2]


def test_a_video_is_read_evenly(tmp_path):
    path = str(tmp_path / 'video.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (64, 48))
    for colour in COLOURS:
        for _ in range(4):
            writer.write(picture(colour)[..., ::-1])
    writer.release()
    assert colours(rgb_images(path, 5)) == [0, 1, 2, 3, 4]


def write_bag(path, topic='/camera/image'):
    rosbags = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    with rosbags.Writer(path, version=8) as writer:
        raw = writer.add_connection(topic, 'sensor_msgs/msg/Image', typestore=store)
        packed = writer.add_connection(f'{topic}/compressed', 'sensor_msgs/msg/CompressedImage',
                                       typestore=store)
        for number, colour in enumerate(COLOURS):
            stamp = types['builtin_interfaces/msg/Time'](sec=number, nanosec=0)
            header = types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')
            if number % 2:
                content = cv2.imencode('.png', picture(colour)[..., ::-1])[1].reshape(-1)
                connection, message = packed, types['sensor_msgs/msg/CompressedImage'](
                    header=header, format='png', data=content)
            else:
                connection, message = raw, types['sensor_msgs/msg/Image'](
                    header=header, height=48, width=64, encoding='rgb8', is_bigendian=0,
                    step=192, data=picture(colour).reshape(-1))
            writer.write(connection, number * 10 ** 9,
                         store.serialize_cdr(message, connection.msgtype))


def test_a_bag_is_read_with_all_its_image_topics_in_the_order_of_time(tmp_path):
    write_bag(tmp_path / 'bag')
    assert colours(rgb_images(str(tmp_path / 'bag'), 100)) == [0, 1, 2, 3, 4]
    assert len(list(rgb_images(str(tmp_path / 'bag'), 2))) == 2


def test_a_bag_without_images_is_refused_with_what_it_has(tmp_path):
    rosbags = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_HUMBLE)
    with rosbags.Writer(tmp_path / 'bag', version=8) as writer:
        connection = writer.add_connection('/chatter', 'std_msgs/msg/String', typestore=store)
        message = store.types['std_msgs/msg/String'](data='hello')
        writer.write(connection, 0, store.serialize_cdr(message, connection.msgtype))
    with pytest.raises(DatasetError, match='/chatter'):
        list(rgb_images(str(tmp_path / 'bag'), 10))


@pytest.mark.parametrize('name, content', [('nowhere', None), ('text.mp4', b'no video'),
                                           ('text.mcap', b'no bag')])
def test_what_holds_no_images_is_refused_by_name(name, content, tmp_path):
    if name.endswith('.mcap'):
        pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageFileError, match=name):
        list(rgb_images(str(tmp_path / name), 10))


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DatasetError, match='has no images'):
        list(rgb_images(str(tmp_path), 10))
