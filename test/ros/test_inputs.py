# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What is classified of what the cameras send: remapped topics, region, rate, only on demand."""
import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from ros_helpers import change, classifier_process, exchange, picture
from sensor_msgs.msg import CompressedImage, Image

from ltp_ros.msg import Classification, FrameLatency
from ltp_ros.ros import messages
from ltp_ros.ros.diagnostics import IDLE
from ltp_ros.ros.images import from_pixels

OUTPUTS = [('/ltp/classification', Classification), ('/ltp/latency', FrameLatency),
           ('/ltp/debug_image', Image)]
if messages.VisionClassification:
    OUTPUTS.append(('/ltp/vision_msgs/classification', messages.VisionClassification))


@pytest.fixture
def start(small_model):
    """Return a function that starts the node with parameters of the test's choice."""
    return lambda **parameters: classifier_process(checkpoint=small_model, **parameters)


@pytest.fixture
def statuses(listener):
    """Return a function: part of the diagnostics -> its newest status; None before the first."""
    listener.listen('/diagnostics', DiagnosticArray)
    return lambda part: next((
        status for array in reversed(listener.heard['/diagnostics']) for status in array.status
        if status.name == f'ltp/classifier: {part}'), None)


@pytest.mark.parametrize('transport, suffix, message_type', [
    ('raw', '', Image), ('compressed', '/compressed', CompressedImage)])
def test_the_base_topic_is_remapped_for_either_transport_in_a_namespace_too(
        listener, start, transport, suffix, message_type):
    remap = ('__ns:=/front', 'image:=camera/image_raw')
    with start(image_transport=transport, remap=remap) as program:
        listener.listen('/front/classification', Classification)
        camera = listener.node.create_publisher(
            message_type, f'/front/camera/image_raw{suffix}', 10)
        listener.until(camera.get_subscription_count, program)
        listener.until(lambda: listener.node.count_publishers('/front/classification'), program)
        raw, jpeg = picture(0), cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1]
        message = raw if transport == 'raw' else CompressedImage(
            header=raw.header, format='jpeg', data=jpeg.tobytes())

        def answered():
            camera.publish(message)
            return listener.heard['/front/classification']
        listener.until(answered, program)
        answer = listener.heard['/front/classification'][0]
        assert answer.image_topic == '/front/camera/image_raw'
        assert answer.header == raw.header


def cut(message, rows, columns):
    rgb = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
    return from_pixels(message.header, np.ascontiguousarray(rgb[rows, columns]))


def test_region_and_rate_hold_from_the_next_image_on_and_what_they_leave_out_is_counted(
        listener, start, statuses):
    with start(roi='[0.5, 0, 0.5, 1]', keep_ratio=1.0) as program:
        camera = listener.publisher('/ltp/image', program=program)
        right, _ = exchange(listener, camera, picture(0), program)
        assert listener.set_parameter('roi', [0, 0, 32, 24]).successful
        corner, _ = exchange(listener, camera, picture(0), program)
        assert listener.set_parameter('roi', [0, 0, 640, 480]).successful
        camera.publish(picture(0))
        listener.until(lambda: 'roi [0, 0, 640, 480] does not lie inside an image of 64x48'
                       in program.output, program)
        refused = listener.set_parameter('roi', '[0.5, 0, 640, 480]')  # as `ros2 param set`
        assert not refused.successful and 'mixes shares' in refused.reason
        assert listener.set_parameter('roi', []).successful
        assert listener.get_parameter('roi') == [0.0, 0.0, 1.0, 1.0]
        for seen, part in ((right, cut(picture(0), slice(None), slice(32, None))),
                           (corner, cut(picture(0), slice(24), slice(32)))):
            expected, _ = exchange(listener, camera, part, program)
            assert seen.scores.tolist() == expected.scores.tolist()

        assert listener.set_parameter('max_rate', 0.001).successful
        exchange(listener, camera, picture(1), program)
        camera.publish(picture(2))
        listener.until(lambda: statuses('input') and
                       {item.key: item.value for item in statuses('input').values}[
                           'dropped (rate)'] == '1', program)
        assert listener.set_parameter('max_rate', 0.0).successful
        answer, latency = exchange(listener, camera, picture(3), program)
        assert (answer.header.frame_id, latency.dropped_since_last) == ('frame 3', 1)


def silence(listener):
    """Have nobody listen to the node's outputs."""
    for subscription in list(listener.node.subscriptions):
        if subscription.topic_name in dict(OUTPUTS):
            listener.node.destroy_subscription(subscription)


def test_a_lazy_node_listens_to_its_cameras_only_while_somebody_listens_to_it(
        listener, start, statuses):
    silence(listener)
    with start(lazy=True) as program:
        camera = listener.node.create_publisher(Image, '/ltp/image', 10)

        def is_idle():
            return statuses('lifecycle') is not None and (
                statuses('lifecycle').message == f'active, {IDLE}')
        listener.until(is_idle, program)
        for topic, message_type in OUTPUTS:
            assert camera.get_subscription_count() == 0
            listener.listen(topic, message_type)
            listener.until(camera.get_subscription_count, program)
            listener.until(lambda topic=topic: (
                camera.publish(picture(0)) or listener.heard[topic]), program)
            silence(listener)
            listener.until(lambda: not camera.get_subscription_count(), program)
        listener.heard['/diagnostics'].clear()
        listener.until(is_idle, program)
        # A camera that is silent for five seconds is told of
        listener.until(lambda: int(statuses('lifecycle').values[0].value) >= 7, program)
        for array in listener.heard['/diagnostics']:
            for status in array.status:
                if status.name.startswith('ltp/classifier: ') and 'transport' not in status.name:
                    assert status.level == DiagnosticStatus.OK, status
        assert statuses('input').message == IDLE
        assert 'no image for' not in program.output

        assert listener.set_parameter('lazy', False).successful
        listener.until(camera.get_subscription_count, program)
        listener.until(lambda: statuses('lifecycle').message == 'active', program)
        assert listener.set_parameter('lazy', True).successful
        listener.until(lambda: not camera.get_subscription_count(), program)


def test_a_lazy_node_listens_to_nothing_while_it_is_inactive(listener, start):
    with start(lazy=True, autostart=False) as program:
        camera = listener.node.create_publisher(Image, '/ltp/image', 10)
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        for _ in range(3):
            assert change(listener, Transition.TRANSITION_ACTIVATE)
            listener.until(camera.get_subscription_count, program)
            assert change(listener, Transition.TRANSITION_DEACTIVATE)
            listener.until(lambda: not camera.get_subscription_count(), program)
        assert change(listener, Transition.TRANSITION_CLEANUP)
        assert 'Traceback' not in program.output
