# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The order of the work on a frame, its times, and what is dropped; all around it is faked."""
import math

import numpy as np
import pytest

from ltp_ros.config import Config
from ltp_ros.frames.drops import Abandoned, FrameDropped
from ltp_ros.frames.encodings import ImageError
from ltp_ros.frames.latency import NS_PER_MS
from ltp_ros.frames.mailbox import DROP_REASONS, Frame, Mailbox
from ltp_ros.frames.picture import PictureFault
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.model.data_config import ImageSizeError
from ltp_ros.prediction import Prediction
from ltp_ros.settings import update
from ltp_ros.tuner.controller import Decision
from ltp_ros.tuner.levels import LevelCost

RGB = np.full((4, 6, 3), 128, np.uint8)
# 30 ms at ratio 1: what the faked classifier takes for every level unless told otherwise
COSTS = [LevelCost(ratio, 30.0 * ratio, 33.0 * ratio) for ratio in (0.25, 0.45, 0.7, 1.0)]


class Bench:
    """A pipeline whose decoder, classifier and publisher write down what they are asked."""

    def __init__(self, **changes):
        self.calls = []
        self.now_ms = 100.0
        self.durations_ms = {'decode': 2.0, 'classify': 30.0, 'publish': 0.5}
        self.like_the_table = False
        self.error = {}
        self.mailbox = Mailbox()
        self.taught = object()
        self.pipeline = Pipeline(self, COSTS, self.mailbox, self.decode,
                                 lambda: int(self.now_ms * NS_PER_MS), update(Config(), changes))

    def run(self, receive_ms=95.0, age_ms=10.0, simulated=False):
        """Put a frame through mailbox and pipeline; return its latency."""
        self.processed = self.process(receive_ms, age_ms, simulated)
        self.publish(self.processed)
        return self.pipeline.finish(self.processed)

    def process(self, receive_ms=95.0, age_ms=10.0, simulated=False):
        """Put a frame through the mailbox and process it."""
        self.mailbox.put(Frame('image', 'message', int(receive_ms * NS_PER_MS), age_ms,
                               simulated))
        return self.pipeline.process(self.pipeline.take())

    def may_zoom(self, wanted):
        return wanted

    def zooms(self, keep_ratio, wanted):
        return wanted

    def decode(self, message):
        self._work('decode', message)
        return RGB

    def classify(self, rgb, keep_ratio, top_k, score_threshold, unknown_threshold, box):
        assert np.shares_memory(rgb, RGB)  # no copy
        self.seen = rgb
        if self.like_the_table:
            self.durations_ms['classify'] = 30.0 * keep_ratio
        self._work('classify', keep_ratio, top_k, score_threshold)
        return Prediction((3,), ('cat',), (0.9,), keep_ratio, 8, 16, np.arange(8))

    def publish(self, processed):
        self._work('publish', processed.frame.message, processed.prediction.labels)

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
    latency = Bench().run(receive_ms=95.0, age_ms=10.0)
    assert (latency.queue_ms, latency.decode_ms, latency.inference_ms, latency.publish_ms) == (
        5.0, 2.0, 30.0, 0.5)
    assert latency.total_ms == 37.5
    assert latency.capture_to_publish_ms == 47.5


def test_a_processed_frame_holds_image_prediction_and_the_keep_ratio_used():
    bench = Bench(keep_ratio=0.25)
    latency = bench.run()
    assert bench.processed.rgb is RGB
    assert bench.processed.prediction.labels == ('cat',)
    assert latency.keep_ratio == bench.processed.prediction.keep_ratio == 0.25


