# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which frame comes next, and that none is lost uncounted."""
import dataclasses
import math
import threading
from collections import Counter

import pytest

from ltp_ros.frames.latency import NS_PER_MS
from ltp_ros.frames.mailbox import (
    ARRIVALS,
    DROP_REASONS,
    NOTHING,
    Counts,
    Frame,
    Mailbox,
)

TIMEOUT_S = 30.0  # of a join that returns at once unless the mailbox is broken


def frame(topic, index=0):
    return Frame(topic, index, receive_ns=index, age_at_receive_ms=0.0)


def drops_by_topic(mailbox):
    drops = Counter()
    for (topic, _), count in mailbox.dropped.items():
        drops[topic] += count
    return drops


def test_only_the_newest_frame_of_a_camera_is_handed_on():
    mailbox = Mailbox()
    for index in range(5):
        mailbox.put(frame('image', index))
    assert mailbox.take().message == 4
    assert mailbox.dropped == {('image', 'superseded'): 4}


def test_a_frame_of_one_camera_does_not_supersede_that_of_another():
    mailbox = Mailbox()
    for topic in ('left', 'right'):
        mailbox.put(frame(topic))
    assert {mailbox.take().topic, mailbox.take().topic} == {'left', 'right'}
    assert not mailbox.dropped


def test_cameras_take_turns_however_fast_one_of_them_is():
    mailbox, taken = Mailbox(), []
    for _ in range(4):
        mailbox.put(frame('slow'))
        mailbox.put(frame('slower'))
        for _ in range(3):
            for index in range(10):
                mailbox.put(frame('fast', index))
            taken.append(mailbox.take().topic)
    counts = Counter(taken)
    assert counts == {'fast': 4, 'slow': 4, 'slower': 4}


def test_a_camera_that_was_silent_comes_before_the_one_served_last():
    mailbox = Mailbox()
    for topic in ('left', 'right', 'left', 'left'):
        mailbox.put(frame(topic))
        mailbox.take()
    mailbox.put(frame('left'))
    mailbox.put(frame('right'))
    assert mailbox.take().topic == 'right'


def test_a_frame_that_was_taken_is_not_superseded_any_more():
    mailbox = Mailbox()
    mailbox.put(frame('image', 0))
    mailbox.take()
    mailbox.put(frame('image', 1))
    assert not mailbox.dropped


def test_drops_are_counted_by_camera_and_reason():
    mailbox = Mailbox()
    mailbox.mark_dropped(frame('left'), 'bad stamp')
    mailbox.mark_dropped(frame('left'), 'too old')
    mailbox.mark_dropped(frame('right'), 'too old')
    mailbox.mark_dropped(frame('right'), 'too old')
    assert mailbox.dropped == {('left', 'bad stamp'): 1, ('left', 'too old'): 1,
                               ('right', 'too old'): 2}


def test_an_answer_tells_the_drops_of_its_camera_since_the_last_one():
    mailbox = Mailbox()
    mailbox.mark_dropped(frame('left'), 'too old')
    mailbox.mark_dropped(frame('left'), 'undecodable')
    mailbox.mark_dropped(frame('right'), 'too old')
    assert [mailbox.mark_published(frame('left')) for _ in range(2)] == [2, 0]


def test_a_frame_wakes_a_waiting_taker():
    mailbox, taken = Mailbox(), []
    taker = waiting_taker(mailbox, taken)
    mailbox.put(frame('image', 7))
    taker.join(TIMEOUT_S)
    assert [f.message for f in taken] == [7]


def test_closing_wakes_a_waiting_taker():
    mailbox, taken = Mailbox(), []
    taker = waiting_taker(mailbox, taken)
    mailbox.close()
    taker.join(TIMEOUT_S)
    assert taken == [None]


def test_who_is_woken_for_other_work_waits_for_a_frame_the_next_time():
    mailbox, taken = Mailbox(), []
    mailbox.wake()
    assert mailbox.take() is None
    taker = waiting_taker(mailbox, taken)
    mailbox.put(frame('image', 7))
    taker.join(TIMEOUT_S)
    assert [f.message for f in taken] == [7]


def test_waking_ends_a_wait_without_closing():
    mailbox, taken = Mailbox(), []
    taker = waiting_taker(mailbox, taken)
    assert mailbox.closed is False
    mailbox.wake()
    taker.join(TIMEOUT_S)
    assert taken == [None] and mailbox.closed is False
    mailbox.close()
    assert mailbox.closed is True


