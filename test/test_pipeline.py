# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The order of the work on a frame, its times, and what is dropped; all around it is faked."""
import math

import numpy as np
import pytest

from ltp_ros.classifier import Prediction
from ltp_ros.config import Config, update
from ltp_ros.latency import NS_PER_MS
from ltp_ros.mailbox import DROP_REASONS, Frame, Mailbox
from ltp_ros.pipeline import FrameDropped, Pipeline

RGB = np.zeros((4, 6, 3), np.uint8)


class Bench:
    """A pipeline whose decoder, classifier and publisher write down what they are asked."""

    def __init__(self, **changes):
        self.calls = []
        self.now_ms = 100.0
        self.durations_ms = {'decode': 2.0, 'classify': 30.0, 'publish': 0.5}
        self.error = {}
        self.mailbox = Mailbox()
        self.pipeline = Pipeline(self, self.mailbox, self.decode, self.publish,
                                 lambda: int(self.now_ms * NS_PER_MS), update(Config(), changes))

    def run(self, receive_ms=95.0, age_ms=10.0):
        """Put a frame through mailbox and pipeline."""
        self.mailbox.put(Frame('image', 'message', int(receive_ms * NS_PER_MS), age_ms))
        return self.pipeline.process(self.mailbox.take())

    def decode(self, message):
        self._work('decode', message)
        return RGB

    def classify(self, rgb, keep_ratio, top_k, score_threshold):
        assert rgb is RGB
        self._work('classify', keep_ratio, top_k, score_threshold)
        return Prediction((3,), ('cat',), (0.9,), keep_ratio, 8, 16, np.arange(8))

    def publish(self, frame, prediction):
        self._work('publish', frame.message, prediction.labels)

    def _work(self, stage, *arguments):
        self.calls.append((stage, *arguments))
        self.now_ms += self.durations_ms[stage]
        if stage in self.error:
            raise self.error[stage]

    @property
    def stages(self):
        return [call[0] for call in self.calls]


def test_a_frame_is_decoded_then_classified_then_published():
    bench = Bench(keep_ratio=0.7, top_k=2, score_threshold=0.1)
    bench.run()
    assert bench.calls == [('decode', 'message'), ('classify', 0.7, 2, 0.1),
                           ('publish', 'message', ('cat',))]


def test_each_stage_is_timed_from_the_receipt_to_the_publication():
    latency = Bench().run(receive_ms=95.0, age_ms=10.0).latency
    assert (latency.queue_ms, latency.decode_ms, latency.inference_ms, latency.publish_ms) == (
        5.0, 2.0, 30.0, 0.5)
    assert latency.total_ms == 37.5
    assert latency.capture_to_publish_ms == 47.5


def test_the_answer_holds_image_prediction_and_the_keep_ratio_used():
    answer = Bench(keep_ratio=0.25).run()
    assert answer.rgb is RGB
    assert answer.prediction.labels == ('cat',)
    assert answer.latency.keep_ratio == answer.prediction.keep_ratio == 0.25


def test_answers_are_numbered_from_zero_without_the_drops():
    bench = Bench(max_age_ms=20.0)
    indices = [bench.run().latency.frame_index]
    with pytest.raises(FrameDropped):
        bench.run(age_ms=1000.0)
    bench.now_ms = 100.0
    indices.append(bench.run().latency.frame_index)
    assert indices == [0, 1]


def test_an_answer_is_counted_as_published():
    bench = Bench()
    bench.run()
    assert bench.mailbox.published == {'image': 1}


def test_an_answer_tells_the_drops_before_it():
    bench = Bench()
    bench.error['decode'] = ValueError('no image')
    for _ in range(2):
        with pytest.raises(FrameDropped):
            bench.run()
    bench.error.clear()
    assert [bench.run().latency.dropped_since_last for _ in range(2)] == [2, 0]


@pytest.mark.parametrize('stage', ['decode', 'classify'])
def test_what_is_no_image_is_dropped_with_its_sentence_and_counted(stage):
    bench = Bench()
    bench.error[stage] = ValueError('a sentence about the image')
    with pytest.raises(FrameDropped, match='a sentence about the image') as drop:
        bench.run()
    assert drop.value.reason == 'undecodable'
    assert bench.mailbox.dropped == {('image', 'undecodable'): 1}
    assert 'publish' not in bench.stages


@pytest.mark.parametrize('max_age_ms, age_ms, reason', [
    (20.0, 15.1, 'too old'), (20.0, math.nan, 'bad stamp')])
def test_a_frame_past_its_age_is_dropped_before_it_is_decoded(max_age_ms, age_ms, reason):
    bench = Bench(max_age_ms=max_age_ms)
    with pytest.raises(FrameDropped, match=f'max_age_ms.*{max_age_ms:g}') as drop:
        bench.run(receive_ms=95.0, age_ms=age_ms)
    assert drop.value.reason == reason
    assert reason in DROP_REASONS
    assert bench.mailbox.dropped == {('image', reason): 1}
    assert not bench.calls


def test_a_frame_of_just_the_age_allowed_is_answered():
    assert Bench(max_age_ms=20.0).run(receive_ms=95.0, age_ms=15.0).prediction.labels


@pytest.mark.parametrize('age_ms', [1e9, math.nan])
def test_without_an_age_limit_no_frame_is_too_old(age_ms):
    assert Bench(max_age_ms=0.0).run(age_ms=age_ms).prediction.labels


def test_the_time_in_the_mailbox_adds_to_the_age():
    bench = Bench(max_age_ms=20.0)
    with pytest.raises(FrameDropped, match='90.0 ms old'):
        bench.run(receive_ms=20.0, age_ms=10.0)


def test_a_new_config_holds_from_the_next_frame_on():
    bench = Bench(keep_ratio=1.0)
    changed = update(bench.pipeline.config, {'keep_ratio': 0.25, 'top_k': 1})
    bench.run()
    bench.pipeline.config = changed
    bench.run()
    assert [call[1:3] for call in bench.calls if call[0] == 'classify'] == [(1.0, 5), (0.25, 1)]


def test_a_change_while_a_frame_is_in_work_does_not_touch_that_frame():
    bench = Bench(keep_ratio=1.0)

    def decode_while_the_config_changes(message):
        bench.pipeline.config = update(bench.pipeline.config, {'keep_ratio': 0.25})
        return RGB

    bench.pipeline.decode = decode_while_the_config_changes
    assert bench.run().latency.keep_ratio == 1.0


@pytest.mark.parametrize('stage, error', [
    ('decode', KeyError('bug')), ('classify', RuntimeError('out of memory')),
    ('publish', ValueError('a message that does not fit')), ('publish', RuntimeError('shut'))])
def test_an_error_that_is_not_the_images_is_neither_hidden_nor_counted_as_a_drop(stage, error):
    bench = Bench()
    bench.error[stage] = error
    with pytest.raises(type(error)) as raised:
        bench.run()
    assert raised.value is error
    assert not bench.mailbox.dropped and not bench.mailbox.published
