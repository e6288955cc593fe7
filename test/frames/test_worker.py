# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The worker's thread: what it hands back, and how it ends."""
import gc
import threading
import time
import weakref
from types import SimpleNamespace

import pytest

from ltp_ros.frames.drops import Abandoned, FrameDropped
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.worker import NAME, Worker, at_work

TIMEOUT_S = 30.0  # of waits that end at once unless the worker is broken


class Bench:
    """A worker, a pipeline of the test's choice, and the listener to which it hands back."""

    def __init__(self, process):
        self._process = process
        self.mailbox = Mailbox()
        self.handed_back = []
        self.active = True
        self.gap = lambda cost_ms: True
        self.worker = Worker()
        self._noted = threading.Event()

    def start(self):
        self.worker.start(self, self)

    # As a pipeline

    def take(self, timeout_s=None):
        return self.mailbox.take(timeout_s)

    def has_gap(self, cost_ms):
        return self.gap(cost_ms)

    def process(self, frame):
        return SimpleNamespace(frame=frame, prediction=self._process(frame))

    def finish(self, processed):
        return f'latency of {processed.frame.message}'

    def give_up(self, processed):
        self.note('given up', processed.frame)

    # As a listener

    def publish(self, processed):
        return self.active

    def on_answer(self, processed, latency):
        assert latency == f'latency of {processed.frame.message}'
        self.note('answer', processed.frame, processed.prediction)

    def on_drop(self, frame, drop):
        self.note('drop', frame, drop.reason)

    def on_failure(self, error):
        self.note('failure', error)

    def note(self, *what):
        self.handed_back.append(what)
        self._noted.set()

    def work_on(self, frame):
        """Hand a frame to the worker and wait for what it hands back."""
        self._noted.clear()
        self.mailbox.put(frame)
        assert self._noted.wait(TIMEOUT_S)

    def stopping(self):
        """Begin to stop the worker; return the thread that waits for its end."""
        thread = threading.Thread(target=self.worker.stop, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def prepare():
    """Return a function that makes a `Bench`; every worker is stopped afterwards."""
    benches = []

    def make(process):
        benches.append(Bench(process))
        return benches[-1]

    yield make
    for bench in benches:
        bench.mailbox.close()
        bench.worker.stop()


@pytest.fixture
def start(prepare):
    """Return a function that makes a `Bench` that works already."""
    def make(process):
        bench = prepare(process)
        bench.start()
        return bench
    return make


class Gate:
    """A pipeline that stays in its first frame until it is let go."""

    def __init__(self):
        self._begun, self._go_on = threading.Event(), threading.Event()

    def __call__(self, frame):
        self._begun.set()
        assert self._go_on.wait(TIMEOUT_S)
        return 'finished'

    def wait_until_in_work(self):
        assert self._begun.wait(TIMEOUT_S)

    def let_go(self):
        self._go_on.set()


def frame(index):
    return Frame('image', index, receive_ns=0, age_at_receive_ms=0.0)


def raising(error):
    def process(frame):
        raise error
    return process


def test_each_frame_is_handed_back_with_its_answer(start):
    bench = start(lambda frame: f'answer {frame.message}')
    for index in range(3):
        bench.work_on(frame(index))
    assert bench.handed_back == [('answer', frame(i), f'answer {i}') for i in range(3)]


def test_a_frame_that_may_not_be_published_is_given_up_and_not_finished(start):
    bench = start(lambda frame: 'answer')
    bench.active = False
    bench.work_on(frame(0))
    assert bench.handed_back == [('given up', frame(0))]


def test_the_model_is_prepared_in_the_thread_that_uses_it_and_in_no_other(prepare):
    bench = prepare(lambda frame: threading.current_thread())
    thread = bench.worker.submit(threading.current_thread).result()
    bench.start()
    bench.work_on(frame(0))
    assert bench.handed_back == [('answer', frame(0), thread)]
    assert thread is not threading.current_thread()


def test_what_preparing_raises_is_raised_to_the_caller(prepare):
    error = ValueError('no such model')
    with pytest.raises(ValueError) as raised:
        prepare(None).worker.submit(lambda: raising(error)(None)).result()
    assert raised.value is error


def test_a_drop_is_handed_back_with_its_reason_and_the_next_frame_is_worked_on(start):
    bench = start(raising(FrameDropped('too old', 'a sentence')))
    bench.work_on(frame(0))
    bench.work_on(frame(1))
    assert bench.handed_back == [('drop', frame(0), 'too old'), ('drop', frame(1), 'too old')]


@pytest.mark.parametrize('error', [KeyError('bug'), RuntimeError('out of memory'), SystemExit()])
def test_anything_else_that_is_raised_is_handed_back_as_a_failure(start, error):
    bench = start(raising(error))
    bench.work_on(frame(0))
    assert bench.handed_back == [('failure', error)]


def test_an_error_while_handing_back_is_a_failure_too(start):
    bench = start(lambda frame: 'answer')
    error, note = TypeError('bug in the node'), bench.note
    bench.note = lambda *what: note(*what) if what[0] == 'failure' else raising(error)(what)
    bench.work_on(frame(0))
    assert bench.handed_back == [('failure', error)]


def test_after_a_failure_no_frame_is_worked_on(start):
    bench = start(raising(KeyError('bug')))
    bench.work_on(frame(0))
    bench.mailbox.put(frame(1))
    bench.worker.submit(lambda: None).result()  # not before the work is over
    assert len(bench.handed_back) == 1
    assert bench.mailbox.take() == frame(1)


def test_stopping_waits_for_the_frame_in_work(start):
    gate = Gate()
    bench = start(gate)
    bench.mailbox.put(frame(0))
    gate.wait_until_in_work()
    stopping = bench.stopping()
    gate.let_go()
    stopping.join(TIMEOUT_S)
    assert not stopping.is_alive()
    assert bench.handed_back == [('answer', frame(0), 'finished')]


def test_stopping_leaves_a_waiting_frame_undone_and_counted(start):
    gate = Gate()
    bench = start(gate)
    bench.mailbox.put(frame(0))
    gate.wait_until_in_work()
    bench.mailbox.put(frame(1))
    bench.mailbox.close()  # as `stop` does first
    gate.let_go()
    bench.worker.stop()
    assert bench.handed_back == [('answer', frame(0), 'finished')]
    assert bench.mailbox.dropped == {('image', 'inactive'): 1}


class Hanging:
    """A pipeline whose first piece of work hangs, as in a driver, until it is let go."""

    def __init__(self, result=Abandoned):
        self.gate, self.result, self.threads = Gate(), result, []

    def __call__(self, frame):
        self.threads.append(threading.current_thread())
        if len(self.threads) > 1:
            return 'answer'
        self.gate(frame)
        raise self.result


@pytest.fixture
def hanging(prepare):
    """Return a function that makes a `Bench` that hangs in what it is given, and that thing."""
    gates = []

    def make(begin, result=Abandoned):
        work = Hanging(result)
        gates.append(work.gate)
        bench = prepare(work)
        bench.start()
        asked = begin(bench, work)
        work.gate.wait_until_in_work()
        return bench, work, asked

    yield make
    for gate in gates:
        gate.let_go()


def by_frame(bench, work):
    bench.mailbox.put(frame(0))


def by_request(bench, work):
    return bench.worker.request(lambda: work(None))


@pytest.mark.parametrize('begin', [by_frame, by_request])
def test_a_worker_that_hangs_is_replaced_and_what_it_brings_later_is_for_nobody(hanging, begin):
    bench, work, asked = hanging(begin)
    prepared = []
    bench.worker.replace('it hangs')
    bench.worker.start(bench, bench, lambda: prepared.append(threading.current_thread()))
    bench.work_on(frame(1))
    assert bench.handed_back == [('answer', frame(1), 'answer')]
    if asked is not None:
        with pytest.raises(RuntimeError, match='it hangs'):
            asked.result(TIMEOUT_S)
    work.gate.let_go()
    work.threads[0].join(TIMEOUT_S)
    assert not work.threads[0].is_alive()
    assert prepared == work.threads[1:] and bench.handed_back == [
        ('answer', frame(1), 'answer')]
    bench.work_on(frame(2))
    assert work.threads[2] is work.threads[1]


def test_requests_that_wait_behind_a_hang_are_answered_by_the_next_thread(hanging):
    bench, _, _ = hanging(by_frame)
    asked = bench.worker.request(lambda: 'done')
    bench.worker.replace('it hangs')
    bench.worker.start(bench, bench)
    assert asked.result(TIMEOUT_S) == 'done'


def test_requests_that_wait_behind_a_request_that_hangs_are_answered_by_the_next_thread(start):
    bench, first, hangs = start(lambda frame: 'answer'), Gate(), Gate()
    bench.worker.request(lambda: first(None))
    first.wait_until_in_work()
    bench.worker.request(lambda: hangs(None))  # both meanwhile: they wake the worker once
    asked = bench.worker.request(lambda: 'done')
    first.let_go()
    hangs.wait_until_in_work()
    bench.worker.replace('it hangs')
    bench.worker.start(bench, bench)
    assert asked.result(TIMEOUT_S) == 'done'
    hangs.let_go()


def test_an_idle_worker_keeps_neither_the_last_frame_nor_the_last_request(start):
    bench, image = start(lambda frame: 'answer'), threading.Event()  # which can be referred to
    kept = weakref.ref(image)
    bench.work_on(Frame('image', image, receive_ns=0, age_at_receive_ms=0.0))
    bench.handed_back.clear()
    assert bench.worker.request(lambda image=image: 'done').result(TIMEOUT_S) == 'done'
    del image
    deadline = time.monotonic() + TIMEOUT_S
    while kept() is not None and time.monotonic() < deadline:
        time.sleep(0.01)  # until the thread waits for the next
        gc.collect()
    assert kept() is None


def test_a_bug_that_shows_in_a_thread_that_was_left_behind_fails_nothing(hanging):
    bench, work, _ = hanging(by_frame, KeyError('bug'))
    bench.worker.replace('it hangs')
    bench.worker.start(bench, bench)
    work.gate.let_go()
    work.threads[0].join(TIMEOUT_S)
    bench.work_on(frame(1))
    assert bench.handed_back == [('answer', frame(1), 'answer')]


def test_a_worker_that_cannot_be_made_ready_again_is_a_failure(hanging):
    bench, _, _ = hanging(by_frame)
    bench.worker.replace('it hangs')
    bench._noted.clear()
    bench.worker.start(bench, bench, lambda: raising(RuntimeError('lost'))(None))
    assert bench._noted.wait(TIMEOUT_S)
    assert [what for what, _ in bench.handed_back] == ['failure']


def test_stopping_leaves_a_thread_that_hangs_behind_and_says_so(hanging):
    bench, work, _ = hanging(by_frame, KeyError('bug'))
    assert bench.worker.stop(patience_s=0.0) is False and at_work()
    work.gate.let_go()
    work.threads[0].join(TIMEOUT_S)
    assert not bench.handed_back  # by then nobody can do anything with it


def test_a_request_in_work_when_the_worker_is_left_behind_is_cancelled(hanging):
    bench, work, asked = hanging(by_request, KeyError('bug'))
    assert bench.worker.stop(patience_s=0.0) is False and asked.cancelled()
    work.gate.let_go()
    work.threads[0].join(TIMEOUT_S)
    assert not bench.handed_back


def test_no_thread_of_a_worker_keeps_a_program_from_ending(hanging):
    hanging(by_frame)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == NAME)