def waiting_taker(mailbox, taken):
    """Return a thread that waits in `take` already; its frame goes into `taken`."""
    # The condition's lock is held from before `wait_for` until the thread sleeps: whoever gets
    # it after `asleep` is set finds the thread asleep
    condition, asleep = mailbox._condition, threading.Event()
    wait_for = condition.wait_for

    def announce_and_wait(predicate, *timeout):
        asleep.set()
        return wait_for(predicate, *timeout)

    condition.wait_for = announce_and_wait
    taker = threading.Thread(target=lambda: taken.append(mailbox.take()), daemon=True)
    taker.start()
    assert asleep.wait(TIMEOUT_S)
    return taker


def test_closing_counts_what_still_waits_as_inactive():
    mailbox = Mailbox()
    mailbox.put(frame('left'))
    mailbox.put(frame('right'))
    mailbox.close()
    assert mailbox.dropped == {('left', 'inactive'): 1, ('right', 'inactive'): 1}


def test_nothing_is_handed_on_after_closing():
    mailbox = Mailbox()
    mailbox.close()
    mailbox.put(frame('image'))
    assert mailbox.take() is None


@pytest.mark.parametrize('num_workers', [1, 3])
def test_no_frame_is_lost_uncounted_under_fire(num_workers):
    mailbox, topics, num_frames = Mailbox(), ('left', 'right', 'rear'), 3000
    published, since_last = Counter(), Counter()
    lock = threading.Lock()

    def camera(topic):
        for index in range(num_frames):
            mailbox.put(frame(topic, index))

    def worker():
        for taken in iter(mailbox.take, None):
            if taken.message % 3:
                drops = mailbox.mark_published(taken)
                with lock:
                    published[taken.topic] += 1
                    since_last[taken.topic] += drops
            else:
                mailbox.mark_dropped(taken, 'undecodable')

    cameras = [threading.Thread(target=camera, args=(topic,), daemon=True) for topic in topics]
    workers = [threading.Thread(target=worker, daemon=True) for _ in range(num_workers)]
    for thread in cameras + workers:
        thread.start()
    for thread in cameras:
        thread.join(TIMEOUT_S)
    mailbox.close()
    for thread in workers:
        thread.join(TIMEOUT_S)
    assert not any(thread.is_alive() for thread in cameras + workers)
    assert mailbox.published == published
    assert mailbox.received == dict.fromkeys(topics, num_frames)
    assert mailbox.received == mailbox.published + drops_by_topic(mailbox)
    for topic in topics:  # what came after the last answer is told by nobody
        untold = mailbox.mark_published(frame(topic))
        assert since_last[topic] + untold == drops_by_topic(mailbox)[topic]


def test_the_books_balance_while_one_frame_waits_and_one_is_in_work():
    mailbox = Mailbox()
    for index in range(3):
        mailbox.put(frame('image', index))
    mailbox.take()
    mailbox.put(frame('image', 3))
    waiting, in_work = 1, 1
    assert mailbox.received['image'] == drops_by_topic(mailbox)['image'] + waiting + in_work


def test_a_frame_that_comes_after_the_end_is_counted_and_not_kept():
    mailbox = Mailbox()
    mailbox.close()
    mailbox.put(frame('image'))
    assert mailbox.take() is None
    assert mailbox.counts().received == mailbox.counts().dropped['inactive'] == 1


def test_counts_are_those_of_all_cameras():
    mailbox = Mailbox()
    for topic in ('left', 'right', 'right'):
        mailbox.put(frame(topic))
    mailbox.mark_published(mailbox.take())
    mailbox.mark_dropped(mailbox.take(), 'too old')
    assert mailbox.counts() == Counts(3, 1, {
        **dict.fromkeys(DROP_REASONS, 0), 'superseded': 1, 'too old': 1})


def test_counts_are_told_by_camera_too():
    mailbox = Mailbox()
    for topic in ('left', 'right', 'right'):
        mailbox.put(frame(topic))
    mailbox.mark_published(mailbox.take())
    mailbox.mark_dropped(mailbox.take(), 'too old')
    left, right = (mailbox.counts_by_camera()[topic] for topic in ('left', 'right'))
    assert left == dataclasses.replace(NOTHING, received=1, published=1)
    assert (right.received, right.published) == (2, 0)
    assert (right.dropped['superseded'], right.dropped['too old']) == (1, 1)
    assert left + right == mailbox.counts()


