# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Background work: the newest item, one at a time, and an end that waits."""
import os
import threading

import pytest

from ltp_ros.frames import background
from ltp_ros.frames.background import NICENESS, Background
from ltp_ros.frames.worker import at_work

TIMEOUT_S = 30.0


@pytest.fixture
def work():
    """Return a `Background` that stays in each item until it is let go, and what it has done."""
    work = Gated()
    yield work
    work.let_go()
    work.background.stop()


class Gated:
    """Work that waits in each item until it is let go."""

    def __init__(self):
        self.done, self.errors, self.niceness = [], [], None
        self._begun, self._go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.background = Background(self, self.errors.append)

    def __call__(self, item):
        self._begun.release()
        assert self._go_on.acquire(timeout=TIMEOUT_S)
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        if isinstance(item, Exception):
            raise item
        self.done.append(item)

    def wait_until_in_work(self):
        assert self._begun.acquire(timeout=TIMEOUT_S)

    def let_go(self, times=100):
        for _ in range(times):
            self._go_on.release()


def test_of_the_items_offered_meanwhile_the_newest_is_worked_on(work):
    work.background.offer('first', 0.0)
    work.wait_until_in_work()
    for item in ('second', 'third', 'fourth'):
        work.background.offer(item, 0.0)
    work.let_go(1)
    work.wait_until_in_work()
    work.let_go()
    work.background.stop()
    assert work.done == ['first', 'fourth']


def test_it_yields_to_every_other_thread(work):
    before = os.getpriority(os.PRIO_PROCESS, 0)
    work.let_go()
    work.background.offer('item', 0.0)
    work.wait_until_in_work()
    work.background.stop()
    assert work.niceness == min(before + NICENESS, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_it_yields_in_a_process_that_was_started_with_nice_too():
    niceness = []

    def nice():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 18)
        work = Gated()
        work.let_go()
        work.background.offer('item', 0.0)
        work.wait_until_in_work()
        work.background.stop()
        niceness.append(work.niceness)

    thread = threading.Thread(target=nice)  # of which the background inherits it
    thread.start()
    thread.join()
    assert niceness == [19]


def test_an_item_that_comes_before_its_time_waits_and_a_stop_does_not_wait_for_it(work):
    work.let_go()
    work.background.offer('first', 3600.0)
    work.wait_until_in_work()
    work.background.offer('second', 3600.0)
    work.background.stop()
    assert work.done == ['first']


def test_stopping_waits_for_the_item_in_work(work):
    work.background.offer('first', 0.0)
    work.wait_until_in_work()
    stopping = threading.Thread(target=work.background.stop, daemon=True)
    stopping.start()
    work.let_go()
    stopping.join(TIMEOUT_S)
    assert not stopping.is_alive() and work.done == ['first']


def test_an_item_that_cannot_be_worked_on_is_told_and_the_next_one_is_worked_on(work):
    work.let_go()
    errors = [ValueError('no such colour'), MemoryError()]
    for item in (*errors, 'third'):
        work.background.offer(item, 0.0)
        work.wait_until_in_work()
    work.background.stop()
    assert work.errors == errors and work.done == ['third']


def test_where_a_thread_may_not_yield_it_works_all_the_same(monkeypatch):
    def forbidden(*arguments):
        raise PermissionError(1, 'not permitted')

    monkeypatch.setattr(os, 'setpriority', forbidden)
    work = Gated()
    work.let_go()
    work.background.offer('item', 0.0)
    work.wait_until_in_work()
    work.background.stop()
    assert work.done == ['item']


def test_stopping_leaves_a_drawing_that_hangs_behind_and_the_process_knows(work, monkeypatch):
    monkeypatch.setattr(background, 'PATIENCE_S', 0.05)
    work.background.offer('first', 0.0)
    work.wait_until_in_work()
    work.background.stop()
    assert at_work()
