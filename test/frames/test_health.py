# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The diagnostics, on a clock of the test's own."""
import dataclasses
import math
from types import SimpleNamespace

import pytest

from ltp_ros.config import Config
from ltp_ros.frames.camera_health import CameraFeed
from ltp_ros.frames.health import Health, floor_reason
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.status import Severity
from ltp_ros.settings import update
from ltp_ros.tuner.controller import Decision

SECOND = 1_000_000_000
LATENCY = FrameLatency(
    frame_index=0, keep_ratio=0.7, age_at_receive_ms=3.0, queue_ms=1.0, decode_ms=1.0,
    inference_ms=10.0, publish_ms=1.0, total_ms=13.0, dropped_since_last=0, deadline_ms=20.0,
    deadline_met=True, decision=int(Decision.HOLD))


@pytest.fixture
def pipeline():
    return SimpleNamespace(
        mailbox=Mailbox(), config=update(Config(), {'deadline_ms': 20.0}), keep_ratio=0.7,
        stuck_s=0.0, trouble='', variation=0.0, classifier=SimpleNamespace(
            model_name='demo', device=SimpleNamespace(type='cpu'), precision='float32',
            kept=None, backend=SimpleNamespace(name='eager'), grid_size=(14, 14),
            data_config=SimpleNamespace(input_size=(224, 224))))


def report(health, now_ns=SECOND):
    return {status.part: status for status in health.report(now_ns)}


def test_before_the_first_frame_numbers_are_not_available(pipeline):
    statuses = report(Health(pipeline, 0))
    assert statuses['latency'].values['p99 (ms)'] == 'n/a'
    assert statuses['deadline'].values['miss rate'] == 'n/a'
    assert all(status.level == Severity.OK for status in statuses.values())
    assert statuses['deadline'].message == 'no image answered yet'
    assert statuses['input'].message == 'waiting for images'


@pytest.mark.parametrize('variation, varies', [(0.1, False), (0.5, True)])
def test_where_the_machine_varies_and_misses_it_is_told_what_else_may_help(
        pipeline, variation, varies):
    health, pipeline.variation = Health(pipeline, 0), variation
    for number in range(100):
        health.add('left', dataclasses.replace(LATENCY, deadline_met=number % 10 != 0))
    status = report(health)['deadline']
    assert status.level == Severity.WARN
    assert status.message.startswith('missed more often than target_miss_rate')
    assert ('what else may help: precision:=int8; priority:=20' in status.message) == varies


def test_without_a_deadline_its_status_says_that_none_is_set(pipeline):
    pipeline.config = Config()
    status = report(Health(pipeline, 0))['deadline']
    assert (status.level, status.message) == (Severity.OK, 'none set')


def test_latencies_are_given_as_percentiles_with_their_unit(pipeline):
    health = Health(pipeline, 0)
    for total_ms in range(1, 101):
        health.add('left', dataclasses.replace(LATENCY, total_ms=float(total_ms)))
    values = report(health)['latency'].values
    assert (values['p50 (ms)'], values['p99 (ms)'], values['max (ms)']) == (
        '50.0', '99.0', '100.0')


def test_an_unknown_age_is_not_available_rather_than_zero(pipeline):
    health = Health(pipeline, 0)
    health.add('left', dataclasses.replace(LATENCY, age_at_receive_ms=math.nan))
    assert report(health)['latency'].values['newest, capture to publish (ms)'] == 'n/a'


def test_counts_and_rate_of_the_input_are_reported(pipeline):
    health = Health(pipeline, 0)
    for _ in range(10):
        pipeline.mailbox.put(Frame('left', None, 0, 0.0))
    values = report(health, 2 * SECOND)['input'].values
    assert (values['rate (Hz)'], values['received'], values['dropped (superseded)']) == (
        '5.0', '10', '9')


def test_silence_is_a_warning_until_an_image_comes(pipeline):
    health = Health(pipeline, 0)
    pipeline.mailbox.expect('left')
    assert report(health, 6 * SECOND)['input'].level == Severity.WARN
    pipeline.mailbox.put(Frame('left', None, 0, 0.0))
    assert report(health, 7 * SECOND)['input'].level == Severity.OK