@pytest.mark.parametrize('times', [1, 2])
def test_an_idle_worker_can_be_stopped_and_tells_no_failure(start, times):
    bench = start(lambda frame: 'answer')
    for _ in range(times):
        stopping = bench.stopping()
        stopping.join(TIMEOUT_S)
        assert not stopping.is_alive()
    assert not bench.handed_back


def test_a_worker_that_never_started_can_be_stopped(prepare):
    stopping = prepare(None).stopping()
    stopping.join(TIMEOUT_S)
    assert not stopping.is_alive()


def test_requests_are_fulfilled_in_the_worker_s_thread_though_no_frame_comes(start):
    bench = start(lambda frame: 'answer')
    asked = [bench.worker.request(threading.current_thread) for _ in range(3)]
    assert {work.result(TIMEOUT_S).name for work in asked} == {'ltp_worker'}


def test_a_request_that_fails_is_told_to_whoever_asked_and_the_work_goes_on(start):
    bench = start(lambda frame: 'answer')
    with pytest.raises(ZeroDivisionError):
        bench.worker.request(lambda: 1 / 0).result(TIMEOUT_S)
    bench.work_on(frame(0))
    assert bench.handed_back == [('answer', frame(0), 'answer')]


def test_frames_and_requests_take_turns(prepare):
    gate = Gate()
    bench = prepare(gate)
    order = []
    bench.start()
    bench.mailbox.put(frame(0))
    gate.wait_until_in_work()
    bench.note = lambda *what: order.append(what[1].message)
    asked = [bench.worker.request(lambda index=index: order.append(f'request {index}'))
             for index in range(2)]
    bench.mailbox.put(frame(1))
    gate.let_go()
    for work in asked:
        work.result(TIMEOUT_S)
    assert order == [0, 'request 0', 1, 'request 1']


