# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the parts one after the other, each in a process of its own with a time limit."""
import faulthandler
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Callable, Iterable, List, Mapping, NamedTuple, Sequence

from ltp_ros.research.benchmarks.gpu.parts import (
    FAILED,
    LEVELS,
    PASSED,
    SKIPPED,
    Part,
    Result,
    Settings,
    Skip,
    Task,
)
from ltp_ros.research.benchmarks.gpu.report import write_report

GRACE_S = 10.0     # past its time limit, for a part that rarely checks the clock
LEAST_S = 1.0      # minimum time limit of a part
LOG = 'log.txt'
OVERTIME = 'terminated: it exceeded its time limit'
# Imported once for all parts, so that a part starts in 10 ms. The module must not initialise
# CUDA, which does not survive a fork
PRELOADED = ['ltp_ros.research.benchmarks.gpu.subjects']


class Ended(NamedTuple):
    """The last message of a part."""

    status: str
    reason: str = ''


def run_parts(parts: Sequence[Part], settings: Settings, minutes: float,
              head: Mapping[str, object],
              progress: Callable[[str, float], None]) -> List[Result]:
    """Run the parts in order and write the report after each.

    Time that a part does not use goes to the parts after it.

    Args:
        parts: the most valuable first, since time may run out.
        settings: for all parts.
        minutes: time limit for all parts together.
        head: head of the report.
        progress: called with the name of each part at its start, and the share of the time used.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    start = time.monotonic()
    end = start + 60.0 * minutes
    progress('loading', 0.0)
    first = context.Process(target=int)  # does nothing: the imports count against no part
    first.start()
    first.join()
    results: List[Result] = []
    (Path(settings.output) / LOG).write_text('')
    for index, part in enumerate(parts):
        progress(part.name, (time.monotonic() - start) / (end - start))
        left_s = end - time.monotonic()
        remaining = [each for each in parts[index:] if can_run(each, settings)]
        share = part.seconds / max(sum(each.seconds for each in remaining), part.seconds)
        limit_s = max(share * (left_s - GRACE_S), min(LEAST_S, left_s))
        results.append(_run_part(context, part, settings, limit_s, left_s))
        write_report(Path(settings.output), head, results)
    progress('', 1.0)
    return results


def can_run(part: Part, settings: Settings) -> bool:
    """Return whether the run has the device that the part needs."""
    return settings.device == 'cuda' or not part.needs_gpu


def _run_part(context: ForkServerContext, part: Part, settings: Settings, limit_s: float,
              left_s: float) -> Result:
    result = Result(part.name, part.title)
    if not can_run(part, settings):
        result.reason = 'needs a CUDA device'
        return result
    if limit_s < LEAST_S:
        result.reason = 'no time left'
        return result
    start = time.monotonic()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(part, settings, limit_s, sender))
    process.start()
    sender.close()  # the part has its own; EOF comes when all are closed
    try:
        ended = _listen(receiver, result, start + min(limit_s + GRACE_S, left_s))
        process.join(0.0 if ended.reason == OVERTIME else GRACE_S)
    finally:
        for stop in (process.terminate, process.kill):
            if process.is_alive():
                stop()
                process.join(GRACE_S)
        shutil.rmtree(Path(settings.output) / LEVELS, ignore_errors=True)
    result.seconds = round(time.monotonic() - start, 1)
    result.status, result.reason = ended
    if ended.status == FAILED and not ended.reason:
        result.reason = f'exited with code {process.exitcode}; see {LOG}'
    elif ended.status == PASSED and result.failed_checks:
        result.status = FAILED
        result.reason = '; '.join(f'does not hold: {check.sentence} ({check.found})'
                                  for check in result.failed_checks)
    return result


def _listen(receiver: Connection, result: Result, end: float) -> Ended:
    """Collect the findings of a part in `result`; return how it ended."""
    while True:
        if not receiver.poll(max(end - time.monotonic(), 0.0)):
            return Ended(FAILED, OVERTIME)
        try:
            message = receiver.recv()
        except EOFError:
            return Ended(FAILED)
        if isinstance(message, Ended):
            return message
        result.take(message)


def _in_process(part: Part, settings: Settings, limit_s: float, sender: Connection) -> None:
    """Run a part with its output redirected to the log."""
    log = os.open(str(Path(settings.output) / LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    faulthandler.enable()
    os.write(log, f'--- {part.name}\n'.encode())
    try:
        part.run(Task(settings, limit_s, sender.send))
        sender.send(Ended(PASSED))
    except Skip as reason:
        sender.send(Ended(SKIPPED, str(reason)))
    except Exception:  # noqa: BLE001  no error of a part may stop the others
        traceback.print_exc()
        sender.send(Ended(FAILED, traceback.format_exc()))
    sys.stdout.flush()


def failures(results: Iterable[Result]) -> List[str]:
    """Return the names of the parts that failed."""
    return [result.name for result in results if result.status == FAILED]
