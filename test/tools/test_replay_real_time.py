# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay --real-time`: what the node's mailbox and tuner would do, on a faked machine."""
from types import SimpleNamespace

import numpy as np
import pytest
from replay_bags import CAMERA, FLAGS, START_NS, answers, pictures, write_bag

from ltp_ros.config import Config
from ltp_ros.frames.latency import NS_PER_MS
from ltp_ros.opening import ClassifierError
from ltp_ros.prediction import Prediction
from ltp_ros.research.replay.bag_images import BagImage, Header
from ltp_ros.research.replay.clock import ClockError, ReplayClock
from ltp_ros.research.replay.replay import MOST_FAILURES, Replay
from ltp_ros.research.replay.summary import summarise
from ltp_ros.settings import update
from ltp_ros.tools.replay import main
from ltp_ros.tuner.levels import LevelCost

LEVELS = (1.0, 0.7, 0.5)


class Machine:
    """A classifier that takes 30 ms at all tokens, and the clock of the machine it runs on."""

    def __init__(self):
        self.now_ms, self.asked, self.fails = 0.0, 0, False
        self.zoom = None

    def real_ns(self):
        return int(self.now_ms * NS_PER_MS)

    def may_zoom(self, wanted):
        return False

    def zooms(self, keep_ratio, wanted):
        return False

    def classify(self, rgb, keep_ratio, **wanted):
        self.asked += 1
        self.now_ms += 30.0 * keep_ratio
        if self.fails:
            raise RuntimeError('out of memory')
        return Prediction((self.asked,), (f'thing {self.asked}',), (0.5,), keep_ratio, 1, 1,
                          np.zeros(1, np.int64))


class FakeImage(BagImage):
    """One that needs no decoding."""

    def rgb(self):
        return np.zeros((4, 4, 3), np.uint8)


