# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The status of one camera, on a clock of the test's own."""
import pytest

from ltp_ros.frames.camera_health import CameraFeed, CameraHealth
from ltp_ros.frames.mailbox import DROP_REASONS, NOTHING, Counts
from ltp_ros.frames.status import Severity

SECOND = 10 ** 9
NOW_NS = 1_700_000_000 * SECOND


class Bench:
    """A camera at which images arrive as the test says, and its reports, one a second."""

    def __init__(self):
        self.feed = CameraFeed('/front')
        self.health = CameraHealth(self.feed, NOTHING, 0)
        self.seconds = 0
        self.received = self.published = 0
        self.dropped = dict.fromkeys(DROP_REASONS, 0)

    def answer(self, count=1, *faults):
        self.received += count
        self.published += count
        for _ in range(count):
            self.health.add_picture(faults, '640x480')

    def drop(self, reason, count=1):
        self.received += count
        self.dropped[reason] += count
        self.health.add_drop(f'a sentence on {reason}')

    def stamp(self, stamp_ns, count=1):
        for _ in range(count):
            self.feed.stamps.age_ms(stamp_ns, NOW_NS)
        self.answer(count)

    def report(self, paused=False, seconds=1):
        self.seconds += seconds
        return self.health.report(Counts(self.received, self.published, dict(self.dropped)),
                                  self.seconds * SECOND, paused)


def test_a_camera_has_a_status_of_its_own_named_after_its_topic():
    status = Bench().report()
    assert (status.part, status.hardware) == ('camera /front', '/front')
    assert (status.level, status.message) == (Severity.OK, 'waiting for images')
    assert status.values['topic'] == '/front'
    assert {status.values[name] for name in ('encoding', 'size', 'image_age_ms', 'picture')} == {
        'n/a'}


def test_an_encoding_of_any_length_takes_no_more_than_a_line():
    bench = Bench()
    bench.feed.encoding = 'x' * 10 ** 6
    bench.answer()
    assert bench.report().values['encoding'] == 'x' * 200 + '...'


def test_images_are_told_with_their_rate_encoding_size_and_age():
    bench = Bench()
    bench.answer(30)
    bench.feed.encoding, bench.feed.age_ms, bench.feed.receive_ns = 'bgr8', 12.0, SECOND // 2
    values = bench.report().values
    assert (values['rate (Hz)'], values['received'], values['published']) == ('30.0', '30', '30')
    assert (values['encoding'], values['size'], values['picture']) == ('bgr8', '640x480', 'ok')
    assert values['image_age_ms'] == '512.0'  # at the time of the report
    bench.feed.simulated = True
    assert bench.report().values['image_age_ms'] == '12.0'


def test_silence_is_a_warning_that_leads_on_and_ends_with_an_image():
    bench = Bench()
    assert bench.report(seconds=5).level == Severity.OK
    status = bench.report()
    assert (status.level, status.message) == (
        Severity.WARN, 'no image for 6 s on /front; ltp_doctor looks for the cause')
    bench.feed.silent_because = 'it has no publisher'  # by the subscription's watchdog
    assert bench.report().message == 'no image for 7 s on /front; it has no publisher'
    bench.answer()
    assert bench.report().message == 'receiving images'


def test_while_a_simulation_is_paused_silence_is_no_fault():
    bench = Bench()
    bench.answer()
    for _ in range(20):
        status = bench.report(paused=True)
    assert (status.level, status.message) == (Severity.OK, 'simulated time stands still')
    assert bench.report().level == Severity.OK
    assert bench.report(seconds=6).level == Severity.WARN


@pytest.mark.parametrize('reason', ['undecodable', 'bad stamp', 'too old', 'roi'])
def test_when_no_image_can_be_used_it_is_an_error_that_says_why(reason):
    bench = Bench()
    bench.drop(reason, 200)
    status = bench.report()
    assert (status.level, status.message) == (
        Severity.ERROR, f'100 % of the images on /front are dropped ({reason}), the newest '
        f'because a sentence on {reason}')
    assert status.values[f'dropped ({reason})'] == '200'


def test_several_reasons_are_one_share():
    bench = Bench()
    bench.drop('undecodable', 10)
    bench.drop('too old', 10)
    assert bench.report().level == Severity.ERROR
    bench.drop('undecodable', 4)
    bench.drop('too old', 2)
    bench.answer(24)
    status = bench.report()
    assert status.level == Severity.WARN
    assert status.message.startswith('20 % of the images on /front are dropped (undecodable, too ')


@pytest.mark.parametrize('dropped, level', [(3, Severity.OK), (4, Severity.WARN)])
def test_some_unusable_images_are_borne(dropped, level):
    bench = Bench()
    bench.answer(33 - dropped)
    bench.drop('undecodable', dropped)
    assert bench.report().level == level


