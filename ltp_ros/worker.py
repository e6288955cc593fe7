# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that works on the frames, so that the one that receives them never waits."""
import threading
from typing import Callable

from ltp_ros.mailbox import Frame, Mailbox
from ltp_ros.pipeline import Answer, FrameDropped, Pipeline


class Worker:
    """Take frames from the mailbox and process them until it is stopped.

    Args:
        mailbox: closed by `stop`.
        pipeline: called in the worker's thread alone.
        on_answer: called with each frame that was answered.
        on_drop: called with each frame that was given up, and why.
        on_failure: called if anything else is raised, once; the exception ends the thread. A
            program without its worker would look alive and answer nothing.
        is_running: false once the process is told to stop; publishing then raises RuntimeError,
            which is no failure.
    """

    def __init__(self, mailbox: Mailbox, pipeline: Pipeline,
                 on_answer: Callable[[Frame, Answer], None],
                 on_drop: Callable[[Frame, FrameDropped], None],
                 on_failure: Callable[[], None], is_running: Callable[[], bool]):
        self._mailbox = mailbox
        self._pipeline = pipeline
        self._on_answer = on_answer
        self._on_drop = on_drop
        self._on_failure = on_failure
        self._is_running = is_running
        self._thread = threading.Thread(target=self._run, name='ltp_worker', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the worker finish its frame and end."""
        self._mailbox.close()
        self._thread.join()

    def _run(self) -> None:
        finished = False
        try:
            self._work()
            finished = True
        finally:
            if not finished:
                self._on_failure()

    def _work(self) -> None:
        while True:
            frame = self._mailbox.take()
            if frame is None:
                return
            try:
                self._on_answer(frame, self._pipeline.process(frame))
            except FrameDropped as drop:
                self._on_drop(frame, drop)
            except RuntimeError:
                if self._is_running():
                    raise
                return
