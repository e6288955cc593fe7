# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay` on one bag: every image answered as the node does, under its own header."""
import json
import os
import sys

import numpy as np
import pytest
from replay_bags import (
    CAMERA,
    FLAGS,
    START_NS,
    answers,
    header_bytes,
    jpeg,
    pictures,
    raw_messages,
    rows,
    stores,
    write_bag,
    write_ros1_bag,
)

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig, Config
from ltp_ros.frames.decoding import CompressedImage, decode
from ltp_ros.settings import update
from ltp_ros.tools.replay import build_parser, main
from ltp_ros.tools.support.replay_flags import config_of

CONFIG = ClassifierConfig(model='demo', device='cpu', backend='eager', precision='float32',
                          num_threads=1)
COUNT = 12


@pytest.fixture(scope='module')
def classifier():
    """Return the classifier of the node."""
    return Classifier(CONFIG)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Return a bag of a raw camera."""
    return write_bag(tmp_path_factory.mktemp('bags') / 'drive', {CAMERA: pictures(COUNT)})


def run(bag, output, *more):
    return main([str(bag), '--output', str(output), *FLAGS, *more])


def told(path):
    return json.loads(path.with_name(f'{path.name}.replay.json').read_text())


def test_300_images_have_300_answers_under_headers_that_are_equal_bit_for_bit(
        classifier, tmp_path):
    shown = pictures(300)
    bag, output = write_bag(tmp_path / 'drive', {CAMERA: shown}), tmp_path / 'answers'
    assert run(bag, output) == 0
    asked, given = raw_messages(bag), raw_messages(output)
    assert len(given) == 300
    assert [header_bytes(content) for _, _, content in given] == [
        header_bytes(content) for _, _, content in asked]
    assert [time_ns for _, time_ns, _ in given] == [time_ns for _, time_ns, _ in asked]
    assert {topic for topic, _, _ in given} == {'/ltp/classification'}
    for answer, rgb in [*zip(answers(output), shown)][::3]:
        expected = classifier.classify(rgb)
        assert answer.image_topic == CAMERA
        assert answer.labels == list(expected.labels)
        assert answer.class_ids.tolist() == list(expected.class_ids)
        assert answer.scores.tolist() == list(expected.scores)
        assert (answer.tokens_kept, answer.tokens_total) == (
            expected.num_keep, expected.num_patches)


def test_an_answer_is_the_message_of_the_node(bag, classifier, tmp_path):
    pytest.importorskip('rclpy')
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import Image

    from ltp_ros.frames.picture import PictureWatch
    from ltp_ros.msg import Classification
    from ltp_ros.region import region_of
    from ltp_ros.ros.messages import from_prediction, to_rgb
    roi = (0.25, 0.25, 0.5, 0.5)
    assert run(bag, tmp_path / 'answers', '--roi', *map(str, roi), '--top-k', '2') == 0
    watch = PictureWatch()
    for (_, time_ns, asked), (_, _, given) in zip(
            raw_messages(bag), raw_messages(tmp_path / 'answers')):
        image = deserialize_message(asked, Image)
        rgb = to_rgb(image)
        region = region_of(roi, *rgb.shape[:2])
        seen = rgb[region.slices]
        expected = from_prediction(
            image.header, CAMERA, '', classifier.classify(seen, top_k=2),
            watch.judge(seen, time_ns), region)
        content = serialize_message(expected)  # in which 0.7 is a float32
        assert repr(deserialize_message(given, Classification)) == repr(
            deserialize_message(content, Classification))
        assert header_bytes(content) == header_bytes(given)


@pytest.mark.parametrize('name', ['answers.mcap', 'answers.db3', 'answers'])
def test_a_bag_of_answers_is_one_that_ros_can_read(name, bag, tmp_path):
    assert run(bag, tmp_path / name) == 0
    assert len(answers(tmp_path / name)) == COUNT
    assert (tmp_path / name).is_dir() == (name == 'answers')


@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
def test_a_table_has_a_row_for_each_image_with_numbers_to_the_last_bit(
        plugin, classifier, tmp_path):
    shown = [jpeg(rgb) for rgb in pictures(COUNT)]
    bag = write_bag(tmp_path / 'drive', {f'{CAMERA}/compressed': shown}, plugin)
    assert run(bag, tmp_path / 'answers.csv') == 0
    found = rows(tmp_path / 'answers.csv')
    assert [row['image_topic'] for row in found] == [CAMERA] * COUNT  # as the node tells it
    for row, content in zip(found, shown):
        expected = classifier.classify(decode(CompressedImage('jpeg', content)))
        assert json.loads(row['scores']) == list(expected.scores)
        assert float(row['score']) == expected.scores[0]
        assert (row['label'], row['unknown']) == (expected.labels[0], 'nan')
    assert [row['frame_id'] for row in found[:4]] == ['camera', '', 'kamera_ä', 'a/"b",\n c']
    assert int(found[1]['record_ns']) - int(found[0]['record_ns']) == 33_333_333


def test_a_parquet_file_holds_what_a_csv_holds(bag, tmp_path):
    parquet = pytest.importorskip('pyarrow.parquet', reason='pyarrow is not installed')
    for name in ('a.csv', 'a.parquet'):
        assert run(bag, tmp_path / name) == 0
    found = parquet.read_table(str(tmp_path / 'a.parquet')).to_pylist()
    for row, expected in zip(found, rows(tmp_path / 'a.csv')):
        assert row['scores'] == json.loads(expected['scores'])
        assert (row['label'], row['frame_id'], str(row['stamp_nanosec'])) == (
            expected['label'], expected['frame_id'], expected['stamp_nanosec'])


def test_a_bag_of_ros_1_is_read(tmp_path):
    bag = write_ros1_bag(tmp_path / 'old.bag', [jpeg(rgb) for rgb in pictures(4)])
    assert run(bag, tmp_path / 'answers.csv') == 0
    assert [row['frame_id'] for row in rows(tmp_path / 'answers.csv')] == [
        'camera', '', 'kamera_ä', 'a/"b",\n c']
    assert run(bag, tmp_path / 'answers') == 0
    first = answers(tmp_path / 'answers')[0].header.stamp
    assert first.sec * 10 ** 9 + first.nanosec == START_NS


def test_zoom_follows_the_pictures_as_the_pipeline_does(classifier, tmp_path):
    from ltp_ros.zoom.gaze import Gaze
    shown = pictures(20, (480, 360))
    bag = write_bag(tmp_path / 'drive', {CAMERA: shown})
    assert run(bag, tmp_path / 'answers.csv', '--zoom') == 0
    gaze = Gaze(classifier.zoom)
    expected = [classifier.classify(rgb, box=gaze.follow(rgb)).scores for rgb in shown]
    assert [tuple(json.loads(row['scores'])) for row in rows(tmp_path / 'answers.csv')] == expected


def test_images_that_cannot_be_decoded_are_counted_and_listed(tmp_path, capsys):
    shown = [jpeg(rgb) for rgb in pictures(6)]
    shown[2], shown[4] = shown[2][:200], np.zeros(30, np.uint8)
    bag = write_bag(tmp_path / 'drive', {f'{CAMERA}/compressed': shown})
    assert run(bag, tmp_path / 'answers.csv', '--json', str(tmp_path / 'told.json')) == 0
    found = rows(tmp_path / 'answers.csv')
    assert [row['outcome'] for row in found] == [
        'undecodable' if index in (2, 4) else 'answered' for index in range(6)]
    assert 'has no end marker' in found[2]['detail'] and found[2]['stamp_sec']
    out = capsys.readouterr().out
    assert 'dropped: 2 undecodable' in out and f'message 2 on {CAMERA}' in out
    row, = json.loads((tmp_path / 'told.json').read_text())['rows']
    assert [each['image'] for each in row['unreadable']] == [
        f'message {index} on {CAMERA}' for index in (2, 4)]
    assert (row['images'], row['dropped']) == (6, {'undecodable': 2})


def test_a_message_that_is_cut_off_has_no_header_and_is_told(tmp_path, bag):
    store, _ = stores()
    from rosbags.rosbag2 import Writer
    with Writer(tmp_path / 'drive', version=8) as writer:
        connection = writer.add_connection(CAMERA, 'sensor_msgs/msg/Image', typestore=store)
        for number, (_, time_ns, content) in enumerate(raw_messages(bag)):
            writer.write(connection, time_ns, content[:7] if number == 3 else content)
    assert run(tmp_path / 'drive', tmp_path / 'answers.csv') == 0
    row = rows(tmp_path / 'answers.csv')[3]
    assert (row['outcome'], row['stamp_sec']) == ('undecodable', '')
    assert 'the message is damaged' in row['detail']


def test_a_camera_that_was_recorded_raw_and_compressed_is_answered_once(tmp_path, capsys):
    shown = pictures(3)
    bag = write_bag(tmp_path / 'drive', {
        CAMERA: shown, f'{CAMERA}/compressed': [jpeg(rgb) for rgb in shown],
        '/rear': pictures(2)})
    assert run(bag, tmp_path / 'a.csv') == 0
    assert f'left out: {CAMERA}/compressed' in capsys.readouterr().err
    assert [row['image_topic'] for row in rows(tmp_path / 'a.csv')].count(CAMERA) == 3
    assert run(bag, tmp_path / 'b.csv', '--topics', f'{CAMERA}/compressed') == 0
    assert [row['image_topic'] for row in rows(tmp_path / 'b.csv')] == [CAMERA] * 3


def test_labels_latencies_and_drops_are_summed_up_and_drawn(bag, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    assert run(bag, tmp_path / 'a.csv', '--plot', str(tmp_path / 'a.png')) == 0
    out = capsys.readouterr().out
    assert f'{COUNT} of {COUNT} images answered' in out and 'p50' in out and '%' in out
    assert (tmp_path / 'a.png').read_bytes().startswith(b'\x89PNG')
    assert sum(told(tmp_path / 'a.csv')['summary']['labels'].values()) == COUNT


def test_an_output_that_is_there_is_not_made_again(bag, tmp_path, capsys):
    assert run(bag, tmp_path / 'a.csv') == 0
    before = (tmp_path / 'a.csv').stat().st_mtime_ns
    assert run(bag, tmp_path / 'a.csv') == 0
    assert (tmp_path / 'a.csv').stat().st_mtime_ns == before
    assert 'was there already' in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.csv', 'a.csv.replay.json']


def test_an_output_of_other_settings_is_not_overwritten(bag, tmp_path, capsys):
    assert run(bag, tmp_path / 'a.csv') == 0
    assert run(bag, tmp_path / 'a.csv', '--keep-ratio', '0.5') == 2
    assert 'keep_ratio was 0.7 and is 0.53' in capsys.readouterr().err
    (tmp_path / 'a.csv.replay.json').unlink()
    assert run(bag, tmp_path / 'a.csv') == 2
    assert 'nothing tells of which run it is' in capsys.readouterr().err


@pytest.mark.parametrize('content', [b'{}', b'[]', b'null', b'', b'\xff', b'{"asked": 1}'])
def test_a_file_beside_the_output_may_be_of_another_program(bag, content, tmp_path, capsys):
    (tmp_path / 'a.csv').write_text('mine')
    (tmp_path / 'a.csv.replay.json').write_bytes(content)
    assert run(bag, tmp_path / 'a.csv') == 2
    assert 'nothing tells of which run it is' in capsys.readouterr().err
    assert (tmp_path / 'a.csv').read_text() == 'mine'


def test_flags_are_the_parameters_of_the_node():
    args = build_parser().parse_args([
        'bag', '--output', 'x', '--zoom', '--keep-model-classes', '--classes', 'my.safetensors',
        '--roi', '0', '0.5', '1', '0.5', '--keep-ratios', '1', '0.5', '--keep-ratio', '0.6',
        '--alpha', '0.25', '--real-time', '--deadline-ms', '20', '--drop-late', '--objective',
        'strict', '--max-rate', '10'])
    assert config_of(args) == update(Config(), {
        'zoom': True, 'keep_model_classes': True, 'classes': os.path.abspath('my.safetensors'),
        'roi': [0, 0.5, 1, 0.5], 'keep_ratios': [1.0, 0.5], 'keep_ratio': 0.6, 'alpha': 0.25,
        'deadline_ms': 20, 'drop_late': True, 'objective': 'strict', 'max_rate': 10})
    assert config_of(build_parser().parse_args(['bag', '--output', 'x'])) == update(Config(), {})


@pytest.mark.parametrize('output, more, words', [
    ('a.txt', (), "ends in '.txt'; expected one of .csv, .parquet, .mcap, .db3, or a folder"),
    ('a.csv', ('--format', 'mcap'), 'do not go together'),
    ('nowhere/a.csv', (), 'cannot be written'),
    ('a.csv', ('--topics', '/nowhere'), f"no images on '/nowhere'; topics with images: {CAMERA}"),
    ('a.csv', ('--deadline-ms', '20'), '--deadline-ms goes with --real-time'),
    ('a.csv', ('--drop-late',), '--drop-late goes with --real-time'),
    ('a.csv', ('--slowdown', '2'), '--slowdown goes with --real-time'),
    ('a.csv', ('--roi', '0', '0', '2', '0'), 'roi'),
    ('a.csv', ('--keep-ratios', '1.5'), '1.5'),
    ('a.csv', ('--checkpoint', '/nowhere.safetensors'), '/nowhere.safetensors')])
def test_what_cannot_be_used_is_refused_by_name(output, more, words, bag, tmp_path, capsys):
    assert run(bag, tmp_path / output, *more) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize('name, words', [
    ('nowhere', 'does not exist; expected a bag'), ('', 'is not a bag; expected one of')])
def test_what_is_no_bag_is_refused_by_name(name, words, tmp_path, capsys):
    assert run(tmp_path / name, tmp_path / 'a.csv') == 2
    assert words in capsys.readouterr().err


def test_a_bag_without_images_is_refused_with_what_it_has(tmp_path, capsys):
    store, _ = stores()
    from rosbags.rosbag2 import Writer
    with Writer(tmp_path / 'talk', version=8) as writer:
        writer.add_connection('/chatter', 'std_msgs/msg/String', typestore=store)
    assert run(tmp_path / 'talk', tmp_path / 'a.csv') == 2
    assert 'its topics: /chatter' in capsys.readouterr().err


@pytest.mark.parametrize('module, more, words', [
    ('rosbags', ('a.csv',), 'pip install rosbags'),
    ('pyarrow', ('a.parquet',), 'pip install pyarrow'),
    ('ray', ('a.csv', '--ray', 'auto'), "pip install 'ltp_ros[fleet]'")])
def test_what_is_not_installed_is_named(module, more, words, bag, tmp_path, monkeypatch, capsys):
    for name in [*sys.modules, module]:
        if name.split('.')[0] == module:
            monkeypatch.setitem(sys.modules, name, None)
    assert run(bag, tmp_path / more[0], *more[1:]) == 2
    assert words in capsys.readouterr().err
