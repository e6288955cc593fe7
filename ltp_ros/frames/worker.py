# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that works on the frames, so that the one that receives them never waits."""
import contextlib
import math
import queue
import threading
from collections import deque
from concurrent import futures
from typing import Any, Callable, Deque, Iterator, Optional, Protocol, Tuple, TypeVar

from ltp_ros.frames import background
from ltp_ros.frames.drops import Abandoned, FrameDropped
from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import Pipeline
from ltp_ros.frames.processed import Processed

T = TypeVar('T')
Job = Tuple['futures.Future[Any]', Callable[[], object]]
# Work in steps, each of which comes after the milliseconds that it takes
Steps = Iterator[float]
NAME = 'ltp_worker'  # of the threads
PATIENCE_S = 5.0  # with which a frame in work is waited for
LOOK_S = 0.005    # for a gap that is long enough


class FrameListener(Protocol):
    """Receives the outcome of each frame, in the worker's thread."""

    def publish(self, processed: Processed) -> bool:
        """Publish a prediction; return False if nothing may be published now.

        Raises:
            FrameDropped: if it cannot be published.
        """

    def on_answer(self, processed: Processed, latency: FrameLatency) -> None:
        """Take the latency of a frame that was published."""

    def on_drop(self, frame: Frame, drop: FrameDropped) -> None:
        """Take the reason why a frame was not answered."""

    def on_failure(self, error: BaseException) -> None:
        """Take whatever else was raised. It ends the work: the program should end with it."""


class Chore:
    """Work that is done step by step.

    Args:
        steps: as `Worker.spare_time` has them.
    """

    def __init__(self, steps: Steps):
        self._steps = steps
        self.next_ms = 0.0  # what the next step takes
        self.running = False
        self.end: futures.Future[None] = futures.Future()

    def step(self) -> bool:
        """Do a step; return whether the work is done, or has failed."""
        self.running = True
        try:
            self.next_ms = next(self._steps, math.inf)
        except Abandoned:
            raise  # whoever waits is told by `replace`
        except BaseException as error:  # noqa: BLE001  it is for whoever waits
            self.end.set_exception(error)
            return True
        self.running = False
        if math.isinf(self.next_ms):
            self.end.set_result(None)
            return True
        return False


