# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node as a user meets it: its own process, real DDS, a small model with random weights."""
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.duration import Duration
from ros_helpers import DEADLINE_S, classifier_process, exchange, picture
from sensor_msgs.msg import CompressedImage, Image

import ltp_ros
from ltp_ros.msg import FrameLatency


@pytest.fixture
def start(small_model):
    """Return a function that starts the node with parameters of the test's choice."""
    return lambda **parameters: classifier_process(checkpoint=small_model, **parameters)


def test_an_image_comes_back_classified_under_its_own_header(listener, start):
    with start(top_k=3) as program:
        camera = listener.publisher('/ltp/image', program=program)
        sent = picture(5)
        answer, latency = exchange(listener, camera, sent, program)
        assert answer.header == sent.header and latency.header == sent.header
        assert answer.image_topic == latency.image_topic == '/ltp/image'
        assert len(answer.labels) == len(answer.class_ids) == len(answer.scores) == 3
        assert answer.labels[0] == f'thing {answer.class_ids[0]}'
        assert (answer.tokens_kept, answer.tokens_total) == (11, 16)
        stages = (latency.queue_ms, latency.decode_ms, latency.inference_ms, latency.publish_ms)
        assert min(stages) >= 0 and sum(stages) == pytest.approx(latency.total_ms, abs=1e-3)
        assert np.isnan(latency.age_at_receive_ms)  # a stamp of years ago says nothing


def test_a_new_keep_ratio_holds_from_the_next_frame_on(listener, start):
    with start() as program:
        camera = listener.publisher('/ltp/image', program=program)
        kept = []
        for index, keep_ratio in enumerate((0.5, 1, 0.25)):
            assert listener.set_parameter('keep_ratio', keep_ratio).successful
            answer, _ = exchange(listener, camera, picture(index), program)
            kept.append((round(answer.keep_ratio, 4), answer.tokens_kept,
                         listener.get_parameter('keep_ratio')))
        assert kept == [(0.53, 8, 0.53), (1.0, 16, 1.0), (0.25, 4, 0.25)]


REFUSALS = [
    ('keep_ratio', 1.5, 'keep_ratio 1.5 is not allowed; it must be in (0, 1]'),
    ('keep_ratio', float('nan'), 'keep_ratio nan is not allowed; it must be finite and in (0, 1]'),
    ('keep_ratio', 'fast', "keep_ratio 'fast' is a string; expected a number in (0, 1]"),
    ('top_k', 0, 'top_k 0 is not allowed; it must be in [1, 100]'),
    ('model', 'demo', 'model is fixed while the node is configured'),
]


def test_values_that_are_not_allowed_are_refused_with_a_sentence(listener, start):
    with start() as program:
        listener.publisher('/ltp/image', program=program)
        for name, value, sentence in REFUSALS:
            before = listener.get_parameter(name)
            result = listener.set_parameter(name, value)
            assert not result.successful and result.reason.startswith(sentence)
            assert listener.get_parameter(name) == before


def test_a_bad_image_is_dropped_with_its_reason_and_the_next_one_answered(listener, start):
    with start() as program:
        camera = listener.publisher('/ltp/image', program=program)
        broken = picture(0)
        broken.encoding = 'yuv999'
        camera.publish(broken)
        listener.until(lambda: "'yuv999'" in program.output, program)
        answer, latency = exchange(listener, camera, picture(2), program)
        assert answer.header.frame_id == 'frame 2'
        assert latency.dropped_since_last == 1
        assert len(listener.classifications) == 1


def test_compressed_images_are_classified(listener, start):
    import cv2
    with start(image_transport='compressed') as program:
        camera = listener.publisher('/ltp/image/compressed', CompressedImage,
                                    program)
        raw = picture(3)
        rgb = np.frombuffer(raw.data, np.uint8).reshape(raw.height, raw.width, 3)
        png = cv2.imencode('.png', rgb[..., ::-1])[1].tobytes()
        answer, _ = exchange(listener, camera, CompressedImage(header=raw.header, format='png',
                                                               data=png), program)
        assert answer.header == raw.header and answer.image_topic == '/ltp/image'