def test_requests_that_wait_when_the_worker_stops_are_cancelled(start):
    gate = Gate()
    bench = start(gate)
    bench.mailbox.put(frame(0))
    gate.wait_until_in_work()
    asked = [bench.worker.request(lambda: 'done') for _ in range(2)]
    stopping = bench.stopping()
    until_closed = threading.Event()
    while not bench.mailbox.closed:
        until_closed.wait(0.001)
    gate.let_go()
    stopping.join(TIMEOUT_S)
    assert asked[1].cancelled() and all(work.done() for work in asked)


def steps_of(done, *costs_ms):
    """Yield costs; note each step, and the thread that it was done in, in `done`."""
    for cost_ms in costs_ms:
        yield cost_ms
        done.append((cost_ms, threading.current_thread().name))


def test_spare_time_work_is_done_in_the_worker_s_thread_though_no_frame_comes(start):
    bench, done = start(lambda frame: 'answer'), []
    assert bench.worker.spare_time(steps_of(done, 1.0, 2.0)).result(TIMEOUT_S) is None
    assert done == [(1.0, NAME), (2.0, NAME)]


def test_a_step_waits_for_a_gap_that_holds_it_and_frames_are_answered_meanwhile(start):
    bench, done = start(lambda frame: 'answer'), []
    bench.gap = lambda cost_ms: cost_ms < 2.0
    end = bench.worker.spare_time(steps_of(done, 1.0, 2.0))
    for number in range(3):
        bench.work_on(Frame('image', number, 0, 0.0))
    assert not end.done() and [cost_ms for cost_ms, _ in done] == [1.0]
    bench.gap = lambda cost_ms: True
    end.result(TIMEOUT_S)
    assert [cost_ms for cost_ms, _ in done] == [1.0, 2.0]