def test_a_level_that_does_not_zoom_is_spared_the_search_for_a_box():
    bench = Bench(deadline_ms=60.0, deadline_from='receive', keep_ratio=1.0)
    looked = []

    class Gaze:
        def follow(self, rgb):
            looked.append(rgb)
            bench.now_ms += 4.0
    bench.pipeline._gazes['image'] = Gaze()
    bench.zooms = lambda keep_ratio, wanted: keep_ratio > 0.5
    for receive_ms, expected in ((95.0, 1), (55.0, 1)):
        bench.now_ms = 100.0
        latency = bench.run(receive_ms=receive_ms)
        assert len(looked) == expected
        assert latency.inference_ms == (34.0 if latency.keep_ratio > 0.5 else 30.0)
        assert latency.decode_ms == 2.0


def test_answers_are_numbered_from_zero_without_the_drops():
    bench = Bench(max_age_ms=20.0)
    indices = [bench.run().frame_index]
    bench.now_ms = 100.0
    indices.append(bench.run().frame_index)
    bench.now_ms = 100.0
    with pytest.raises(FrameDropped):
        bench.run(age_ms=1000.0)
    bench.now_ms = 100.0
    indices.append(bench.run().frame_index)
    assert indices == [0, 1, 2]
    assert bench.pipeline.busy_since_ns is None


def test_an_answer_is_counted_as_published():
    bench = Bench()
    bench.run()
    assert bench.mailbox.published == {'image': 1}


def test_a_frame_that_could_not_be_published_is_counted_and_tunes_nothing():
    bench = Bench(deadline_ms=20.0, keep_ratio=1.0)
    before = bench.pipeline.keep_ratio
    bench.pipeline.give_up(bench.process(receive_ms=-1000.0))
    assert bench.mailbox.dropped == {('image', 'inactive'): 1} and not bench.mailbox.published
    assert bench.pipeline.keep_ratio == before and bench.pipeline.busy_since_ns is None
    assert bench.run().frame_index == 0


def test_an_answer_tells_the_drops_before_it():
    bench = Bench()
    bench.error['decode'] = ImageError('no image')
    for _ in range(2):
        with pytest.raises(FrameDropped):
            bench.run()
    bench.error.clear()
    assert [bench.run().dropped_since_last for _ in range(2)] == [2, 0]


@pytest.mark.parametrize('stage, error', [('decode', ImageError), ('classify', ImageSizeError)])
def test_what_is_no_image_is_dropped_with_its_sentence_and_counted(stage, error):
    bench = Bench()
    bench.error[stage] = error('a sentence about the image')
    with pytest.raises(FrameDropped, match='a sentence about the image') as drop:
        bench.run()
    assert drop.value.reason == 'undecodable'
    assert bench.mailbox.dropped == {('image', 'undecodable'): 1}
    assert 'publish' not in bench.stages


@pytest.mark.parametrize('age_ms, reason, sentence', [
    (15.1, 'too old', 'an image was 20.1 ms old; max_age_ms is 20'),
    (math.nan, 'bad stamp', 'the age of an image without a usable stamp is unknown, so it cannot '
     'be held to max_age_ms 20')])
def test_a_frame_past_its_age_is_dropped_before_it_is_decoded(age_ms, reason, sentence):
    bench = Bench(max_age_ms=20.0)
    with pytest.raises(FrameDropped) as drop:
        bench.run(receive_ms=95.0, age_ms=age_ms)
    assert (drop.value.reason, str(drop.value)) == (reason, sentence)
    assert reason in DROP_REASONS
    assert bench.mailbox.dropped == {('image', reason): 1}
    assert not bench.calls and bench.pipeline.busy_since_ns is None


def test_a_frame_of_just_the_age_allowed_is_answered():
    assert Bench(max_age_ms=20.0).process(receive_ms=95.0, age_ms=15.0).prediction.labels


@pytest.mark.parametrize('age_ms', [1e9, math.nan])
def test_without_an_age_limit_no_frame_is_too_old(age_ms):
    assert Bench(max_age_ms=0.0).process(age_ms=age_ms).prediction.labels


def test_the_time_in_the_mailbox_adds_to_the_age():
    bench = Bench(max_age_ms=20.0)
    with pytest.raises(FrameDropped, match='90.0 ms old'):
        bench.run(receive_ms=20.0, age_ms=10.0)