def test_every_camera_is_answered(listener, start):
    with start(image_topics='[left,/right/image_raw]') as program:
        topics = ('/ltp/left', '/right/image_raw')
        cameras = [listener.publisher(topic, program=program) for topic in topics]
        for index, camera in enumerate(cameras):
            exchange(listener, camera, picture(index), program)
        assert [a.image_topic for a in listener.classifications] == list(topics)


def test_cameras_that_are_swapped_by_remapping_keep_their_names(listener, start):
    swap = ('left:=right', 'right:=left')
    with start(image_topics='[left,right]', remap=swap) as program:
        left = listener.publisher('/ltp/left', program=program)
        right = listener.publisher('/ltp/right', program=program)
        for camera, topic in ((left, '/ltp/left'), (right, '/ltp/right')):
            answer, latency = exchange(listener, camera, picture(0), program)
            assert answer.image_topic == latency.image_topic == topic


def test_a_topic_of_another_type_is_named(listener, start):
    with start(image_topics='[/jpeg]') as program:
        listener.node.create_publisher(CompressedImage, '/jpeg', 1)
        sentence = 'its publisher sends sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image'
        listener.until(lambda: sentence in program.output, program)


@pytest.mark.parametrize('remap, topic', [
    (('image:=/camera/image_raw',), '/camera/image_raw'),
    (('image/compressed:=/jpeg/compressed',), '/jpeg'),
    (('image:=/swapped', '/swapped:=/ltp/image'), '/swapped')])
def test_the_topic_of_compressed_images_is_remapped_once(listener, start, remap, topic):
    with start(image_transport='compressed', remap=remap) as program:
        camera = listener.publisher(f'{topic}/compressed', CompressedImage, program)
        _, jpeg = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))
        answer, _ = exchange(listener, camera, CompressedImage(
            header=picture(0).header, format='jpeg', data=jpeg.tobytes()), program)
        assert answer.image_topic == topic


def test_a_camera_whose_clock_is_behind_moves_no_level_and_is_named(listener, start):
    listener.listen('/diagnostics', DiagnosticArray)
    with start(deadline_ms=1000.0, keep_ratio=1.0) as program:
        camera = listener.publisher('/ltp/image', program=program)
        for index in range(40):
            image = picture(index)
            image.header.stamp = (listener.node.get_clock().now() - Duration(seconds=1.5)).to_msg()
            answer, latency = exchange(listener, camera, image, program)
            assert answer.keep_ratio == 1.0 and not latency.deadline_met
            assert latency.decision == FrameLatency.LATE_ARRIVAL
        sentence = "ms old, too old for the deadline at any keep_ratio; check the camera's clock"
        assert '/ltp/image: images arrive 15' in program.output and sentence in program.output
        listener.until(lambda: any(
            status.name == 'ltp/classifier: deadline' and sentence in status.message
            for array in listener.heard['/diagnostics'] for status in array.status), program)
        assert 'too slow' not in program.output
        assert listener.get_parameter('keep_ratio') == 1.0


def test_below_the_threshold_an_empty_answer_is_published(listener, start):
    with start(score_threshold=1.0) as program:
        camera = listener.publisher('/ltp/image', program=program)
        answer, _ = exchange(listener, camera, picture(0), program)
        assert not answer.labels and not answer.class_ids and not answer.scores


def test_the_debug_image_shows_the_newest_answer(listener, start):
    listener.listen('/ltp/debug_image', Image)
    with start(debug_image_rate=20.0) as program:
        camera = listener.publisher('/ltp/image', program=program)
        answer, _ = exchange(listener, camera, picture(0), program)
        listener.until(lambda: listener.heard['/ltp/debug_image'], program)
        drawn: Image = listener.heard['/ltp/debug_image'][-1]
        assert drawn.header == answer.header
        assert (drawn.height, drawn.width, drawn.encoding) == (48, 64, 'rgb8')


