# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The node seen by a script: the client, ~/classify and the labels, over DDS."""
import threading

import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from ros_helpers import DEADLINE_S, change, classifier_process, picture
from sensor_msgs.msg import Image

from ltp_ros.classifier import Classifier
from ltp_ros.client import ClassifierClient, ClassifierError
from ltp_ros.config import ClassifierConfig


@pytest.fixture
def start(small_model):
    """Return a function that starts the node with parameters of the test's choice."""
    return lambda **parameters: classifier_process(checkpoint=small_model, **parameters)


@pytest.fixture
def client(listener):
    """Return a client in the test's domain."""
    with ClassifierClient() as classifier:
        yield classifier


@pytest.fixture
def reference(small_model):
    """Return the classifier of the node, without a node."""
    classifier = Classifier(ClassifierConfig(
        checkpoint=small_model, device='cpu', backend='eager', precision='float32'))
    classifier.warm_up()
    return classifier


@pytest.fixture
def rgb():
    return np.random.default_rng(3).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def test_a_script_sees_answers_sets_parameters_and_has_images_classified(
        listener, client, start, reference, rgb):
    with start() as program:
        client.wait_until_active(DEADLINE_S)
        labels = client.labels(DEADLINE_S)
        assert labels.labels == [f'thing {index}' for index in range(7)]
        assert (labels.model, labels.model_hash) == (reference.model_name, reference.model_hash)

        client.set_parameters(keep_ratio=0.6, top_k=3)
        assert client.get_parameter('keep_ratio') == 0.6
        with pytest.raises(ClassifierError, match='top_k 0 is not allowed'):
            client.set_parameters(keep_ratio=0.7, top_k=0)
        assert client.get_parameter('keep_ratio') == 0.6  # all or none

        assert client.newest is None
        camera = listener.publisher('/ltp/image', program=program)
        stop = threading.Event()
        publishing = threading.Thread(
            target=lambda: [camera.publish(picture(0)) for _ in iter(lambda: stop.wait(0.02), 1)])
        publishing.start()
        try:
            assert len(client.next_answer(DEADLINE_S).labels) == 3
            answers = client.answers(DEADLINE_S)
            assert {next(answers).keep_ratio for _ in range(3)} == {np.float32(0.6)}
            assert client.newest.image_topic == '/ltp/image'
            for keep_ratio, expected in ((0.0, 1.0), (0.5, 0.53)):  # while images come
                answer = client.classify(rgb, keep_ratio, DEADLINE_S)
                wanted = reference.classify(rgb, expected, top_k=3)
                assert tuple(answer.class_ids) == wanted.class_ids
                assert answer.keep_ratio == np.float32(expected)
                np.testing.assert_allclose(answer.scores, wanted.scores, rtol=1e-4)
        finally:
            stop.set()
            publishing.join()
        with pytest.raises(ClassifierError, match="encoding 'yuv999' is not supported"):
            client.classify(Image(height=2, width=2, encoding='yuv999', step=4, data=bytes(8)))
        with pytest.raises(ClassifierError, match='keep_ratio 1.5 is not allowed'):
            client.classify(rgb, 1.5)
        assert program.exit_code is None


def test_an_image_is_classified_while_the_node_is_inactive_and_refused_while_unconfigured(
        listener, client, start, rgb):
    with start(autostart=False):
        with pytest.raises(ClassifierError, match='no model is loaded while the node is unconf'):
            client.classify(rgb, timeout_s=DEADLINE_S)
        assert change(listener, Transition.TRANSITION_CONFIGURE)
        assert len(client.classify(rgb, timeout_s=DEADLINE_S).labels) == 5
        assert change(listener, Transition.TRANSITION_CLEANUP)
        with pytest.raises(ClassifierError, match='unconfigured'):
            client.classify(rgb)


def test_where_there_is_no_such_node_those_are_named_that_there_are(listener, client):
    def said():
        with pytest.raises(TimeoutError) as error:
            client.next_answer(timeout_s=0.1)
        return str(error.value)

    other = rclpy.create_node('classifier', namespace='/front')
    try:
        assert client.state == ''
        listener.until(lambda: 'no node /ltp/classifier, but /front/classifier' in said())
    finally:
        other.destroy_node()


def test_a_closed_client_says_so(listener):
    with ClassifierClient() as client:
        pass
    with pytest.raises(ClassifierError, match='closed'):
        client.next_answer()


def test_a_script_teaches_a_class_keeps_it_and_forgets_it(listener, client, start, tmp_path):
    path, over = str(tmp_path / 'classes.safetensors'), threading.Event()
    with start() as program:
        client.wait_until_active(DEADLINE_S)
        camera = listener.publisher('/ltp/image', program=program)

        def film():
            number = 0
            while not over.wait(0.05):
                camera.publish(picture(number := number + 1))

        filming = threading.Thread(target=film, daemon=True)
        filming.start()
        heard = []
        try:
            result = client.teach('noise', frames=3, progress=heard.append, timeout_s=DEADLINE_S)
            assert result.frames == result.examples == 3 and heard[-1].examples == 3
            assert client.next_answer(DEADLINE_S).labels == ['noise']
            assert client.save_classes(path) == path
            assert client.forget('noise', last=True) == 2 and client.forget('noise') == 0
            with pytest.raises(ClassifierError, match="no class 'noise'"):
                client.forget('noise')
            with pytest.raises(ClassifierError, match='label is empty'):
                client.teach(seconds=1.0)
            assert client.load_classes(path) == ['noise']
        finally:
            over.set()
            filming.join()
