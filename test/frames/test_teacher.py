# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which pictures a session takes, what they are taught as, and what is remembered of them."""
import sys
import threading
import time
from concurrent import futures
from types import SimpleNamespace

import numpy as np
import pytest

from ltp_ros.config import Config
from ltp_ros.frames.mailbox import Frame
from ltp_ros.frames.teacher import (
    INTERVAL_NS,
    KEPT_BYTES,
    KEPT_FRAMES,
    Session,
    Teacher,
    TeachingError,
)
from ltp_ros.region import Region
from ltp_ros.teaching.classes import Classes
from ltp_ros.teaching.examples import NONE
from ltp_ros.tuner.levels import LevelCost

LEVELS = (1.0, 0.5)
BOX = Region(1, 2, 4, 4)  # where the stream looked


class Taught:
    """A classifier, as far as it can be taught."""

    def __init__(self):
        self.taught = Classes(LEVELS)

    @property
    def labels(self):
        return [label for head in self.taught.heads.values() for label in head.labels]


class Bench:
    """A teacher; the work that it would do in spare time is done when the test says."""

    def __init__(self):
        self.costs = {ratio: LevelCost(ratio, 10.0 * ratio, 12.0 * ratio) for ratio in LEVELS}
        self.classifier = Taught()
        self.keep_ratio, self.config, self.looked = 1.0, Config(), []
        self.asked, self.waiting, self.changes, self.count = [], [], 0, 0
        self.kept = []
        self.teacher = Teacher(self, self.spare_time, self.changed,
                               lambda label, processed, rgb: self.kept.append(
                                   (label, processed.frame.message, rgb.shape[:2])))

    @property
    def beside(self):
        return self

    def box(self, rgb):
        return Region(0, 0, *rgb.shape[:2])

    def classify_part(self, rgb, keep_ratio, box):
        self.looked.append(box)
        self.asked.append((rgb.shape[:2], keep_ratio))
        return SimpleNamespace(features=self.features(rgb, keep_ratio))

    def features(self, rgb, keep_ratio):
        return np.random.default_rng([int(rgb[0, 0, 0]), int(10 * keep_ratio)]).normal(size=4)

    def spare_time(self, steps):
        end = futures.Future()
        self.waiting.append((steps, end))
        return end

    def changed(self):
        self.changes += 1

    def work(self):
        """Do all that waits; return what its steps were said to take."""
        costs = []
        while self.waiting:
            steps, end = self.waiting.pop(0)
            for cost_ms in steps:
                costs.append(cost_ms)
                time.sleep(0)  # what is done in another thread goes on
            end.set_result(None)
        return costs

    def see(self, value=0, topic='/image', apart_ns=INTERVAL_NS, keep_ratio=0.5, size=(8, 8)):
        self.count += 1
        rgb = np.full((*size, 3), value, np.uint8)
        prediction = SimpleNamespace(
            keep_ratio=keep_ratio, features=self.features(rgb, keep_ratio), box=BOX)
        self.asked.clear()
        processed = SimpleNamespace(
            frame=Frame(topic, self.count, self.count * apart_ns, 0.0), rgb=rgb,
            region=Region(0, 0, *size), prediction=prediction)
        self.teacher.offer(processed)


def test_a_picture_is_run_at_the_levels_that_its_answer_did_not_take():
    bench = Bench()
    bench.teacher.begin(Session('mug', '/image', frames=1))
    bench.see(keep_ratio=0.5)
    costs = bench.work()
    assert bench.asked == [((8, 8), 1.0)] and costs[0] == 12.0 and bench.looked == [BOX]
    assert bench.classifier.taught.counts == {'mug': 1}
    assert set(bench.classifier.taught.heads) == set(LEVELS)


def test_a_region_is_run_at_every_level_and_must_lie_inside_the_picture():
    bench = Bench()
    bench.teacher.begin(Session('mug', '/image', [2, 1, 4, 5], frames=1))
    bench.see()
    bench.work()
    assert bench.asked == [((5, 4), 1.0), ((5, 4), 0.5)]
    assert bench.kept == [('mug', 1, (5, 4))]
    for region in ([6, 0, 4, 4], [0, 0, 1, 4]):
        outside = Session('mug', '/image', region, frames=1)
        bench.teacher.begin(outside)
        bench.see()
        assert outside.over and outside.fault and not bench.work()


def test_a_session_takes_so_many_pictures_of_its_camera_and_no_more():
    bench, session = Bench(), Session('mug', '/left', frames=3)
    bench.teacher.begin(session)
    for number in range(10):
        bench.see(number, '/left' if number % 2 else '/right')
        bench.work()
    assert session.over and session.progress.taught == session.progress.examples == 3