def test_the_tuner_uses_the_time_there_is_and_says_when_there_is_too_little(listener, start):
    listener.listen('/diagnostics', DiagnosticArray)

    def deadline_is(level):
        arrays = listener.heard['/diagnostics']
        return arrays and any(status.name == 'ltp/classifier: deadline' and status.level == level
                              for status in arrays[-1].status)

    with start(deadline_ms=60_000.0, keep_ratio=0.25) as program:  # time for every token
        camera = listener.publisher('/ltp/image', program=program)
        _, latency = exchange(listener, camera, picture(0), program)
        while latency.keep_ratio < 1.0:
            assert latency.deadline_met
            _, latency = exchange(listener, camera, picture(0), program)
        listener.until(lambda: listener.get_parameter('keep_ratio') == 1.0, program)
        assert listener.set_parameter('deadline_ms', 0.001).successful  # nothing is that fast
        while latency.decision != FrameLatency.FLOOR:
            _, latency = exchange(listener, camera, picture(0), program)
        assert not latency.deadline_met
        # Not always the lowest level: on a model this small, fewer tokens may not be faster
        level = round(float(latency.keep_ratio), 4)
        listener.until(lambda: listener.get_parameter('keep_ratio') == level, program)
        while not deadline_is(DiagnosticStatus.ERROR):  # as long as most answers are of this kind
            exchange(listener, camera, picture(0), program)


def test_a_thousand_parameter_changes_lose_no_frame(listener, start):
    with start() as program:
        camera = listener.publisher('/ltp/image', program=program)
        for index in range(1000):
            keep_ratio = (0.25, 0.53, 1.0)[index % 3]
            assert listener.set_parameter('keep_ratio', keep_ratio).successful
            if index % 10 == 0:
                answer, latency = exchange(listener, camera, picture(index), program)
                assert answer.keep_ratio == pytest.approx(keep_ratio)
                assert latency.dropped_since_last == 0
        assert len(listener.classifications) == 100


@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_cleanly_while_frames_flow(listener, start, stop):
    with start(fresh=True) as program:
        camera = listener.publisher('/ltp/image', program=program)
        exchange(listener, camera, picture(0), program)
        program.send_signal(stop)
        listener.until(lambda: camera.publish(picture(1)) or program.exit_code is not None)
        assert program.exit_code == 0
        assert 'Traceback' not in program.output


@pytest.mark.parametrize('parameters, sentence', [
    ({'keep_ratoi': 0.5}, "there is no parameter 'keep_ratoi'; did you mean keep_ratio?"),
    ({'keep_ratio': 2.0}, 'keep_ratio 2.0 is not allowed; it must be in (0, 1]'),
    ({'labels': '/nowhere.txt'}, "labels '/nowhere.txt' cannot be read"),
    ({'image_transport': 'theora'}, "must be one of 'raw', 'compressed'"),
])
def test_a_bad_parameter_stops_the_start_with_a_sentence(listener, start, parameters, sentence):
    with start(**parameters) as program:
        assert program.wait(DEADLINE_S) == 1
        assert sentence in program.output
        assert 'Traceback' not in program.output


@pytest.mark.parametrize('module, parameter', [
    ('ltp_ros.node', 'keep_ratio:=2.0'), ('ltp_ros.node', 'use_sim_time:=perhaps'),
    ('ltp_ros.tools.image_source', 'rate:=0.0'),
    ('ltp_ros.tools.image_source', 'use_sim_time:=perhaps')])
def test_a_node_that_cannot_be_made_leaves_no_shared_memory(module, parameter):
    program = subprocess.run([sys.executable, '-c', f"""
import sys
from ltp_ros import programs
from ltp_ros.ros import transport
sys.argv = ['node', '--ros-args', '-p', {parameter!r}]
transport.use_large_images()
code = programs.run({module!r}, interrupted=0)
print(code, 'and', transport.largest_segment(), 'bytes')"""], timeout=DEADLINE_S,
        cwd=Path(ltp_ros.__file__).parents[1], capture_output=True, text=True)
    assert parameter.split(':')[0] in program.stderr
    assert program.stdout in ('1 and 0 bytes\n', '2 and 0 bytes\n'), program.stderr


@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_ros_starts_ends_the_node_cleanly(listener, stop):
    program = subprocess.run([sys.executable, '-c', f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import rclpy
from ltp_ros import programs
start = rclpy.init
def init(**kwargs):
    os.kill(os.getpid(), {int(stop)})
    start(**kwargs)
rclpy.init = init
sys.exit(programs.ltp_classifier())
"""], capture_output=True, text=True, timeout=DEADLINE_S)
    assert (program.returncode, 'Traceback' in program.stderr) == (0, False), program.stderr