def images(count, period_ms, topics=(CAMERA,), age_ms=2.0):
    for index in range(count):
        came_ns = START_NS + int(index // len(topics) * period_ms * NS_PER_MS)
        sec, nanosec = divmod(came_ns - int(age_ms * NS_PER_MS), 10 ** 9)
        yield FakeImage(index, topics[index % len(topics)], came_ns, Header(sec, nanosec, 'c'),
                        None)


def replay(source, real_time=True, slowdown=1.0, known=None, machine=None, **changes):
    """Return the outcomes by index."""
    machine = machine or Machine()
    config = update(Config(), {'keep_ratios': list(LEVELS), 'min_keep_ratio': min(LEVELS),
                               'keep_ratio': 1.0, **changes})
    costs = [LevelCost(level, slowdown * 30.0 * level, slowdown * 31.0 * level)
             for level in LEVELS]
    found = Replay(machine, costs, config, source, ReplayClock(slowdown, machine.real_ns),
                   real_time, (known or {}).get)
    outcomes = {outcome.number: outcome for outcome in found.outcomes()}
    counts = found.pipeline.mailbox.counts()
    assert counts.received == len(outcomes)
    assert counts.published == sum(not outcome.reason for outcome in outcomes.values())
    return outcomes


def answered(outcomes):
    return sorted(index for index, outcome in outcomes.items() if not outcome.reason)


def test_images_that_come_faster_than_answers_are_superseded_by_the_newest():
    outcomes = replay(images(10, 10.0))  # work: 30 ms
    assert answered(outcomes) == [0, 3, 6, 9]
    assert {outcome.reason for outcome in outcomes.values()} == {'', 'superseded'}
    assert [outcomes[index].latency.dropped_since_last for index in (0, 3, 6, 9)] == [2, 2, 2, 0]


def test_without_real_time_every_image_is_answered_however_long_that_takes():
    outcomes = replay(images(10, 10.0), real_time=False)
    assert answered(outcomes) == list(range(10))
    assert {outcome.latency.queue_ms for outcome in outcomes.values()} == {0.0}
    assert {outcome.latency.inference_ms for outcome in outcomes.values()} == {30.0}


def test_an_image_that_came_during_the_work_waits_in_the_queue():
    outcomes = replay(images(2, 20.0))
    assert (outcomes[1].latency.queue_ms, outcomes[1].latency.inference_ms) == (10.0, 30.0)
    assert outcomes[1].latency.capture_to_publish_ms == 42.0  # and its age of 2 ms


def test_a_machine_of_half_the_speed_answers_half_as_many():
    assert answered(replay(images(13, 10.0), slowdown=2.0)) == [0, 6, 12]


def test_cameras_take_turns():
    outcomes = replay(images(12, 20.0, ('/a', '/b')))
    topics = [outcomes[index].topic for index in answered(outcomes)]
    assert topics[:4] == ['/a', '/b', '/a', '/b']


def test_the_tuner_goes_down_where_the_deadline_asks_for_it():
    outcomes = replay(images(60, 40.0), slowdown=1.5, deadline_ms=35.0, target_miss_rate=0.01)
    levels = [outcome.latency.keep_ratio for outcome in outcomes.values()]
    assert set(levels[-20:]) == {0.7} or set(levels[-20:]) == {0.5}
    assert all(outcome.latency.deadline_met for outcome in list(outcomes.values())[-20:])


def test_the_limits_of_rate_and_age_act():
    assert {outcome.reason for outcome in replay(images(10, 10.0), max_rate=5.0).values()} == {
        '', 'rate'}
    assert {outcome.reason for outcome in replay(
        images(3, 100.0, age_ms=50.0), max_age_ms=20.0).values()} == {'too old'}


@pytest.mark.parametrize('kept', [0, 1, 7, 20, 40])
def test_a_run_that_goes_on_does_as_one_that_was_never_interrupted(kept):
    def paced(pace_ms):
        machine = Machine()
        classify = machine.classify

        def slower(rgb, keep_ratio, **wanted):
            machine.now_ms += pace_ms
            return classify(rgb, keep_ratio, **wanted)
        machine.classify = slower
        return machine

    changes = {'deadline_ms': 40.0, 'slowdown': 1.5}
    first = replay(images(60, 25.0), machine=paced(3.0), **changes)
    known = {index: outcome for index, outcome in first.items() if index < kept}
    machine = paced(3.0)
    again = replay(images(60, 25.0), machine=machine, known=known, **changes)
    for index in range(60):
        before, after = first[index], again[index]
        assert (before.reason, before.readings) == (after.reason, after.readings), index
        assert before.latency == after.latency
    assert machine.asked == sum(not outcome.reason for index, outcome in first.items()
                                if index >= kept)


def test_what_is_known_of_another_bag_is_refused():
    known = replay(images(5, 40.0))
    known[2] = SimpleNamespace(**{**vars(known[2]), 'readings': known[2].readings[:2]})
    with pytest.raises(ClockError):
        replay(images(5, 40.0), known=known)


def test_a_model_that_fails_on_some_images_is_counted_and_one_that_fails_on_all_ends_the_run():
    machine = Machine()
    machine.fails = True
    outcomes = replay(images(MOST_FAILURES - 1, 40.0), machine=machine)
    assert [outcome.reason for outcome in outcomes.values()] == ['failed'] * (MOST_FAILURES - 1)
    with pytest.raises(ClassifierError, match='out of memory'):
        replay(images(10, 40.0), machine=machine)


def test_a_summary_tells_shares_percentiles_and_drops():
    found = summarise(replay(images(10, 10.0)).values(), real_time=True)
    assert (found.images, found.answered, found.dropped) == (10, 4, {'superseded': 6})
    assert found.p50_ms == pytest.approx(32.0) and found.met == 1.0


def test_the_clock_stands_still_between_pieces_of_work():
    now = [0]
    clock = ReplayClock(2.0, lambda: now[0])
    clock.begin(1000)
    now[0] += 5
    assert clock.now_ns() == 1010
    assert clock.stop() == 1010
    now[0] += 100
    assert clock.now_ns() == 1010
    clock.go_on()
    now[0] += 1
    assert clock.end() == [10, 10, 12]
    clock.begin(5000, [10, 10, 12])
    assert [clock.now_ns() for _ in range(2)] == [5010, 5010]


def test_the_program_tells_the_times_of_each_answer(tmp_path):
    bag = write_bag(tmp_path / 'drive', {CAMERA: pictures(12)})
    assert main([str(bag), '--output', str(tmp_path / 'out'), '--real-time', '--deadline-ms',
                 '1000', '--keep-ratios', '0.5', *FLAGS]) == 0
    latencies = [each for each in answers(tmp_path / 'out')
                 if each.__msgtype__ == 'ltp_ros/msg/FrameLatency']
    assert latencies and all(each.age_at_receive_ms == 4.0 for each in latencies)
    assert all(each.deadline_met and each.inference_ms > 0 for each in latencies)