def test_a_new_config_holds_from_the_next_frame_on():
    bench = Bench(top_k=5)
    bench.run()
    bench.pipeline.config = update(bench.pipeline.config, {'top_k': 1})
    bench.run()
    assert [call[2] for call in bench.calls if call[0] == 'classify'] == [5, 1]


def test_a_dark_picture_is_answered_and_told():
    bench = Bench()
    assert bench.process().faults == 0
    bench.pipeline.decode = lambda message: np.zeros_like(RGB)
    bench.classify = lambda *_, **__: Prediction((3,), ('cat',), (0.9,), 1.0, 8, 16, np.arange(8))
    assert bench.process().faults == PictureFault.UNDEREXPOSED


@pytest.mark.parametrize('roi, faults', [
    ([0, 0, 3, 4], PictureFault.UNDEREXPOSED), ([3, 0, 3, 4], 0), ([0.0, 0.0, 1.0, 1.0], 0)])
def test_the_part_that_is_classified_is_what_is_judged(roi, faults):
    bench = Bench(roi=roi)
    half_dark = RGB.copy()
    half_dark[:, :3] = 0
    bench.pipeline.decode = lambda message: half_dark
    bench.classify = lambda *_, **__: Prediction((3,), ('cat',), (0.9,), 1.0, 8, 16, np.arange(8))
    assert bench.process().faults == faults


def test_the_same_pixels_of_two_cameras_are_not_frozen():
    bench = Bench()
    for second in range(40):
        now_ms = bench.now_ms = 1000.0 * second
        bench.mailbox.put(Frame(f'camera {second % 20}', 'message', int(now_ms * NS_PER_MS), 0.0))
        assert bench.pipeline.process(bench.pipeline.take()).faults == 0
    for second in range(40, 60):
        bench.now_ms = 1000.0 * second
        processed = bench.process(bench.now_ms)
    assert processed.faults == PictureFault.FROZEN
    assert bench.process(bench.now_ms, simulated=True).faults == 0  # a scene may be still


def test_before_the_first_frame_there_is_neither_trouble_nor_work():
    pipeline = Bench().pipeline
    assert pipeline.trouble == '' and pipeline.busy_since_ns is None


def test_a_keep_ratio_set_by_hand_holds_from_the_next_frame_on():
    bench = Bench(keep_ratio=1.0)
    ratios = [bench.run().keep_ratio]
    bench.pipeline.set_keep_ratio(0.25)
    assert bench.pipeline.keep_ratio == 0.25
    ratios.append(bench.run().keep_ratio)
    assert ratios == [1.0, 0.25]


def test_of_two_values_set_by_hand_before_a_frame_the_second_holds():
    bench = Bench(keep_ratio=1.0)
    bench.pipeline.set_keep_ratio(0.25)
    bench.pipeline.set_keep_ratio(0.45)
    assert [bench.run().keep_ratio for _ in range(3)] == [0.45] * 3


def test_another_classifier_goes_on_at_the_level_in_use_with_its_own_costs():
    bench, other = Bench(keep_ratio=1.0, deadline_ms=40.0), Bench()
    run_like_the_table(bench, 5)
    assert bench.pipeline.keep_ratio == 0.7
    bench.pipeline.replace_classifier(other, [
        LevelCost(cost.keep_ratio, 2 * cost.median_ms, 2 * cost.p99_ms) for cost in COSTS])
    assert bench.pipeline.keep_ratio == 0.45  # 0.7 takes 42 ms by the new table
    bench.run()
    assert other.stages == ['classify'] and bench.pipeline.classifier is other
    assert other.taught is bench.taught  # what it has learnt is not lost