class Worker:
    """One thread that first prepares a pipeline and then feeds it from its mailbox.

    It is not a `ThreadPoolExecutor`: Python ends no program before its threads have ended, and a
    driver that hangs never lets go of one.
    """

    def __init__(self) -> None:
        self._mailbox: Optional[Mailbox] = None
        self._requests: Deque[Job] = deque()
        self._asked: Optional[futures.Future[Any]] = None  # the request in work
        self._chores: Deque[Chore] = deque()
        self._left_behind = False
        self._new_thread()

    def submit(self, function: Callable[[], T]) -> 'futures.Future[T]':
        """Run a function in the worker's thread, before `start`.

        A model is warmed up here: torch keeps a pool of threads for each thread that calls it.
        """
        future: futures.Future[T] = futures.Future()
        self._jobs.put((future, function))
        return future

    def start(self, pipeline: Pipeline, listener: FrameListener,
              first: Callable[[], None] = lambda: None) -> None:
        """Process frames until `stop`.

        Args:
            pipeline: called in the worker's thread alone; its mailbox is closed by `stop`.
            listener: see there.
            first: called before the first frame is taken.
        """
        self._mailbox, thread = pipeline.mailbox, self._thread

        def work() -> None:
            first()
            with contextlib.suppress(Abandoned):
                self._work(pipeline, listener)

        def finished(done: 'futures.Future[None]') -> None:
            error = done.exception()
            if error is not None and self._thread is thread and not self._left_behind:
                listener.on_failure(error)

        self.submit(work).add_done_callback(finished)

    def request(self, function: Callable[[], T]) -> 'futures.Future[T]':
        """Run a function in the worker's thread after the frame in work; cancelled by `stop`."""
        assert self._mailbox is not None  # `start` comes first
        future: futures.Future[T] = futures.Future()
        if self._mailbox.closed:
            future.cancel()
        else:
            self._requests.append((future, function))
            self._mailbox.wake()
        return future

    def spare_time(self, steps: Steps) -> 'futures.Future[None]':
        """Do work in the gaps between frames, one after the other; cancelled by `stop`.

        Args:
            steps: yields what its next step takes, in milliseconds, before it is done.
        """
        assert self._mailbox is not None  # `start` comes first
        chore = Chore(steps)
        if self._mailbox.closed:
            chore.end.cancel()
        else:
            self._chores.append(chore)
            self._mailbox.wake()
        return chore.end

    def replace(self, reason: str) -> None:
        """Leave the thread to what it hangs in, and begin another, to be started anew.

        The pipeline's work must have been abandoned: the old thread ends when it is back from it.

        Args:
            reason: that whoever waits for a request in work is told.
        """
        asked = self._asked
        self._asked = None
        if self._chores and self._chores[0].running:
            asked = self._chores.popleft().end
        self._jobs.put(None)
        self._new_thread()
        if asked is not None:
            asked.set_exception(RuntimeError(reason))

    def stop(self, patience_s: float = PATIENCE_S) -> bool:
        """Let the worker finish its frame and end; return whether it did, within that time."""
        if self._mailbox is not None:
            self._mailbox.close()
        self._jobs.put(None)
        self._thread.join(patience_s)
        while self._requests:
            self._requests.popleft()[0].cancel()
        while self._chores:
            self._chores.popleft().end.cancel()
        self._left_behind = self._thread.is_alive()
        if self._left_behind and self._asked is not None:
            self._asked.cancel()
        return not self._left_behind

    def _new_thread(self) -> None:
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()  # of `Job`; None: the end
        self._thread = threading.Thread(target=_run, args=(self._jobs,), name=NAME, daemon=True)
        self._thread.start()

    def _work(self, pipeline: Pipeline, listener: FrameListener) -> None:
        if self._requests:  # left by a thread that was replaced
            pipeline.mailbox.wake()
        stepped = False
        while not pipeline.mailbox.closed:
            if self._chores:  # the gap may hold another step
                frame = pipeline.take(0.0 if stepped else LOOK_S)
            else:
                frame = pipeline.take()
            if frame is not None:
                _process(frame, pipeline, listener)
            del frame  # or its image is kept until the next
            if self._requests:  # one, then the next frame: neither keeps the other waiting
                self._asked, function = self._requests.popleft()
                _fulfil(self._asked, function)
                self._asked = None
                del function  # which has the image
            stepped = bool(self._chores) and pipeline.has_gap(self._chores[0].next_ms)
            if stepped:
                chore = self._chores[0]
                if chore.step() and self._chores and self._chores[0] is chore:
                    self._chores.popleft()
            if self._requests:
                pipeline.mailbox.wake()


def at_work() -> bool:
    """Return whether a thread that was stopped or replaced, here or for drawing, goes on."""
    return any(thread.name in (NAME, background.NAME) for thread in threading.enumerate())


def _run(jobs: queue.SimpleQueue) -> None:
    for job in iter(jobs.get, None):
        _fulfil(*job)


def _process(frame: Frame, pipeline: Pipeline, listener: FrameListener) -> None:
    try:
        processed = pipeline.process(frame)
    except FrameDropped as drop:
        listener.on_drop(frame, drop)
        return
    try:
        published = listener.publish(processed)
    except FrameDropped as drop:
        pipeline.give_up(processed, drop.reason)
        return
    if published:
        listener.on_answer(processed, pipeline.finish(processed))
    else:
        pipeline.give_up(processed)


def _fulfil(future: 'futures.Future[Any]', function: Callable[[], object]) -> None:
    try:
        result = function()
    except Abandoned:
        raise  # whoever asked is told by `replace`
    except BaseException as error:  # noqa: BLE001  whatever it is, it is for whoever asked
        future.set_exception(error)
    else:
        future.set_result(result)
