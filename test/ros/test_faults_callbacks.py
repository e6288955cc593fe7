# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a request, a drawing or a publisher raises costs itself, and neither node nor model."""
import pytest
from ros_helpers import exchange, picture, stderr_in
from sensor_msgs.msg import Image

from ltp_ros.frames import overlay
from ltp_ros.srv import Classify


def raising(error):
    def fail(*arguments, **keywords):
        raise error
    return fail


@pytest.mark.parametrize('error', [MemoryError(), OSError('device lost'), KeyError('bug')])
def test_a_request_is_answered_whatever_the_model_raises(listener, start, monkeypatch, error):
    node, publisher = start()
    with monkeypatch.context() as patch:
        patch.setattr(node._server.pipeline.beside, 'classify', raising(error))
        answer = listener.call(Classify, '/ltp/classifier/classify',
                               Classify.Request(image=picture(0)))
    assert not answer.success and answer.message == (str(error) or 'MemoryError')
    exchange(listener, publisher, picture(1), None)


def test_a_drawing_that_fails_is_told_and_the_next_debug_image_is_drawn(
        listener, start, monkeypatch, capfd):
    _, publisher = start(debug_image_rate=60.0)
    listener.listen('/ltp/debug_image', Image)
    draw, drawn = overlay.draw, []

    def draw_second(*arguments):
        drawn.append(arguments)
        return raising(ValueError('no such colour'))() if len(drawn) == 1 else draw(*arguments)

    monkeypatch.setattr(overlay, 'draw', draw_second)
    listener.until(lambda: publisher.publish(picture(0)) or listener.heard['/ltp/debug_image'])
    assert 'the debug image cannot be drawn: ValueError: no such colour' in capfd.readouterr().err


@pytest.mark.parametrize('refuses, dropped', [('publish_answer', 1), ('publish_latency', 0)])
def test_an_answer_that_cannot_be_published_is_told_and_the_model_kept(
        listener, start, camera, monkeypatch, tmp_path, refuses, dropped):
    node, publisher = start()
    before = node._server.pipeline.classifier
    with monkeypatch.context() as patch, stderr_in(tmp_path / 'stderr') as told:
        patch.setattr(node._server._outputs, refuses, raising(RuntimeError('no resources')))
        counts = camera(node, publisher)
        listener.until(lambda: 'the answer cannot be published: no resources' in told())
    assert (counts.published, counts.dropped['failed']) == (1 - dropped, dropped)
    exchange(listener, publisher, picture(1), None)
    assert node._server.pipeline.classifier is before and not node.fault