def test_the_lowest_keep_ratio_is_that_of_the_ladder_in_the_bounds():
    assert Bench(min_keep_ratio=0.5).pipeline.lowest_keep_ratio == 0.53
    assert Bench(min_keep_ratio=0.45, max_keep_ratio=0.45).pipeline.lowest_keep_ratio == 0.45


def test_an_image_beside_the_stream_is_answered_and_leaves_no_trace():
    bench = Bench(keep_ratio=1.0, top_k=2, score_threshold=0.1)
    before = bench.pipeline.keep_ratio
    prediction, faults = bench.pipeline.beside.classify('one message', 0.25)
    assert bench.calls == [('decode', 'one message'), ('classify', 0.25, 2, 0.1)]
    assert prediction.labels == ('cat',) and faults == 0
    assert bench.pipeline.keep_ratio == before
    assert not (bench.mailbox.published or bench.mailbox.dropped or bench.mailbox.received)
    bench.pipeline.decode = lambda message: np.zeros_like(RGB)
    bench.classify = lambda *_, **__: Prediction((3,), ('cat',), (0.9,), 1.0, 8, 16, np.arange(8))
    assert bench.pipeline.beside.classify('dark', 0.25)[1] == PictureFault.UNDEREXPOSED
    assert bench.run().frame_index == 0


def test_a_change_while_a_frame_is_in_work_does_not_touch_that_frame():
    bench = Bench(top_k=5)
    decode = bench.decode

    def decode_while_the_config_changes(message):
        bench.pipeline.config = update(bench.pipeline.config, {'top_k': 1})
        return decode(message)

    bench.pipeline.decode = decode_while_the_config_changes
    bench.run()
    assert bench.calls[1][2] == 5


def run_like_the_table(bench, times, **kwargs):
    """Run frames whose inference takes what the table says; return the latencies."""
    bench.like_the_table = True
    return [bench.run(receive_ms=bench.now_ms, **kwargs) for _ in range(times)]


def test_without_a_deadline_every_frame_meets_it_and_the_ratio_is_the_hand_s():
    latency = run_like_the_table(Bench(keep_ratio=0.7), 50)[-1]
    assert (latency.keep_ratio, latency.deadline_ms, latency.deadline_met, latency.decision) == (
        0.7, 0.0, True, Decision.MANUAL)


def test_a_missed_deadline_lowers_the_keep_ratio_of_the_next_frames():
    latencies = run_like_the_table(Bench(keep_ratio=1.0, deadline_ms=30.0), 10, age_ms=5.0)
    assert not latencies[0].deadline_met or latencies[0].keep_ratio < 1.0
    assert latencies[-1].deadline_met and latencies[-1].keep_ratio == 0.7


def test_a_deadline_set_while_running_is_obeyed():
    bench = Bench(keep_ratio=1.0)
    assert run_like_the_table(bench, 5, age_ms=0.0)[-1].keep_ratio == 1.0
    bench.pipeline.config = update(bench.pipeline.config, {'deadline_ms': 20.0})
    assert run_like_the_table(bench, 5, age_ms=0.0)[-1].keep_ratio == 0.45


@pytest.mark.parametrize('deadline_from, age_ms, met', [
    ('capture', 50.0, False), ('capture', math.nan, True), ('receive', 50.0, True)])
def test_the_budget_begins_at_the_stamp_if_it_can_be_believed(deadline_from, age_ms, met):
    bench = Bench(deadline_ms=45.0, deadline_from=deadline_from)
    assert bench.run(receive_ms=bench.now_ms, age_ms=age_ms).deadline_met is met


@pytest.mark.parametrize('deadline_ms, met', [(37.5, True), (37.4, False)])
def test_an_answer_that_takes_as_long_as_the_deadline_meets_it(deadline_ms, met):
    bench = Bench(keep_ratio=0.45, deadline_ms=deadline_ms, deadline_from='receive')
    latency = bench.run(receive_ms=95.0)
    assert (latency.total_ms, latency.deadline_met) == (37.5, met)


