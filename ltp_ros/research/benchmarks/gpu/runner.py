# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the parts one after the other, each in a process of its own and within its time."""
import faulthandler
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Sequence

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

GRACE_S = 10.0     # beyond its time, for a part that does not look at the clock often enough
LEAST_S = 1.0      # less than this is no time for any part
LOG = 'log.txt'
OVERTIME = 'had to be ended: it took longer than its time'
# What every part imports, once: a part then starts in a hundredth of a second. Nothing here may
# start CUDA, which does not survive a fork
PRELOADED = ['ltp_ros.research.benchmarks.gpu.subjects']


def run_parts(parts: Sequence[Part], settings: Settings, minutes: float, head: Dict[str, Any],
              progress: Callable[[str, float], None]) -> List[Result]:
    """Run the parts in order and write the report after each.

    Time that a part leaves goes to those after it.

    Args:
        parts: the most valuable first, as the clock may cut off the rest.
        settings: for all of them.
        minutes: for everything.
        head: of the report.
        progress: told the name of the part that begins, and the share of the time gone by.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    start = time.monotonic()
    end = start + 60.0 * minutes
    progress('loading', 0.0)
    first = context.Process(target=int)  # nothing, so that no part waits for the imports
    first.start()
    first.join()
    results: List[Result] = []
    (Path(settings.output) / LOG).write_text('')
    for index, part in enumerate(parts):
        progress(part.name, (time.monotonic() - start) / (end - start))
        left_s = end - time.monotonic()
        to_come = [each for each in parts[index:] if can_run(each, settings)]
        share = part.seconds / max(sum(each.seconds for each in to_come), part.seconds)
        limit_s = max(share * (left_s - GRACE_S), min(LEAST_S, left_s))
        results.append(_run_part(context, part, settings, limit_s, left_s))
        write_report(Path(settings.output), head, results)
    progress('', 1.0)
    return results


def can_run(part: Part, settings: Settings) -> bool:
    """Return whether the device is there that a part needs."""
    return settings.device == 'cuda' or not part.needs_gpu


def _run_part(context: Any, part: Part, settings: Settings, limit_s: float,
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
    sender.close()  # the part has its own; else its end would not be seen
    try:
        outcome = _listen(receiver, result, start + min(limit_s + GRACE_S, left_s))
        process.join(0.0 if outcome == OVERTIME else GRACE_S)
    finally:
        for stop in (process.terminate, process.kill):
            if process.is_alive():
                stop()
                process.join(GRACE_S)
        shutil.rmtree(Path(settings.output) / LEVELS, ignore_errors=True)
    result.seconds = round(time.monotonic() - start, 1)
    if outcome == SKIPPED:
        return result
    if outcome != PASSED:
        result.status = FAILED
        result.reason = outcome or f'ended with exit code {process.exitcode}; see {LOG}'
    else:
        result.status = FAILED if result.failed_checks else PASSED
        result.reason = '; '.join(f'not so: {check["sentence"]} ({check["found"]})'
                                  for check in result.failed_checks)
    return result


def _listen(receiver: Connection, result: Result, end: float) -> str:
    """Take what a part tells until it has ended; return PASSED, SKIPPED, or what went wrong."""
    while True:
        if not receiver.poll(max(end - time.monotonic(), 0.0)):
            return OVERTIME
        try:
            kind, content = receiver.recv()
        except EOFError:
            return ''
        if kind == 'end':
            return PASSED
        if kind == 'skip':
            result.reason = content
            return SKIPPED
        if kind == 'error':
            return str(content)
        result.take(kind, content)


def _in_process(part: Part, settings: Settings, limit_s: float, sender: Connection) -> None:
    """Run a part, its output going to the log."""
    log = os.open(str(Path(settings.output) / LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    faulthandler.enable()
    os.write(log, f'--- {part.name}\n'.encode())
    try:
        part.run(Task(settings, limit_s, lambda kind, content: sender.send((kind, content))))
        sender.send(('end', None))
    except Skip as reason:
        sender.send(('skip', str(reason)))
    except Exception:  # noqa: BLE001  whatever it is, the other parts are to run
        traceback.print_exc()
        sender.send(('error', traceback.format_exc()))
    sys.stdout.flush()


def failures(results: Iterable[Result]) -> List[str]:
    """Return the names of the parts that failed."""
    return [result.name for result in results if result.status == FAILED]