def test_between_two_steps_a_frame_that_waits_is_answered(start):
    order = []
    bench = start(lambda frame: order.append(frame.message))

    def steps():
        for number in range(3):
            yield 1.0
            order.append('step')
            bench.mailbox.put(Frame('image', number, 0, 0.0))

    bench.worker.spare_time(steps()).result(TIMEOUT_S)
    assert [each for each in order if each == 'step' or each < 2] == ['step', 0, 'step', 1, 'step']


def test_work_is_done_one_after_the_other_and_what_fails_is_told(start):
    bench, done = start(lambda frame: 'answer'), []

    def failing():
        yield 1.0
        raise ValueError('no such picture')

    first, second = (bench.worker.spare_time(steps) for steps in (
        failing(), steps_of(done, 5.0)))
    second.result(TIMEOUT_S)
    assert done and isinstance(first.exception(), ValueError)


def test_work_that_waits_for_a_gap_when_the_worker_stops_is_cancelled(start):
    bench = start(lambda frame: 'answer')
    bench.gap = lambda cost_ms: False
    end = bench.worker.spare_time(steps_of([], 1.0))
    bench.worker.stop()
    assert end.cancelled()


def test_a_step_that_hangs_is_told_when_the_worker_is_replaced_and_the_rest_goes_on(start):
    bench, hung, released, done = start(lambda frame: 'answer'), *(
        threading.Event() for _ in range(2)), []

    def hanging():
        yield 1.0
        hung.set()
        released.wait(TIMEOUT_S)
        raise Abandoned

    first, second = (bench.worker.spare_time(steps) for steps in (
        hanging(), steps_of(done, 5.0)))
    assert hung.wait(TIMEOUT_S)
    bench.worker.replace('it hung')
    with pytest.raises(RuntimeError, match='it hung'):
        first.result(TIMEOUT_S)
    bench.start()
    second.result(TIMEOUT_S)
    released.set()
    assert len(done) == 1


def test_what_is_asked_of_a_worker_that_has_stopped_is_cancelled_at_once(start):
    bench = start(lambda frame: 'answer')
    bench.worker.stop()
    assert bench.worker.request(lambda: 1).cancelled()
    assert bench.worker.spare_time(steps_of([], 1.0)).cancelled()