def test_the_frame_in_work_tells_since_when():
    bench = Bench()
    seen = []
    decode = bench.decode
    bench.pipeline.decode = lambda message: seen.append(
        bench.pipeline.busy_since_ns) or decode(message)
    bench.run()
    assert seen == [100 * NS_PER_MS] and bench.pipeline.busy_since_ns is None


@pytest.mark.parametrize('error', [
    None, RuntimeError('device lost'), ImageError('cut off'), KeyError('bug')], ids=repr)
@pytest.mark.parametrize('stage', ['decode', 'classify'])
def test_a_frame_that_was_given_up_is_counted_once_whatever_comes_of_it_later(stage, error):
    bench = Bench()
    given_up = []
    if error is not None:
        bench.error[stage] = error

    def hang(*arguments):
        given_up.append(bench.pipeline.abandon())
        return work(*arguments)

    work = bench._work
    bench._work = lambda *arguments: (hang if arguments[0] == stage else work)(*arguments)
    with pytest.raises(Abandoned):
        bench.process()
    assert [frame.topic for frame in given_up] == ['image']
    assert bench.mailbox.dropped == {('image', 'failed'): 1} and not bench.mailbox.published
    assert bench.pipeline.busy_since_ns is None
    assert bench.pipeline.abandon() is None

    bench._work = work  # and the next frame, in whatever thread, is as any other
    bench.error.clear()
    bench.run()
    assert bench.mailbox.published == {'image': 1}


def test_a_frame_that_is_being_published_cannot_be_given_up():
    bench = Bench()
    processed = bench.process()
    assert bench.pipeline.abandon() is None
    assert bench.pipeline.finish(processed).total_ms > 0
    assert bench.mailbox.published == {'image': 1} and not bench.mailbox.dropped


@pytest.mark.parametrize('stage, later_ns, given_up', [
    ('classify', 0, True), ('decode', 0, False), ('classify', 1, False)])
def test_the_watchdog_gives_up_what_it_has_seen_in_the_model_alone(stage, later_ns, given_up):
    bench, found = Bench(), []
    work = bench._work

    def hang(*arguments):
        if arguments[0] == stage:
            since_ns = bench.pipeline.busy_since_ns + later_ns  # else another is in work by now
            found.append(bench.pipeline.abandon(since_ns=since_ns))
        return work(*arguments)

    bench._work = hang
    if given_up:
        with pytest.raises(Abandoned):
            bench.process()
    else:
        bench.run()
    assert [frame is not None for frame in found] == [given_up]
    assert bench.mailbox.dropped == ({('image', 'failed'): 1} if given_up else {})


def test_a_thread_that_was_given_up_does_not_touch_the_next_classifier():
    bench, other = Bench(), Bench()
    bench.pipeline.decode = lambda message: (
        bench.pipeline.abandon(), bench.pipeline.replace_classifier(other, COSTS)) and RGB
    with pytest.raises(Abandoned):
        bench.process()
    assert other.stages == [] and bench.stages == []


def test_a_picture_beside_the_stream_is_given_up_without_being_counted():
    bench = Bench()
    bench.pipeline.decode = lambda message: bench.pipeline.abandon() and RGB
    with pytest.raises(Abandoned):
        bench.pipeline.beside.classify('message', 1.0)
    assert not bench.mailbox.dropped and bench.pipeline.busy_since_ns is None


@pytest.mark.parametrize('stage, error', [
    ('decode', KeyError('bug')), ('classify', ValueError('top_k 0 is not allowed')),
    ('publish', ValueError('a message that does not fit')), ('publish', RuntimeError('shut'))])
def test_an_error_that_is_not_the_images_is_neither_hidden_nor_counted_as_a_drop(stage, error):
    bench = Bench()
    bench.error[stage] = error
    with pytest.raises(type(error)) as raised:
        bench.run()
    assert raised.value is error
    assert not bench.mailbox.dropped and not bench.mailbox.published


