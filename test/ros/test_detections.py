# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The boxes of a detector, classified by a live node."""
import copy
import math
import subprocess
import sys
import time

import pytest
import rclpy
from ros_helpers import classifier_process, picture, ros_arguments

pytest.importorskip('vision_msgs.msg', reason='vision_msgs is not installed')

from vision_msgs.msg import Detection2D, Detection2DArray

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.crops import Box
from ltp_ros.ros import detections, messages

TOPIC, OUTPUT = '/detector/boxes', '/ltp/detections'
SIZE = (96, 128)


def detection(name, x, y, width, height, theta=0.0):
    found = Detection2D(id=name)
    found.header.frame_id = f'of {name}'
    found.bbox.center.position.x, found.bbox.center.position.y = float(x), float(y)
    found.bbox.center.theta = theta
    found.bbox.size_x, found.bbox.size_y = float(width), float(height)
    found.results = detections.results_of(ANY)
    return found


class ANY:
    """What the detector itself says."""

    labels, scores, known = ('object',), (0.5,), True


def boxes(image, *found):
    return Detection2DArray(header=copy.deepcopy(image.header), detections=list(found))


@pytest.fixture
def crops(start, listener):
    """Return a function that starts a node on a detector: node, send(image, array)."""
    def begin(**parameters):
        node, camera = start(detections_topic=TOPIC, **parameters)
        detector = listener.publisher(TOPIC, Detection2DArray)
        listener.listen(OUTPUT, Detection2DArray)
        heard = listener.heard[OUTPUT]
        listener.until(lambda: node.count_subscribers(OUTPUT))
        # The tests ask the node's model too, which two threads at once must not
        listener.until(lambda: node._server.pipeline._batch_cost is not None)
        # Without a match of the output an answer would be lost
        listener.until(lambda: any(publisher.topic_name == OUTPUT and
                                   publisher.get_subscription_count()
                                   for publisher in node.publishers))

        def send(image, array, expect=True):
            before = len(heard)
            camera.publish(image)
            detector.publish(array)
            if expect:
                listener.until(lambda: len(heard) > before)
                return heard[-1]
            return None
        return node, send
    return begin


def classes(found):
    return [(result.hypothesis.class_id, result.hypothesis.score) for result in found.results]


def test_each_box_is_answered_as_the_classifier_answers_it(crops, small_model):
    _, send = crops(top_k=2)
    image = picture(0, SIZE)
    array = boxes(image, detection('a', 20, 30, 16, 24), detection('b', 70, 40, 40, 40),
                  detection('c', 110, 80, 60, 60))
    answer = send(image, array)
    classifier = Classifier(ClassifierConfig(
        checkpoint=small_model, device='cpu', backend='eager', precision='float32',
        keep_ratios=(1.0, 0.5), keep_ratio=1.0, top_k=2))
    rgb = messages.to_rgb(image)
    expected = [classifier.classify_parts(rgb, [Box(*numbers).region(*SIZE)])[0]
                for numbers in ((20, 30, 16, 24), (70, 40, 40, 40), (110, 80, 60, 60))]
    for found, prediction in zip(answer.detections, expected):
        assert classes(found) == [(label, pytest.approx(score, abs=1e-6)) for label, score in
                                  zip(prediction.labels, prediction.scores)]
    assert len(answer.detections) == 3


def test_headers_ids_boxes_and_order_are_kept(crops):
    _, send = crops()
    image = picture(1, SIZE)
    array = boxes(image, *(detection(str(side), 60, 40, side, side) for side in (8, 30, 12, 20)))
    answer = send(image, array)
    assert answer.header == array.header
    for found, sent in zip(answer.detections, array.detections):
        assert (found.id, found.header, found.bbox) == (sent.id, sent.header, sent.bbox)
        assert found.results != sent.results
    assert len(answer.detections) == 4


def test_an_empty_array_is_answered_with_an_empty_one(crops, listener):
    node, send = crops()
    image = picture(2, SIZE)
    assert send(image, boxes(image)).detections == []
    assert node._server.pipeline.mailbox.counts().published == 1
    listener.until(lambda: listener.heard['/ltp/latency'])


@pytest.mark.parametrize('numbers', [
    (math.nan, 10, 8, 8), (10, 10, math.inf, 8), (10, 10, 0, 8), (10, 10, 8, -8),
    (500, 10, 8, 8), (10, -50, 8, 8), (10, 10, 8, 8, math.nan)])
def test_a_box_without_pixels_has_no_result_and_the_others_have(crops, numbers):
    node, send = crops()
    image = picture(3, SIZE)
    answer = send(image, boxes(image, detection('bad', *numbers),
                               detection('good', 60, 40, 30, 30)))
    assert [len(found.results) for found in answer.detections] == [0, 5]