def test_one_of_two_cameras_that_is_silent_is_named(pipeline):
    health = Health(pipeline, 0)
    for topic in ('left', 'right'):
        pipeline.mailbox.expect(topic)
    for second in range(1, 8):
        pipeline.mailbox.put(Frame('left', None, 0, 0.0))
        status = report(health, second * SECOND)['input']
    assert status.level == Severity.WARN
    assert status.message == 'no image for 7 s on right; ltp_doctor looks for the cause'


def answers(health, *decisions, **changes):
    for decision in decisions:
        health.add('left', dataclasses.replace(LATENCY, decision=int(decision), **changes))


def test_the_floor_is_an_error_and_recovers(pipeline):
    health = Health(pipeline, 0)
    answers(health, *[Decision.FLOOR] * 10)
    status = report(health)['deadline']
    assert status.level == Severity.ERROR and 'superseded' not in status.message
    assert status.message.startswith('too slow even at keep_ratio 0.7, the lowest that is any ')
    assert 'what else may help: precision:=int8' in status.message
    answers(health, *[Decision.HOLD] * 10)
    assert report(health)['deadline'].level == Severity.OK


@pytest.mark.parametrize('keep_ratio, changes, reason', [
    (0.45, {'min_keep_ratio': 0.45}, 'the lowest that min_keep_ratio 0.45 allows'),
    (0.53, {'min_keep_ratio': 0.45}, 'the lowest that is any faster: 0.45 took no less time'),
    (0.6, {'min_keep_ratio': 0.45}, 'the lowest that is any faster: 0.53, 0.45 took no less time'),
    (0.53, {'min_keep_ratio': 0.5}, 'the lowest that min_keep_ratio 0.5 allows'),
    (0.25, {'min_keep_ratio': 0.25}, 'the lowest of keep_ratios'),
    (0.5, {'keep_ratios': [1.0, 0.5]}, 'the lowest of keep_ratios'),
    (1.0, {'method': 'none'}, 'the only one')])
def test_the_floor_in_use_is_named_and_why_the_tuner_goes_no_lower(keep_ratio, changes, reason):
    assert floor_reason(update(Config(), changes), keep_ratio) == (
        f'keep_ratio {keep_ratio:g}, {reason}')


def watchdog(health, second):
    values = report(health, second * SECOND)['deadline'].values
    return tuple(values[key] for key in (
        'is_processing_time_ms_in_expected_range', 'processing_time_ms',
        'is_consecutive_processing_delay_in_range', 'consecutive_processing_delay_ms'))


def test_the_processing_time_is_told_under_the_keys_of_autoware(pipeline):
    health = Health(pipeline, 0)
    assert watchdog(health, 1) == ('True', 'n/a', 'True', 'n/a')
    answers(health, Decision.HOLD)
    assert watchdog(health, 2) == ('True', '13.0', 'True', '0.0')
    answers(health, Decision.HOLD, total_ms=25.0, deadline_met=False)
    assert watchdog(health, 3) == ('False', '25.0', 'True', '1000.0')
    answers(health, Decision.HOLD, total_ms=26.0, deadline_met=False)
    assert watchdog(health, 4) == ('False', '26.0', 'False', '2000.0')
    answers(health, Decision.HOLD)
    assert watchdog(health, 5) == ('True', '13.0', 'True', '0.0')


def test_the_input_is_the_sum_of_the_cameras_and_as_bad_as_the_worst(pipeline):
    health = Health(pipeline, 0)
    for topic, reason, count in (('left', 'too old', 3), ('right', 'undecodable', 20)):
        for _ in range(count):
            pipeline.mailbox.put(Frame(topic, None, 0, 0.0))
            taken = pipeline.mailbox.take()
            pipeline.mailbox.mark_dropped(taken, reason)
            health.add_drop(topic, 'it is so')
    for _ in range(40):
        pipeline.mailbox.put(Frame('left', None, 0, 0.0))
        pipeline.mailbox.mark_published(pipeline.mailbox.take())
    statuses = report(health)
    assert statuses['camera left'].level == Severity.OK
    assert statuses['camera right'].level == statuses['input'].level == Severity.ERROR
    assert statuses['input'].message == statuses['camera right'].message
    values = statuses['input'].values
    assert (values['received'], values['published']) == ('63', '40')
    assert (values['dropped (too old)'], values['dropped (undecodable)']) == ('3', '20')
    assert statuses['camera left'].values['dropped (undecodable)'] == '0'