@pytest.mark.parametrize('error', [
    RuntimeError('out of memory'), OSError('device lost'), MemoryError()])
def test_an_image_that_the_model_fails_on_is_counted_and_the_next_one_is_answered(error):
    bench = Bench()
    bench.error['classify'] = error
    with pytest.raises(FrameDropped) as drop:
        bench.process()
    assert drop.value.reason == 'failed' and str(drop.value) == (str(error) or 'MemoryError')
    bench.error.clear()
    bench.run()
    assert bench.mailbox.dropped == {('image', 'failed'): 1}
    assert bench.mailbox.published == {'image': 1}
    assert bench.pipeline.busy_since_ns is None


def test_the_tuner_hears_of_waiting_service_and_period(monkeypatch):
    bench = Bench()
    heard = {}
    update_controller = bench.pipeline._controller.update
    monkeypatch.setattr(bench.pipeline._controller, 'update', lambda *args, **more: (
        heard.update(more, args=args), update_controller(*args, **more))[1])
    latency = bench.run()
    used_ms = latency.age_at_receive_ms + latency.total_ms
    assert heard == {'args': (latency.inference_ms, used_ms, latency.keep_ratio),
                     'wait_ms': latency.queue_ms, 'period_ms': bench.mailbox.period_ms,
                     'service_ms': latency.decode_ms + latency.publish_ms, 'topic': 'image',
                     'load': 1.0}


@pytest.mark.parametrize('age_ms', [100.0, 1503.0, 9_999.0])
def test_images_that_arrive_too_old_for_any_level_get_the_lowest_and_tune_nothing(age_ms):
    bench = Bench(keep_ratio=1.0, deadline_ms=100.0)
    for latency in run_like_the_table(bench, 50, age_ms=age_ms):
        assert (latency.keep_ratio, latency.deadline_met, latency.decision) == (
            0.45, False, Decision.LATE_ARRIVAL)
        assert bench.pipeline.keep_ratio == 1.0
    latency = run_like_the_table(bench, 50, age_ms=2.0)[-1]  # the stamps are right again
    assert (latency.keep_ratio, latency.deadline_met, latency.decision) == (
        1.0, True, Decision.HOLD)


def test_an_age_that_leaves_less_than_the_lowest_level_costs_is_late_too():
    bench = Bench(keep_ratio=1.0, deadline_ms=100.0)  # lowest: 13.5 ms, and 2.5 around
    assert run_like_the_table(bench, 5, age_ms=93.0)[-1].decision == Decision.LATE_ARRIVAL
    assert run_like_the_table(bench, 1, age_ms=85.5)[-1].decision == Decision.LATE_ARRIVAL
    assert run_like_the_table(bench, 5, age_ms=60.0)[-1].decision != Decision.LATE_ARRIVAL


def test_a_late_image_is_dropped_where_that_is_wished_and_a_slow_machine_answers():
    bench = Bench(keep_ratio=1.0, deadline_ms=30.0, drop_late=True)
    run_like_the_table(bench, 5, age_ms=5.0)
    with pytest.raises(FrameDropped, match='less than the lowest keep_ratio takes') as drop:
        bench.process(receive_ms=bench.now_ms, age_ms=25.0)
    assert drop.value.reason == 'late'
    assert bench.mailbox.dropped == {('image', 'late'): 1}
    bench.pipeline.config = update(bench.pipeline.config, {'deadline_ms': 5.0})
    assert bench.run(receive_ms=bench.now_ms, age_ms=25.0).keep_ratio == 0.45


def test_an_older_image_runs_at_a_lower_level_and_the_level_in_use_stays():
    bench = Bench(keep_ratio=1.0, deadline_ms=40.0)
    assert run_like_the_table(bench, 40, age_ms=5.0)[-1].keep_ratio == 1.0
    older, = run_like_the_table(bench, 1, age_ms=15.0)
    assert older.keep_ratio == 0.7 and older.deadline_met and bench.pipeline.keep_ratio == 1.0
    waited = bench.run(receive_ms=bench.now_ms - 10.0, age_ms=5.0)
    assert waited.keep_ratio == 0.7 and waited.deadline_met


