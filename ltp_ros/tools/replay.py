# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay`: Answer the images of bags as the node would, without ROS and without waiting.

Every image goes through the node's own pipeline, as fast as the machine can; with --real-time,
only those that the node would have taken. A run that was killed goes on where it was when the same
command is given again, and ends with the same output.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_replay())

import argparse
import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in the node, whose times are measured

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.images import ImageFileError, Note
from ltp_ros.model.card import ModelError
from ltp_ros.opening import ClassifierError
from ltp_ros.parameter import ConfigError
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.research.replay.clock import ClockError
from ltp_ros.research.replay.part import PartError
from ltp_ros.research.replay.plot import HEIGHT, WIDTH, draw
from ltp_ros.tools.reports.replay_table import as_row, bag_table, failures, label_table, lines
from ltp_ros.tools.support import replay_flags, replay_job, replay_processes, replay_ray
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.replay_job import Done, Job
from ltp_ros.tools.support.replay_processes import Result
from ltp_ros.tools.support.telling import teller

ERRORS = (ClassifierError, ClockError, ConfigError, ImageFileError, ModelError, PartError,
          PlotError, OSError)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_replay`."""
    return replay_flags.build_parser(__doc__)


def replay_one(job: Job, args: argparse.Namespace, bar: Progress, tell: Note) -> Done:
    """Replay one bag in this process."""
    check_writable(*([] if Path(job.output).is_dir() else [job.output]))
    figure = new_figure(args.plot, WIDTH, HEIGHT) if args.plot else None
    task = bar.add_task(Path(job.bag).name, total=None)
    done = replay_job.run(
        job, tell, lambda number, total: bar.update(task, completed=number, total=total),
        lambda outcomes: draw(figure, outcomes, job.real_time) if figure else None)
    if figure and done.earlier:
        tell(f'{args.plot} is not drawn: {job.output} was there already; delete it to replay anew')
    elif figure:
        figure.savefig(args.plot)
    return done


def replay_all(jobs: Sequence[Job], args: argparse.Namespace, bar: Progress, tell: Note
               ) -> List[Result]:
    """Replay several bags, in processes or on a cluster."""
    folder = Path(jobs[0].output).parent
    folder.mkdir(parents=True, exist_ok=True)
    results: List[Result] = []
    shares: Dict[str, float] = {}
    task = bar.add_task('bags', total=len(jobs))

    def on_progress(job: Job, share: float) -> None:
        shares[job.bag] = share
        bar.update(task, completed=sum(shares.values()))

    def on_end(result: Result) -> None:
        results.append(result)
        for note in result.notes if isinstance(result, Done) else ():
            tell(f'{Path(result.job.bag).name}: {note}')
        on_progress(result.job, 1.0)

    if args.ray:
        replay_ray.run(jobs, args.ray, on_end)
    else:
        cores = len(os.sched_getaffinity(0))
        processes = args.jobs or (1 if args.real_time else cores)  # else they slow each other
        replay_processes.run(jobs, min(processes, len(jobs)), on_end, on_progress)
    return sorted(results, key=lambda result: result.job.bag)


def report(results: Sequence[Result], console: Console) -> None:
    """Print what became of the bags."""
    if len(results) > 1:
        console.print(bag_table(results))
    for result in results:
        if isinstance(result, Done) and len(results) == 1:
            console.print(label_table(result))
            for line in lines(result):
                console.print(line, soft_wrap=True, markup=False, highlight=False)


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_replay`; return the exit code: 1 if a bag of several has no output."""
    args = build_parser().parse_args(argv)
    errors = Console(file=sys.stderr)
    tell = teller(errors, 'ltp_replay')
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())
    try:
        if args.ray:
            replay_ray.check_ray()
        jobs = replay_flags.jobs_of(args)
        check_writable(args.json, args.plot)
        with shown(Progress(*columns, console=errors, disable=args.quiet)) as bar:
            if len(jobs) == 1 and not args.ray:
                done = replay_one(jobs[0], args, bar, tell)
                results: List[Result] = [done]
            else:
                results = replay_all(jobs, args, bar, tell)
    except ERRORS as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        tell('interrupted; run the same command to go on')
        return 130
    report(results, Console())
    write_json(args.json, {'program': 'ltp_replay', 'rows': [as_row(each) for each in results]})
    failed = failures(results)
    if failed:
        tell(f'{len(failed)} of {len(results)} bags have no output:')
        for line in failed:
            tell(line)
    return 1 if failed else 0
