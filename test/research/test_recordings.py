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


def test_pictures_of_a_folder_that_are_not_read_are_told(tmp_path):
    told = []
    cv2.imwrite(str(tmp_path / 'a.png'), picture(COLOURS[0]))
    (tmp_path / 'b.AVIF').touch()
    assert len(list(rgb_images(str(tmp_path), 10, told.append))) == 1
    assert told == ['left out: 1 .avif, which are not read: convert them to JPEG or PNG']


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


COLOUR, DEPTH = '/camera/color/image_raw', '/camera/depth/image_rect_raw'


@pytest.fixture
def record(tmp_path):
    """Return a function that writes a recording, and returns its folder."""
    rosbags = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types

    def write(topics, plugin='MCAP', name='bag'):
        """Write the messages [(encoding or format, pixels or bytes)] of topics, in turn."""
        with rosbags.Writer(tmp_path / name, version=8,
                            storage_plugin=rosbags.StoragePlugin[plugin]) as writer:
            for topic, messages in topics.items():
                kind = 'CompressedImage' if topic.endswith('compressed') else 'Image'
                connection = writer.add_connection(topic, f'sensor_msgs/msg/{kind}',
                                                   typestore=store)
                for number, (encoding, content) in enumerate(messages):
                    stamp = types['builtin_interfaces/msg/Time'](sec=number, nanosec=0)
                    header = types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')
                    data = np.frombuffer(content if isinstance(content, bytes)
                                         else content.tobytes(), np.uint8)
                    fields = {'format': encoding} if kind == 'CompressedImage' else {
                        'height': 48, 'width': 64, 'encoding': encoding, 'is_bigendian': 0,
                        'step': data.size // 48}
                    message = types[connection.msgtype](header=header, data=data, **fields)
                    writer.write(connection, number * 10 ** 9,
                                 store.serialize_cdr(message, connection.msgtype))
        return tmp_path / name
    return write


def rgbd(**more):
    """Return topics as an RGB-D camera records them."""
    depth = np.full((48, 64), 900, np.uint16)
    return {COLOUR: [('rgb8', picture(colour)) for colour in COLOURS],
            DEPTH: [('16UC1', depth)] * len(COLOURS), **more}


@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
def test_depth_is_left_out_of_a_recording_and_named_once_with_its_reason(plugin, record):
    told = []
    path = record(rgbd(), plugin)
    assert colours(rgb_images(str(path), 100, told.append)) == [0, 1, 2, 3, 4]
    sentence, = told
    assert f"left out: {DEPTH} (encoding '16UC1' is a depth map" in sentence


def test_a_limit_counts_images_alone_not_the_depth_beside_them(record):
    assert colours(rgb_images(str(record(rgbd())), 5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('topic, message', [
    ('/d/compressed', ('16UC1; png compressed', b'\x89PNG')),
    ('/d/compressedDepth/compressed', ('16UC1; compressedDepth png', b'0' * 20)),
    ('/d/compressed', ('png', cv2.imencode('.png', np.ones((4, 4), np.uint16))[1].tobytes())),
    ('/d', ('32FC1', np.ones((48, 64), np.float32))), ('/d', ('yuv420', picture((1, 2, 3)))),
    ('/video/compressed', ('h264', b'\0\0\0\1'))])
def test_whatever_cannot_be_an_image_is_left_out_by_topic(topic, message, record):
    told = []
    path = record({COLOUR: rgbd()[COLOUR], topic: [message] * 5})
    assert colours(rgb_images(str(path), 100, told.append)) == [0, 1, 2, 3, 4]
    assert len(told) == 1 and f'left out: {topic} (' in told[0]


def test_grey_and_16_bit_grey_are_images(record):
    path = record({'/infra1': [('mono8', np.full((48, 64), 9, np.uint8))],
                   '/thermal': [('mono16', np.full((48, 64), 9, np.uint16))]})
    assert len(list(rgb_images(str(path), 100))) == 2


def test_topics_are_chosen_and_others_not_mentioned(record):
    told = []
    path = record(rgbd(**{'/rear': [('mono8', np.zeros((48, 64), np.uint8))] * 3}))
    assert len(list(rgb_images(str(path), 100, told.append, topics=['/rear']))) == 3
    assert told == []


@pytest.mark.parametrize('topics, words', [
    (['/nowhere'], f"no images on '/nowhere'; topics with images: {COLOUR}, {DEPTH}"),
    ([COLOUR, '/x'], "no images on '/x'"), ([DEPTH], 'no images in colour or grey')])
def test_a_topic_without_images_is_refused_with_those_that_have_them(topics, words, record):
    with pytest.raises(DatasetError, match=words):
        list(rgb_images(str(record(rgbd())), 100, topics=topics))


def test_topics_of_what_is_no_bag_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), picture(COLOURS[0]))
    with pytest.raises(DatasetError, match='is not a bag'):
        list(rgb_images(str(tmp_path), 10, topics=['/x']))


def test_a_damaged_message_is_left_out_and_told(record):
    told = []
    messages = [('jpeg', cv2.imencode('.jpg', picture(colour)[..., ::-1])[1].tobytes())
                for colour in COLOURS]
    messages[0] = ('jpeg', messages[0][1][:100])
    path = record({'/c/compressed': messages})
    assert colours(rgb_images(str(path), 100, told.append)) == [1, 2, 3, 4]
    assert '1 of 5 images cannot be used: message 0 on /c/compressed' in told[0]


@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
def test_a_topic_that_begins_with_damaged_messages_is_read(plugin, record):
    told = []
    good = ('jpeg', cv2.imencode('.jpg', picture(COLOURS[0])[..., ::-1])[1].tobytes())
    path = record({'/c/compressed': [('jpeg', good[1][:100])] * 6 + [good] * 100}, plugin)
    assert len(list(rgb_images(str(path), 200, told.append))) == 100
    sentence, = told
    assert '6 of 106 images cannot be used: message 0 on /c/compressed' in sentence


def test_a_part_without_messages_of_a_topic_is_not_told_as_left_out(record):
    told = []
    first, second = (record(topics, 'SQLITE3', name) for topics, name in (
        (rgbd(), 'bag'), ({COLOUR: []}, 'other')))
    (second / 'other.db3').rename(first / 'bag_1.db3')
    (first / 'metadata.yaml').unlink()
    assert len(list(rgb_images(str(first), 100, told.append, topics=[COLOUR]))) == 5
    assert told == []


@pytest.mark.parametrize('metadata', [None, b''], ids=['absent', 'empty'])
@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
def test_a_recording_that_lost_its_metadata_is_read_by_its_files(plugin, metadata, record):
    path = record(rgbd(), plugin)
    (path / 'metadata.yaml').unlink()
    if metadata is not None:
        (path / 'metadata.yaml').write_bytes(metadata)
    assert colours(rgb_images(str(path), 100)) == [0, 1, 2, 3, 4]


def test_all_files_of_a_split_recording_without_metadata_are_read(record, tmp_path):
    first, second = (record(rgbd(), 'SQLITE3', name) for name in ('bag', 'other'))
    (second / 'other.db3').rename(first / 'bag_1.db3')
    (first / 'metadata.yaml').unlink()
    assert len(list(rgb_images(str(first), 100))) == 10


@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
def test_a_single_file_of_a_recording_is_read(plugin, record):
    path, = (file for file in record(rgbd(), plugin).iterdir() if file.suffix != '.yaml')
    assert colours(rgb_images(str(path), 100)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
@pytest.mark.parametrize('whole_folder', [True, False])
def test_a_file_cut_off_is_refused_with_the_ways_to_mend_it(plugin, whole_folder, record):
    folder = record(rgbd(), plugin)
    path, = (file for file in folder.iterdir() if file.suffix != '.yaml')
    (folder / 'metadata.yaml').unlink()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DatasetError, match='cannot be read as a bag: .*`ros2 bag reindex FOLDER`'):
        list(rgb_images(str(folder if whole_folder else path), 100))


@pytest.mark.parametrize('at', [0.3, 0.5, 0.8])
def test_a_bag_damaged_in_its_middle_is_refused_with_a_sentence(at, record):
    folder = record(rgbd())
    path, = folder.glob('*.mcap')
    content = bytearray(path.read_bytes())
    start = int(at * len(content))
    content[start:start + 3000] = b'\xab' * 3000
    path.write_bytes(content)
    try:
        list(rgb_images(str(folder), 100))
    except ImageFileError:
        pass


def test_a_bag_that_is_not_there_is_refused_by_name():
    with pytest.raises(DatasetError, match=r"'nowhere\.mcap' does not exist"):
        list(rgb_images('nowhere.mcap', 10))


def test_a_single_picture_is_read_as_one_and_no_sequence(tmp_path):
    for number, colour in enumerate(COLOURS):
        cv2.imwrite(str(tmp_path / f'{number:03d}.png'), picture(colour)[..., ::-1])
    assert colours(rgb_images(str(tmp_path / '001.png'), 10)) == [1]