def test_a_camera_that_sends_nothing_is_counted_as_well():
    mailbox = Mailbox()
    mailbox.expect('left')
    assert mailbox.counts_by_camera() == {'left': NOTHING}


def test_a_reason_that_nobody_would_look_for_is_refused():
    mailbox = Mailbox()
    mailbox.put(frame('image'))
    with pytest.raises(ValueError, match="'tired' is not a reason; expected one of"):
        mailbox.mark_dropped(mailbox.take(), 'tired')


def arrive(mailbox, *times_ms, topic='image'):
    for time_ms in times_ms:
        mailbox.put(Frame(topic, None, int(time_ms * NS_PER_MS), 0.0))


def test_period_is_that_of_the_newest_frames_of_all_cameras():
    mailbox = Mailbox()
    arrive(mailbox, 0, 1000, 2000)
    assert mailbox.period_ms == 1000.0
    arrive(mailbox, *(3000 + 20 * index for index in range(ARRIVALS)))
    assert mailbox.period_ms == 20.0
    for index in range(ARRIVALS):
        arrive(mailbox, 4000 + 20 * index, topic='left')
        arrive(mailbox, 4010 + 20 * index, topic='right')
    assert mailbox.period_ms == 10.0


def test_period_is_not_known_before_the_second_frame():
    mailbox = Mailbox()
    assert mailbox.period_ms == math.inf
    arrive(mailbox, 5.0)
    assert mailbox.period_ms == math.inf
    arrive(mailbox, 5.0)
    assert mailbox.period_ms == math.inf


def test_discarded_frames_are_inactive_and_the_next_ones_are_taken():
    mailbox = Mailbox()
    mailbox.put(frame('image', 1))
    mailbox.discard()
    mailbox.put(frame('image', 2))
    assert mailbox.take().message == 2
    assert mailbox.dropped == {('image', 'inactive'): 1}


def stream(mailbox, topic, count, rate=30.0, taking=True):
    """Put `count` frames at a rate; return those that were taken at once."""
    taken = []
    for index in range(count):
        mailbox.put(Frame(topic, index, int((index + 1) * 1e9 / rate), 0.0))
        if taking and mailbox._waiting:
            taken.append(mailbox.take())
    return taken


def test_what_a_camera_sends_above_the_rate_is_dropped_and_counted():
    mailbox = Mailbox(max_rate=10.0)
    taken = stream(mailbox, 'image', 90)
    assert [frame.message for frame in taken] == list(range(0, 90, 3))
    assert mailbox.dropped == {('image', 'rate'): 60}
    assert mailbox.received['image'] == len(taken) + 60
    for frame in taken:
        mailbox.mark_published(frame)
    assert mailbox.counts().published == 30


def test_the_rate_holds_for_each_camera_by_itself():
    mailbox = Mailbox(max_rate=10.0)
    for topic in ('left', 'right'):
        assert len(stream(mailbox, topic, 30)) == 10
    assert len(stream(mailbox, 'slow', 10, rate=5.0)) == 10


def test_the_newest_frame_is_the_one_that_waits_even_above_the_rate():
    mailbox = Mailbox(max_rate=10.0)
    stream(mailbox, 'image', 4, taking=False)
    assert mailbox.take().message == 3
    assert mailbox.dropped == {('image', 'superseded'): 3}


def test_a_rate_that_is_changed_holds_from_the_next_frame_on():
    mailbox = Mailbox()
    assert len(stream(mailbox, 'image', 30)) == 30
    mailbox.max_rate = 10.0
    assert len(stream(mailbox, 'image', 30)) <= 11


def test_the_period_is_that_of_the_frames_within_the_rate():
    mailbox = Mailbox(max_rate=10.0)
    stream(mailbox, 'image', 90)
    assert mailbox.period_ms == pytest.approx(100.0)


def test_a_pause_in_which_nobody_listened_is_not_part_of_the_period():
    mailbox = Mailbox()
    stream(mailbox, 'image', 30)
    mailbox.discard()
    mailbox.put(Frame('image', 0, int(60e9), 0.0))
    assert mailbox.period_ms == math.inf
    mailbox.put(Frame('image', 0, int(60.1e9), 0.0))
    assert mailbox.period_ms == pytest.approx(100.0)