def test_pictures_of_one_moment_are_taught_once():
    bench, session = Bench(), Session('mug', '')
    bench.teacher.begin(session)
    for number in range(10):
        bench.see(number, apart_ns=INTERVAL_NS // 5)
        bench.work()
    assert session.progress.taught == 2


def test_no_picture_waits_for_a_gap_behind_another():
    bench, session = Bench(), Session('mug', '')
    bench.teacher.begin(session)
    for number in range(10):
        bench.see(number)
    assert len(bench.waiting) == 1
    bench.work()
    bench.see(11)
    assert session.asked == 2


def test_what_was_taught_is_shown_when_the_session_ends_and_its_listener_told():
    bench, session = Bench(), Session('mug', '')
    bench.teacher.begin(session)
    news = session.news
    bench.see()
    assert not news.done()
    bench.work()
    assert news.done() and session.progress.taught == 1
    end = bench.teacher.end(session)
    bench.see(5)
    bench.work()
    assert end.done() and bench.classifier.taught.counts == {'mug': 1}


def test_the_labels_are_told_when_they_have_changed():
    bench = Bench()
    for number in range(3):
        bench.teacher.begin(Session('mug', '', frames=1))
        bench.see(number)
        bench.work()
    assert bench.changes == 1


def test_the_picture_taught_last_is_taken_back_once():
    bench = Bench()
    bench.teacher.begin(Session('mug', '', frames=2))
    for number in range(2):
        bench.see(number)
        bench.work()
    list(bench.teacher.forget('mug', last=True))
    assert bench.classifier.taught.counts == {'mug': 1}
    with pytest.raises(TeachingError, match='not known'):
        list(bench.teacher.forget('mug', last=True))
    list(bench.teacher.forget('mug'))
    assert bench.classifier.taught.counts == {} and bench.classifier.taught.heads == {}
    with pytest.raises(TeachingError, match="no class 'mug'"):
        list(bench.teacher.forget('mug'))
    with pytest.raises(TeachingError, match='none of the classes'):
        list(bench.teacher.forget(NONE))


def test_a_frame_that_was_answered_lately_is_found_by_its_stamp():
    bench = Bench()
    for number in range(3):
        bench.see(number, '/left' if number < 2 else '/right')

    def found(topic, stamp_ns):
        return bench.teacher.picture_of(topic, stamp_ns, lambda message: 10 * message
                                        ).frame.message

    assert (found('', 0), found('/left', 0), found('', 10)) == (3, 2, 1)
    with pytest.raises(TeachingError, match=r'0\.000000010 and end at 0\.000000020'):
        found('/left', 30)
    with pytest.raises(TeachingError, match='no image of /up was answered'):
        found('/up', 0)


def test_of_the_frames_so_many_are_kept_and_no_more_memory():
    bench = Bench()
    for number in range(2 * KEPT_FRAMES):
        bench.see(number)
    assert len(bench.teacher._recent) == KEPT_FRAMES
    for number in range(3):
        bench.see(number, size=(2000, KEPT_BYTES // 6000 // 2 - 1))
    assert len(bench.teacher._recent) == 2
    bench.see(size=(2000, KEPT_BYTES // 6000 + 1))  # the newest in any case
    assert len(bench.teacher._recent) == 1


def test_a_picture_that_cannot_be_taught_ends_its_session_with_the_reason():
    bench, session = Bench(), Session('mug', '', frames=5)
    bench.teacher.begin(session)
    bench.see()
    (_, end), bench.waiting = bench.waiting[0], []
    news = session.news
    end.set_exception(RuntimeError('no memory'))
    assert session.over and 'no memory' in session.fault and news.done()
    bench.see()
    assert not bench.waiting


def test_a_session_whose_work_is_cancelled_is_over():
    bench, session = Bench(), Session('mug', '', frames=5)
    bench.teacher.begin(session)
    bench.see()
    bench.waiting[0][1].cancel()
    assert session.over and 'released' in session.fault


def test_when_no_more_frames_are_answered_all_sessions_end_and_frames_are_let_go():
    bench, sessions = Bench(), [Session('mug', ''), Session('book', '/left')]
    for session in sessions:
        bench.teacher.begin(session)
    bench.see(topic='/right')
    assert bench.teacher.teaching
    bench.teacher.close('the node was deactivated')
    assert all(session.over and 'deactivated' in session.fault for session in sessions)
    with pytest.raises(TeachingError, match='no image'):
        bench.teacher.picture_of('', 0, int)


def test_two_threads_may_tell_news_at_once():
    session, failed = Session('mug', ''), []

    def tell():
        for _ in range(3000):
            try:
                session.tell()
            except futures.InvalidStateError as error:
                failed.append(error)

    threads = [threading.Thread(target=tell) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failed
