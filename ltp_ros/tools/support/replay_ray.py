# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay --ray`: bags over the machines of a Ray cluster, one task a bag.

Ray runs a task again where its worker or its machine died, and where the disk failed. That is safe
at any moment: an output appears whole, and a task that comes again goes on from what is kept.
"""
import logging
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Sequence

from ltp_ros.parameter import ConfigError
from ltp_ros.research.replay.part import PartInUseError
from ltp_ros.tools.support import replay_job
from ltp_ros.tools.support.replay_job import Job
from ltp_ros.tools.support.replay_processes import (
    Failed,
    OnEnd,
    Result,
    attempt,
    with_threads,
)

PASSING = (OSError, PartInUseError)  # what another attempt may not meet
RETRIES = 10  # of a bag, over machines that die
LOOK_EVERY_S = 1.0
PATIENCE_S = 5.0  # for a connection, and for a worker that still writes and Ray took for dead


def check_ray() -> None:
    """Raise ConfigError if Ray is not installed."""
    try:
        import ray  # noqa: F401, PLC0415  optional
    except ImportError as error:
        raise ConfigError("--ray needs Ray: pip install 'ltp_ros[fleet]', on each machine of the "
                          'cluster; or leave it out, to use the cores of this one') from error


def run(jobs: Sequence[Job], address: str, on_end: OnEnd) -> None:
    """Replay bags on a cluster.

    Args:
        jobs: one for each bag.
        address: of the cluster, 'HOST:PORT' or 'auto'.
        on_end: called with the result of each bag, in the order in which they end.

    Raises:
        ConfigError: if there is no such cluster, or it cannot use the model.
    """
    import ray  # noqa: PLC0415  optional
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING,
                 ignore_reinit_error=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).rstrip('.')
        raise ConfigError(f'--ray {address}: {reason}. Start a cluster with `ray start --head`, '
                          'and name its HOST:PORT') from error
    threads = jobs[0].config.classifier.num_threads or 1
    on_gpu = jobs[0].config.classifier.device.startswith('cuda')
    options = {'num_cpus': threads, 'num_gpus': int(on_gpu), 'max_retries': RETRIES,
               'retry_exceptions': list(PASSING)}
    jobs = [with_threads(job, threads) for job in jobs]
    try:
        auto = ray.get(ray.remote(replay_job.meaning_of_auto).options(**options).remote(
            jobs[0].config.classifier))
    except ray.exceptions.RayTaskError as error:
        raise ConfigError(f'on {address}: {error.cause}') from error
    task = ray.remote(replay).options(**options)
    pending = {task.remote(replace(job, auto=auto)): job for job in jobs}
    while pending:
        for ready in ray.wait(list(pending), timeout=LOOK_EVERY_S)[0]:
            job = pending.pop(ready)
            try:
                result: Result = ray.get(ready)
            except (ray.exceptions.RayError, *PASSING) as error:
                result = Failed(job, f'after {RETRIES} retries: {error}')
            on_end(_seen(result))


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT; Ray itself tries for minutes."""
    host, _, port = address.split('://')[-1].rpartition(':')
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), PATIENCE_S).close()


def replay(job: Job) -> Result:
    """Replay a bag in a task; raise what another attempt may not meet.

    Raises:
        OSError: of a disk or of a network.
        PartInUseError: while another worker writes the output.
    """
    try:
        return attempt(job, raised=PASSING)
    except PartInUseError:
        time.sleep(PATIENCE_S)
        raise


def _seen(result: Result) -> Result:
    """Return a result, unless its output is on another machine."""
    if isinstance(result, Failed) or Path(result.job.output).exists():
        return result
    return Failed(result.job, f"'{result.job.output}' was written on another machine, and is not "
                  'seen here; name an --output in a folder that all machines share')