def test_the_diagnostics_count_the_boxes(crops, listener):
    node, send = crops()
    image = picture(4, SIZE)
    send(image, boxes(image, detection('bad', math.nan, 1, 1, 1), detection('a', 60, 40, 30, 30),
                      detection('b', 60, 40, 30, 30)))

    def values():
        return next(status.values for status in node._server.health(False, False)
                    if status.part == 'camera /ltp/image')
    listener.until(lambda: values().get('boxes') == '3')
    assert {name: values()[name] for name in (
        'boxes answered', 'boxes shed', 'boxes without pixels')} == {
            'boxes answered': '2', 'boxes shed': '0', 'boxes without pixels': '1'}


def test_with_too_little_time_the_largest_are_answered_and_the_rest_is_counted(
        crops, listener, monkeypatch):
    node, send = crops(deadline_ms=40.0, deadline_from='receive', min_keep_ratio=0.5)
    fast = Classifier.classify_parts

    def slow(self, rgb, parts, *args, **kwargs):
        time.sleep(0.02 * len(parts))
        return fast(self, rgb, parts, *args, **kwargs)
    monkeypatch.setattr(Classifier, 'classify_parts', slow)
    monkeypatch.setattr(Classifier, 'batch_size', lambda self, keep_ratio: 1)
    image = picture(5, SIZE)
    sides = (10, 40, 20, 30, 12, 50, 14, 16)
    answer = send(image, boxes(image, *(detection(str(side), 60, 40, side, side)
                                        for side in sides)))
    answered = [side for side, found in zip(sides, answer.detections) if found.results]
    assert 1 <= len(answered) < len(sides)
    assert set(answered) == set(sorted(sides, reverse=True)[:len(answered)])

    def camera():
        return next(status.values for status in node._server.health(False, False)
                    if status.part == 'camera /ltp/image')
    listener.until(lambda: 'boxes shed' in camera())
    assert int(camera()['boxes shed']) == len(sides) - len(answered)


def test_boxes_come_from_an_image_of_about_their_stamp(crops):
    _, send = crops(detections_slop_ms=5.0)
    image = picture(6, SIZE)
    array = boxes(image, detection('a', 60, 40, 30, 30))
    array.header.stamp.nanosec += 3_000_000
    answer = send(image, array)
    assert answer.header == array.header and answer.detections[0].results


def test_what_does_not_fit_is_said_once(crops, listener, monkeypatch):
    monkeypatch.setattr(detections, 'CHECK_S', 0.3)
    node, send = crops()
    told = []
    monkeypatch.setattr(type(node.get_logger()), 'warning',
                        lambda self, text, **kwargs: told.append(text))
    image = picture(7, SIZE)
    array = boxes(image, detection('a', 60, 40, 30, 30))
    array.header.stamp.nanosec += 3_000_000
    deadline = time.monotonic() + 60.0
    while not any('do not fit' in text for text in told) and time.monotonic() < deadline:
        send(image, array, expect=False)
        rclpy.spin_once(listener.node, timeout_sec=0.05)
    told = [text for text in told if 'stamps of the images and of the boxes' in text]
    assert len(told) == 1 and '3.0 ms apart' in told[0] and 'detections_slop_ms' in told[0]


def test_what_is_unknown_is_called_so(crops):
    node, send = crops()
    classifier = node._server.pipeline.classifier
    for seed in range(20, 32):
        classifier.taught.add(f'class {seed % 2}',
                              classifier.features(messages.to_rgb(picture(seed, SIZE))))
    classifier.taught.settle()
    image = picture(8, SIZE)
    for threshold, known in ((1.0, True), (0.0, False)):
        node.set_parameters([rclpy.Parameter('unknown_threshold', value=threshold)])
        answer = send(image, boxes(image, detection('a', 60, 40, 4, 4)))
        names = [name for name, _ in classes(answer.detections[0])]
        assert set(names) == ({'class 0', 'class 1'} if known else {'unknown'})


@pytest.mark.parametrize('parameters, reason', [
    ({'zoom': True}, 'zoom True and detections_topic'),
    ({'zoom_boxes': 2}, 'zoom_boxes 2 and detections_topic'),
    ({'roi': '[0.0, 0.0, 0.5, 0.5]'}, 'roi'),
    ({'image_topics': '[/a, /b]'}, 'belong to one camera')])
def test_what_does_not_go_together_is_refused(small_model, parameters, reason):
    with classifier_process(checkpoint=small_model, detections_topic=TOPIC,
                            **parameters) as program:
        assert program.wait(120) == 1
        assert reason in program.output


def test_where_vision_msgs_is_missing_that_is_said(small_model):
    code = ('import sys; sys.modules["vision_msgs"] = None; from ltp_ros import node; '
            'sys.exit(node.main(["node", *sys.argv[1:]]))')
    found = subprocess.run(
        [sys.executable, '-c', code,
         *ros_arguments(checkpoint=small_model, detections_topic=TOPIC)],
        capture_output=True, text=True, timeout=240)
    assert found.returncode == 1
    assert 'vision_msgs, which is not installed' in found.stdout + found.stderr