def test_one_camera_that_lags_does_not_pull_the_others_down():
    bench = Bench(keep_ratio=1.0, deadline_ms=100.0)
    for _ in range(50):
        lagging, = run_like_the_table(bench, 1, age_ms=1500.0)
        punctual, = run_like_the_table(bench, 1, age_ms=3.0)
        assert lagging.decision == Decision.LATE_ARRIVAL and punctual.keep_ratio == 1.0


def test_where_even_a_fresh_image_is_too_slow_it_is_not_the_cameras_fault():
    bench = Bench(keep_ratio=1.0, deadline_ms=5.0)
    assert run_like_the_table(bench, 50, age_ms=1500.0)[-1].decision == Decision.FLOOR


@pytest.mark.parametrize('factor', [0.0, 0.1, 0.5, 1.0, 10.0])  # real time / simulated
def test_the_deadline_of_a_simulation_is_that_of_this_machine(factor):
    bench = Bench(keep_ratio=1.0, deadline_ms=30.0)
    latencies = run_like_the_table(bench, 50, age_ms=50.0 * factor, simulated=True)
    assert latencies[-1].keep_ratio == 0.7  # 0.7 x 30 ms, and 2.5 ms of decoding and publishing
    assert latencies[-1].deadline_met and latencies[-1].decision == Decision.HOLD
    assert latencies[-1].age_at_receive_ms == 50.0 * factor
    assert math.isnan(latencies[-1].capture_to_publish_ms)


@pytest.mark.parametrize('age_ms, answered', [(19.0, True), (21.0, False)])
def test_real_milliseconds_in_the_mailbox_do_not_age_a_simulated_image(age_ms, answered):
    bench = Bench(max_age_ms=20.0)
    if answered:
        assert bench.process(receive_ms=20.0, age_ms=age_ms, simulated=True).prediction.labels
    else:
        with pytest.raises(FrameDropped, match='21.0 ms old'):
            bench.process(receive_ms=20.0, age_ms=age_ms, simulated=True)


def test_from_the_arrival_the_age_is_of_no_account():
    bench = Bench(keep_ratio=1.0, deadline_ms=100.0, deadline_from='receive')
    assert run_like_the_table(bench, 50, age_ms=1500.0)[-1].decision == Decision.HOLD


@pytest.mark.parametrize('roi, seen', [
    ([], RGB), ([0.5, 0.25, 0.5, 0.5], RGB[1:3, 3:6]), ([2, 0, 4, 3], RGB[0:3, 2:6])])
def test_the_region_of_interest_alone_is_classified_and_the_whole_image_is_kept(roi, seen):
    bench = Bench(roi=roi)
    bench.run()
    assert bench.seen.shape == seen.shape
    assert bench.seen.ctypes.data == seen.ctypes.data
    assert bench.processed.rgb is RGB
    assert RGB[bench.processed.region.slices].shape == seen.shape


def test_an_image_that_does_not_hold_the_region_of_interest_is_dropped_for_that_reason():
    bench = Bench(roi=[4, 0, 3, 2])
    with pytest.raises(FrameDropped, match=r'roi \[4, 0, 3, 2\] .* 6x4 pixels') as drop:
        bench.process()
    assert drop.value.reason == 'roi'
    assert bench.mailbox.dropped == {('image', 'roi'): 1}
    assert bench.stages == ['decode']


def test_a_region_of_interest_that_is_changed_holds_from_the_next_frame_on():
    bench = Bench()
    bench.run()
    bench.pipeline.config = update(bench.pipeline.config, {'roi': [0, 0, 2, 2]})
    bench.now_ms = 100.0
    bench.run()
    assert bench.seen.shape == (2, 2, 3)
