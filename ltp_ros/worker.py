# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that works on the frames, so that the one that receives them never waits."""
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Optional, TypeVar

from ltp_ros.mailbox import Frame, Mailbox
from ltp_ros.pipeline import Answer, FrameDropped, Pipeline

T = TypeVar('T')


class Worker:
    """One thread that first prepares a pipeline and then feeds it from its mailbox."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='ltp_worker')
        self._mailbox: Optional[Mailbox] = None

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the worker's thread; return its result or raise what it raised.

        A model is warmed up here: torch keeps a pool of threads for each thread that calls it.
        """
        return self._thread.submit(function).result()

    def start(self, pipeline: Pipeline, on_answer: Callable[[Frame, Answer], None],
              on_drop: Callable[[Frame, FrameDropped], None],
              on_failure: Callable[[BaseException], None]) -> None:
        """Process frames until `stop`.

        Args:
            pipeline: called in the worker's thread alone; its mailbox is closed by `stop`.
            on_answer: called with each frame that was answered.
            on_drop: called with each frame that was given up, and why.
            on_failure: called with anything else that is raised; it ends the work. A program
                whose worker is gone would look alive and answer nothing.
        """
        self._mailbox = pipeline.mailbox

        def finished(work: Future) -> None:
            error = work.exception()
            if error is not None:
                on_failure(error)

        self._thread.submit(_work, pipeline, on_answer, on_drop).add_done_callback(finished)

    def stop(self) -> None:
        """Let the worker finish its frame and end."""
        if self._mailbox is not None:
            self._mailbox.close()
        self._thread.shutdown()


def _work(pipeline: Pipeline, on_answer: Callable[[Frame, Answer], None],
          on_drop: Callable[[Frame, FrameDropped], None]) -> None:
    while True:
        frame = pipeline.mailbox.take()
        if frame is None:
            return
        try:
            on_answer(frame, pipeline.process(frame))
        except FrameDropped as drop:
            on_drop(frame, drop)
