# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay` with several bags: a process a core, and no bag in the way of another."""
import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Callable, Deque, Dict, List, Optional, Sequence, Tuple, Type, Union

from ltp_ros.config import ClassifierConfig
from ltp_ros.model.card import ModelError
from ltp_ros.opening import ClassifierError
from ltp_ros.parameter import ConfigError
from ltp_ros.research.replay.part import Settings
from ltp_ros.tools.support import replay_job
from ltp_ros.tools.support.replay_job import Done, Job

TELL_EVERY_S = 0.2


@dataclass(frozen=True)
class Failed:
    """A bag without an output."""

    job: Job
    reason: str


Result = Union[Done, Failed]
OnEnd = Callable[[Result], None]
OnProgress = Callable[[Job, float], None]  # share of the bag that is done


def attempt(job: Job, progress: replay_job.Progress = lambda done, total: None,
            raised: Tuple[Type[Exception], ...] = ()) -> Result:
    """Replay a bag; whatever goes wrong is its result, but for what is to be raised."""
    notes: List[str] = []
    try:
        return replace(replay_job.run(job, notes.append, progress), notes=tuple(notes))
    except raised:
        raise
    except Exception as error:  # noqa: BLE001  the other bags are none the worse
        return Failed(job, str(error) or type(error).__name__)


def with_threads(job: Job, threads: int) -> Job:
    """Return a job whose model takes so many threads, unless it was told how many."""
    classifier = job.config.classifier
    return replace(job, config=replace(job.config, classifier=replace(
        classifier, num_threads=classifier.num_threads or threads)))


class _Worker:
    """A process that replays one bag after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context('spawn')  # a fork would share locks of torch
        self.pipe, theirs = context.Pipe()
        self.job: Optional[Job] = None
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # or its end would not be noticed

    def give(self, job: Job) -> None:
        self.job = job
        self.pipe.send(job)

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.pipe.close()


def run(jobs: Sequence[Job], processes: int, on_end: OnEnd, on_progress: OnProgress) -> None:
    """Replay bags, several at a time.

    Args:
        jobs: one for each bag.
        processes: how many at a time.
        on_end: called with the result of each bag, in the order in which they end.
        on_progress: called now and then with how far a bag is.

    Raises:
        ClassifierError, ConfigError, ModelError, OSError: if the model cannot be used.
    """
    threads = max(len(os.sched_getaffinity(0)) // processes, 1)
    os.environ.setdefault('OMP_NUM_THREADS', str(threads))  # which the processes inherit
    first = _Worker()
    workers: Dict[Connection, _Worker] = {first.pipe: first}
    try:
        left = deque(_alike([with_threads(job, threads) for job in jobs], first))
        first.give(left.popleft())
        while len(workers) < processes and left:
            _start(workers, left)
        while workers:
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                _hear(pipe, workers, left, on_end, on_progress)
    finally:
        for worker in workers.values():
            worker.end()


def _alike(jobs: Sequence[Job], worker: _Worker) -> List[Job]:
    """Return jobs in which 'auto' means the same; raise what keeps the model from running."""
    worker.pipe.send(jobs[0].config.classifier)
    try:
        told = worker.pipe.recv()
    except EOFError as error:
        raise ClassifierError('the process that loads the model was killed; if memory is short, '
                              'use fewer --jobs') from error
    if isinstance(told, Exception):
        raise told
    return [replace(job, auto=told) for job in jobs]


def _start(workers: Dict[Connection, _Worker], left: Deque[Job]) -> None:
    worker = _Worker()
    workers[worker.pipe] = worker
    worker.give(left.popleft())


def _hear(pipe: Connection, workers: Dict[Connection, _Worker], left: Deque[Job], on_end: OnEnd,
          on_progress: OnProgress) -> None:
    worker = workers[pipe]
    assert worker.job is not None
    try:
        told = pipe.recv()
    except (EOFError, OSError):  # it was killed, as the kernel does where memory is short
        worker.process.join()
        told = Failed(worker.job, f'its process ended with exit code {worker.process.exitcode}; '
                      'if memory is short, use fewer --jobs. Run the same command again to go on')
        del workers[pipe]
        worker.end()
    if isinstance(told, float):
        on_progress(worker.job, told)
        return
    on_end(told)
    if pipe in workers and left:
        worker.give(left.popleft())
    elif pipe in workers:
        workers.pop(pipe).end()
    elif left:
        _start(workers, left)


def _found(config: ClassifierConfig) -> Union[Settings, Exception]:
    try:
        return replay_job.meaning_of_auto(config)
    except (ClassifierError, ConfigError, ModelError, OSError) as error:
        return error


def _work(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it ends it
    told_s = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s > TELL_EVERY_S:
            told_s = time.monotonic()
            pipe.send(done / max(total, 1))

    with contextlib.suppress(EOFError, OSError):  # the one who started it is gone
        while True:
            asked = pipe.recv()
            pipe.send(attempt(asked, tell) if isinstance(asked, Job) else _found(asked))