def test_a_camera_that_is_watched_again_starts_anew(pipeline):
    pipeline.mailbox.put(Frame('left', None, 0, 0.0))
    health = Health(pipeline, 100 * SECOND)
    feed = CameraFeed('left', encoding='bgr8')
    health.watch(feed)
    health.add('left', LATENCY, ['underexposed'], '640x480')
    status = report(health, 101 * SECOND)['camera left']
    assert (status.values['encoding'], status.values['size']) == ('bgr8', '640x480')
    assert status.values['rate (Hz)'] == '0.0' and status.values['picture'] == 'underexposed'


def test_a_single_frame_at_the_floor_makes_no_status_flicker(pipeline):
    health = Health(pipeline, 0)
    answers(health, Decision.FLOOR, *[Decision.HOLD] * 9)
    assert report(health)['deadline'].level == Severity.OK


def test_a_camera_of_less_than_one_image_a_second_makes_no_status_flicker(pipeline):
    health = Health(pipeline, 0)
    answers(health, *[Decision.FLOOR] * 5)
    for second in range(1, 6):
        assert report(health, second * SECOND)['deadline'].level == Severity.ERROR
        if second % 2:
            answers(health, Decision.FLOOR)


def test_a_deadline_is_not_held_by_a_camera_that_is_silent(pipeline):
    health = Health(pipeline, 0)
    answers(health, Decision.HOLD)
    assert report(health, SECOND)['deadline'].message == 'held'
    assert report(health, 8 * SECOND)['deadline'].message == 'no image answered for 7 s'


def test_what_was_received_before_is_neither_a_rate_nor_silence(pipeline):
    pipeline.mailbox.expect('left')
    for _ in range(50):
        pipeline.mailbox.put(Frame('left', None, 0, 0.0))
    status = report(Health(pipeline, 100 * SECOND), 101 * SECOND)['input']
    assert (status.level, status.values['rate (Hz)']) == (Severity.OK, '0.0')


def test_images_that_are_dropped_at_the_floor_are_counted(pipeline):
    health = Health(pipeline, 0)
    for _ in range(6):
        pipeline.mailbox.put(Frame('left', None, 0, 0.0))
    answers(health, Decision.FLOOR)
    assert '; 5 images superseded in the last second' in report(health)['deadline'].message
    answers(health, Decision.FLOOR)
    assert 'superseded' not in report(health)['deadline'].message


def test_images_that_arrive_too_late_are_told_from_a_machine_that_is_too_slow(pipeline):
    health = Health(pipeline, 0)
    answers(health, *[Decision.LATE_ARRIVAL] * 10, age_at_receive_ms=1503.2, deadline_met=False)
    status = report(health)['deadline']
    assert status.level == Severity.WARN
    assert status.message == (
        'left: images arrive 1503 ms old, too old for the deadline at any keep_ratio; check the '
        "camera's clock, or set deadline_from:=receive")


def test_too_many_misses_are_a_warning(pipeline):
    health = Health(pipeline, 0)
    for index in range(100):
        health.add('left', dataclasses.replace(LATENCY, deadline_met=index % 10 != 0))
    status = report(health)['deadline']
    assert status.level == Severity.WARN and status.values['miss rate'] == '0.100'


def test_a_stuck_worker_is_an_error(pipeline):
    health = Health(pipeline, 0)
    pipeline.stuck_s = 6.0
    device = report(health, SECOND)['device']
    assert device.level == Severity.ERROR and 'in one image for 6 s' in device.message
    pipeline.stuck_s = 0.0
    assert report(health, 2 * SECOND)['device'].level == Severity.OK


def test_a_model_that_fails_or_runs_otherwise_than_wanted_is_a_warning(pipeline):
    health = Health(pipeline, 0)
    pipeline.trouble = 'the model fails: out of memory'
    device = report(health, SECOND)['device']
    assert (device.level, device.message) == (Severity.WARN, pipeline.trouble)
