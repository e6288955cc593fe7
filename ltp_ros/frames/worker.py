# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that works on the frames, so that the one that receives them never waits."""
from collections import deque
from concurrent import futures
from typing import Any, Callable, Deque, Optional, Protocol, Tuple, TypeVar

from ltp_ros.frames.latency import FrameLatency
from ltp_ros.frames.mailbox import Frame, Mailbox
from ltp_ros.frames.pipeline import FrameDropped, Pipeline, ProcessedFrame

T = TypeVar('T')


class FrameListener(Protocol):
    """Receives the outcome of each frame, in the worker's thread."""

    def publish(self, processed: ProcessedFrame) -> bool:
        """Publish a prediction; return False if nothing may be published now."""

    def on_answer(self, processed: ProcessedFrame, latency: FrameLatency) -> None:
        """Take the latency of a frame that was published."""

    def on_drop(self, frame: Frame, drop: FrameDropped) -> None:
        """Take the reason why a frame was not answered."""

    def on_failure(self, error: BaseException) -> None:
        """Take whatever else was raised. It ends the work: the program should end with it."""


class Worker:
    """One thread that first prepares a pipeline and then feeds it from its mailbox."""

    def __init__(self) -> None:
        self._thread = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix='ltp_worker')
        self._mailbox: Optional[Mailbox] = None
        self._requests: Deque[Tuple[futures.Future[Any], Callable[[], object]]] = deque()

    def submit(self, function: Callable[[], T]) -> 'futures.Future[T]':
        """Run a function in the worker's thread, before `start`.

        A model is warmed up here: torch keeps a pool of threads for each thread that calls it.
        """
        return self._thread.submit(function)

    def start(self, pipeline: Pipeline, listener: FrameListener) -> None:
        """Process frames until `stop`.

        Args:
            pipeline: called in the worker's thread alone; its mailbox is closed by `stop`.
            listener: see there.
        """
        self._mailbox = pipeline.mailbox

        def finished(work: 'futures.Future[None]') -> None:
            error = work.exception()
            if error is not None:
                listener.on_failure(error)

        self._thread.submit(self._work, pipeline, listener).add_done_callback(finished)

    def request(self, function: Callable[[], T]) -> 'futures.Future[T]':
        """Run a function in the worker's thread after the frame in work; cancelled by `stop`."""
        assert self._mailbox is not None  # `start` comes first
        future: futures.Future[T] = futures.Future()
        self._requests.append((future, function))
        self._mailbox.wake()
        return future

    def stop(self, wait: bool = True) -> None:
        """Let the worker finish its frame and end."""
        if self._mailbox is not None:
            self._mailbox.close()
        self._thread.shutdown(wait)
        while self._requests:
            self._requests.popleft()[0].cancel()

    def _work(self, pipeline: Pipeline, listener: FrameListener) -> None:
        while not pipeline.mailbox.closed:
            frame = pipeline.take()
            if frame is not None:
                _process(frame, pipeline, listener)
            if self._requests:  # one, then the next frame: neither keeps the other waiting
                _fulfil(*self._requests.popleft())
            if self._requests:
                pipeline.mailbox.wake()


def _process(frame: Frame, pipeline: Pipeline, listener: FrameListener) -> None:
    try:
        processed = pipeline.process(frame)
    except FrameDropped as drop:
        listener.on_drop(frame, drop)
        return
    if listener.publish(processed):
        listener.on_answer(processed, pipeline.finish(processed))
    else:
        pipeline.give_up(processed)


def _fulfil(future: 'futures.Future[Any]', function: Callable[[], object]) -> None:
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001  whatever it is, it is for whoever asked
        future.set_exception(error)