@pytest.mark.parametrize('reason', ['superseded', 'inactive', 'rate'])
def test_images_that_the_node_had_no_time_for_are_not_the_cameras_fault(reason):
    bench = Bench()
    bench.drop(reason, 100)
    bench.answer(10)
    assert bench.report().level == Severity.OK


def test_unusable_images_are_a_share_of_those_that_were_looked_at():
    bench = Bench()
    bench.drop('superseded', 1000)
    bench.drop('undecodable', 10)
    assert bench.report().level == Severity.ERROR


def test_one_damaged_image_of_a_slow_camera_is_an_error_neither_now_nor_later():
    bench = Bench()
    bench.answer(5)
    bench.report()
    levels = []
    for second in range(20):  # a camera of 1 Hz, the images damaged now and then
        bench.drop('undecodable') if second % 8 == 0 else bench.answer()
        levels.append(bench.report().level)
    assert Severity.ERROR not in levels
    changes = sum(before != after for before, after in zip(levels, levels[1:]))
    assert changes <= 4  # and not with every image


def test_a_silent_second_changes_no_judgement():
    bench = Bench()
    bench.drop('undecodable', 10)
    assert [bench.report().level for _ in range(5)] == [Severity.ERROR] * 5
    bench.answer(5)
    assert bench.report().level == Severity.OK


@pytest.mark.parametrize('stamp_ns, kind', [
    (0, 'zero'), (NOW_NS + SECOND, 'in the future'), (NOW_NS - 20 * SECOND, 'old')])
def test_stamps_that_cannot_be_used_are_counted_by_kind_and_told(stamp_ns, kind):
    bench = Bench()
    bench.stamp(stamp_ns, 10)
    status = bench.report()
    assert (status.level, status.message) == (
        Severity.WARN, f'100 % of the stamps on /front are unusable ({kind}): latencies and the '
        'deadline count from arrival')
    assert status.values['stamp faults'] == status.values[f'stamp faults ({kind})'] == '10'
    bench.stamp(NOW_NS, 10)
    assert bench.report().level == Severity.OK


def test_that_no_clock_comes_is_not_said_of_every_camera():
    bench = Bench()
    bench.feed.stamps.age_ms(NOW_NS, 0, 25.0)
    bench.answer()
    status = bench.report()
    assert (status.level, status.values['stamp faults (no clock)']) == (Severity.OK, '1')


def test_a_bag_that_starts_over_is_one_fault_and_no_warning():
    bench = Bench()
    bench.stamp(NOW_NS, 15)
    bench.stamp(NOW_NS - 5 * SECOND, 15)  # the first of them a step back
    status = bench.report()
    assert (status.level, status.values['stamp faults']) == (Severity.OK, '1')


def test_a_publisher_of_another_qos_is_told_at_once_and_in_place_of_the_silence():
    bench = Bench()
    bench.feed.incompatible_qos = 'RELIABILITY'
    for _ in range(7):
        status = bench.report()
        assert (status.level, status.message) == (
            Severity.WARN, 'a publisher on /front offers a QoS that does not match (RELIABILITY); '
            'set image_reliability:=best_effort')
    assert status.values['incompatible QoS'] == 'RELIABILITY'


def test_what_most_pictures_have_is_a_warning():
    bench = Bench()
    bench.answer(3, 'underexposed')
    bench.answer(4)
    assert bench.report().level == Severity.OK
    bench.answer(20, 'underexposed', 'frozen')
    bench.answer(5)
    status = bench.report()
    assert (status.level, status.message) == (
        Severity.WARN, 'the images on /front are underexposed and frozen; ltp_doctor shows what '
        'the model sees')
    assert status.values['picture'] == 'underexposed, frozen'


def test_a_picture_now_and_then_makes_no_status_flicker():
    bench = Bench()
    for _ in range(10):
        bench.answer(1, 'overexposed')
        assert bench.report().level == Severity.WARN
    levels = []
    for second in range(10):
        bench.answer(1, *['overexposed'] * (second == 4))
        levels.append(bench.report().level)
    assert levels == [Severity.WARN] * 3 + [Severity.OK] * 7


@pytest.mark.parametrize('percent', [10, 50, 99])
def test_a_share_about_a_bound_makes_no_status_flicker(percent):
    bench, levels = Bench(), []
    for second in range(20):
        number = percent + (-1) ** second
        bench.drop('undecodable', number)
        bench.answer(100 - number)
        levels.append(bench.report().level)
    assert len(set(levels[1:])) == 1


def test_pictures_about_a_bound_make_no_status_flicker():
    bench, levels = Bench(), []
    for second in range(20):
        bench.answer(5 + second % 2, 'underexposed')
        bench.answer(5)
        levels.append(bench.report().level)
    assert len(set(levels[1:])) == 1
