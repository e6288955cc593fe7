# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The worker's thread: what it hands back, and how it ends."""
import threading

import pytest

from ltp_ros.mailbox import Frame, Mailbox
from ltp_ros.pipeline import FrameDropped
from ltp_ros.worker import Worker

TIMEOUT_S = 60.0  # of waits that end at once unless the worker is broken


class Bench:
    """A worker on a pipeline of the test's choice, and what it hands back."""

    def __init__(self, process):
        self.process = process
        self.mailbox = Mailbox()
        self.handed_back = []
        self.running = True
        self.event = threading.Event()
        self.worker = Worker(
            self.mailbox, self, lambda frame, answer: self.note('answer', frame, answer),
            lambda frame, drop: self.note('drop', frame, drop.reason),
            lambda: self.note('failure'), lambda: self.running)

    def note(self, *what):
        self.handed_back.append(what)
        self.event.set()

    def work_on(self, frame):
        """Hand a frame to the worker and wait for what it hands back."""
        self.event.clear()
        self.mailbox.put(frame)
        assert self.event.wait(TIMEOUT_S)

    def thread_ended(self):
        self.worker._thread.join(TIMEOUT_S)
        return not self.worker._thread.is_alive()


@pytest.fixture
def bench():
    """Return a function that makes a `Bench`; every worker is stopped afterwards."""
    benches = []

    def make(process):
        benches.append(Bench(process))
        return benches[-1]

    yield make
    for bench in benches:
        bench.worker.stop()


@pytest.fixture
def uncaught(monkeypatch):
    """Return a list of the exceptions that ended a thread, instead of their tracebacks."""
    exceptions = []
    monkeypatch.setattr(threading, 'excepthook', lambda args: exceptions.append(args.exc_value))
    return exceptions


def frame(index):
    return Frame('image', index, receive_ns=0, age_at_receive_ms=0.0)


def raising(error):
    def process(frame):
        raise error
    return process


def test_each_frame_is_handed_back_with_its_answer(bench):
    bench = bench(lambda frame: f'answer {frame.message}')
    for index in range(3):
        bench.work_on(frame(index))
    assert bench.handed_back == [('answer', frame(i), f'answer {i}') for i in range(3)]


def test_the_pipeline_never_runs_in_the_thread_that_leaves_the_frame(bench):
    bench = bench(lambda frame: threading.current_thread())
    bench.work_on(frame(0))
    assert bench.handed_back[0][2] is not threading.current_thread()


def test_a_drop_is_handed_back_with_its_reason_and_the_next_frame_is_worked_on(bench):
    bench = bench(raising(FrameDropped('too old', 'a sentence')))
    bench.work_on(frame(0))
    bench.work_on(frame(1))
    assert bench.handed_back == [('drop', frame(0), 'too old'), ('drop', frame(1), 'too old')]


@pytest.mark.parametrize('error', [KeyError('bug'), RuntimeError('out of memory')])
def test_an_unexpected_error_ends_the_thread_and_is_told_once(bench, uncaught, error):
    bench = bench(raising(error))
    bench.work_on(frame(0))
    assert bench.thread_ended()
    assert bench.handed_back == [('failure',)]
    assert uncaught == [error]


def test_an_error_while_handing_back_is_a_failure_too(bench, uncaught):
    bench = bench(lambda frame: 'answer')
    error, note = TypeError('bug in the node'), bench.note
    bench.note = lambda *what: note(*what) if what[0] == 'failure' else raising(error)(what)
    bench.work_on(frame(0))
    assert bench.thread_ended()
    assert bench.handed_back == [('failure',)]
    assert uncaught == [error]


def test_publishing_into_a_stopping_process_ends_the_thread_quietly(bench, uncaught):
    bench = bench(raising(RuntimeError('the context is not valid')))
    bench.running = False
    bench.mailbox.put(frame(0))
    assert bench.thread_ended()
    assert not bench.handed_back and not uncaught


def test_any_other_error_of_a_stopping_process_is_still_a_failure(bench, uncaught):
    bench = bench(raising(KeyError('bug')))
    bench.running = False
    bench.work_on(frame(0))
    assert bench.thread_ended()
    assert bench.handed_back == [('failure',)] and len(uncaught) == 1


def test_stopping_waits_for_the_frame_in_work(bench):
    begun, go_on = threading.Event(), threading.Event()

    def process(frame):
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        return 'finished'

    bench = bench(process)
    bench.mailbox.put(frame(0))
    assert begun.wait(TIMEOUT_S)
    stop = threading.Thread(target=bench.worker.stop, daemon=True)
    stop.start()
    assert not bench.handed_back
    go_on.set()
    stop.join(TIMEOUT_S)
    assert bench.handed_back == [('answer', frame(0), 'finished')]
    assert bench.thread_ended()


def test_stopping_leaves_a_waiting_frame_undone_and_counted(bench):
    begun, go_on = threading.Event(), threading.Event()

    def process(frame):
        begun.set()
        assert go_on.wait(TIMEOUT_S)

    bench = bench(process)
    bench.mailbox.put(frame(0))
    assert begun.wait(TIMEOUT_S)
    bench.mailbox.put(frame(1))
    bench.mailbox.close()
    go_on.set()
    bench.worker.stop()
    assert [what[1] for what in bench.handed_back] == [frame(0)]
    assert bench.mailbox.dropped == {('image', 'inactive'): 1}


def test_stopping_twice_does_no_harm(bench):
    bench = bench(lambda frame: 'answer')
    bench.worker.stop()
    bench.worker.stop()
    assert bench.thread_ended()
