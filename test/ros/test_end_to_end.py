# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A source and the classifier as two processes over DDS, with a real model and real pictures."""
from collections import Counter

import pytest
from forked import Forked
from ros_helpers import DEADLINE_S, classifier_process
from sensor_msgs.msg import Image

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.ros import messages
from ltp_ros.tools import demo
from ltp_ros.tools.support.processes import Process

DEMO = {'model': 'demo'}  # inside the package, so that this is tested without test data too


@pytest.fixture
def classify(listener):
    """Return a function that runs both processes and returns the answers to `count` images."""
    def run(model, source, count, rate):
        # Reliable: where another program takes the core, best effort may lose one of a hundred
        with classifier_process(**model, keep_ratio=FEW_TOKENS, keep_ratios=LADDER,
                                image_reliability='reliable') as node, \
             Forked('ltp_ros.tools.image_source', [
                 str(source), '--count', str(count), '--rate', str(rate),
                 '--wait', '2']) as camera:
            listener.until(lambda: len(listener.classifications) >= count, node)
            assert camera.wait(DEADLINE_S) == 0
        return listener.classifications

    return run


# Four frames a second are easy for a slow machine that others use too: few tokens. One that comes
# before the last is answered would replace another, and none may be missing
FEW_TOKENS = 0.25
LADDER = '[1.0, 0.25]'  # each level is timed at the start


def assert_answers_of(model, answers, images):
    """Check that each image was answered, in order, as the classifier alone answers it."""
    assert [answer.header for answer in answers] == [image.header for image in images]
    # As `classifier_process` runs it: another backend may decide a tie between two classes
    alone = Classifier(ClassifierConfig(**model, device='cpu', backend='eager',
                                        precision='float32', keep_ratio=FEW_TOKENS))
    expected = [alone.classify(messages.to_rgb(image)).class_ids[0] for image in images]
    assert [answer.class_ids[0] for answer in answers] == expected


def test_the_packaged_model_answers_as_the_classifier_alone(listener, classify):
    listener.listen('/ltp/image', Image)
    answers = classify(DEMO, 'samples', count=40, rate=4)
    assert_answers_of(DEMO, answers, listener.heard['/ltp/image'])
    assert len(answers) == 40


def test_a_hundred_photos_come_back_in_order_as_the_classifier_alone_answers(
        listener, classify, data, deit_tiny):
    listener.listen('/ltp/image', Image)
    answers = classify(deit_tiny, data / 'photos500', count=100, rate=4)
    images = listener.heard['/ltp/image']
    assert_answers_of(deit_tiny, answers, images)
    assert len({answer.header.frame_id for answer in answers}) == 100


def test_the_video_of_a_bottle_shows_a_bottle(listener, data, deit_tiny):
    video = str(data / 'bottle-detection.mp4')
    with classifier_process(**deit_tiny, keep_ratio=1.0, keep_ratios=LADDER) as node, \
         Forked('ltp_ros.tools.image_source', [video, '--rate', '10', '--wait']):
        listener.until(lambda: len(listener.classifications) >= 60, node)
    answers = listener.classifications
    label, _ = Counter(answer.labels[0] for answer in answers).most_common(1)[0]
    assert 'bottle' in label
    stamps = [(answer.header.stamp.sec, answer.header.stamp.nanosec) for answer in answers]
    assert stamps == sorted(stamps)


def test_the_demo_ends_well_with_nothing_but_the_package(tmp_path):
    import cv2
    picture = tmp_path / 'demo.png'
    with Process('ltp_ros.tools.demo', ['--output', str(picture), '--frames', '30']) as program:
        assert program.wait(2 * DEADLINE_S) == 0, program.output
        assert 'chelsea' in program.output and 'cat' in program.output
    assert cv2.imread(str(picture)).shape[0] == 480


def test_the_demo_ends_with_a_summary_and_a_picture(forked, deit_tiny, tmp_path, capsys):
    import cv2
    picture = tmp_path / 'demo.png'
    assert demo.main(['--model', deit_tiny['model'], '--checkpoint', deit_tiny['checkpoint'],
                      '--output', str(picture), '--frames', '60']) == 0
    told = capsys.readouterr().out
    assert 'cat' in told and 'espresso' in told
    assert cv2.imread(str(picture)).shape[0] == 480
