# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark gpu`: everything that needs a GPU, from a bare checkout to one results folder.

Correctness first, then times, the tests, the tuner, and strains; each part in a process of its
own and within its share of the time, so that the clock cuts off the least valuable and no part
takes another one with it. Nothing need be installed:

    PYTHONPATH=. python3 -m ltp_ros.tools.benchmark gpu --minutes 4 --output results

With --checkpoint FILE.safetensors --photos FOLDER it compares the answers of a real model as well.

It writes report.json (for programs), report.md (as docs/gpu/<device>.md) and log.txt after every
part. The part 'node' needs ROS and the messages of this package. Where the machine has no package
index, make wheels of this project and of ROS with its version of Python
(`pip wheel . -w wheels`), take the folder along, and there
`pip install --no-index --no-deps --target site wheels/{ltp_ros,ros}*` and `PYTHONPATH=site:.`.
"""
import argparse
import os
from pathlib import Path
from typing import Any, Dict

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.classifier import resolve_device
from ltp_ros.research.benchmarks.gpu import PARTS
from ltp_ros.research.benchmarks.gpu.parts import Settings
from ltp_ros.research.benchmarks.gpu.report import now
from ltp_ros.research.benchmarks.gpu.runner import failures, run_parts
from ltp_ros.tools.support.flags import common_flags, positive
from ltp_ros.tools.support.output_files import write_json
from ltp_ros.tools.support.provenance import provenance

PARENTS = [common_flags(('model', 'checkpoint', 'device'))]
COLOURS = {'passed': 'green', 'failed': 'red', 'skipped': 'yellow'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command alone."""
    add = parser.add_argument
    parser.set_defaults(model='deit_tiny_patch16_224')
    add('--minutes', type=positive, default=4.0, metavar='N', help='for everything together')
    add('--output', default='gpu_results', metavar='FOLDER', help='the results')
    add('--photos', default='', metavar='FOLDER', help='photos; none: made-up pictures')
    add('--parts', nargs='+', choices=[part.name for part in PARTS], metavar='PART',
        help='only these: ' + ', '.join(part.name for part in PARTS))


def run(args: argparse.Namespace, bar: Progress) -> int:
    """Run the command; return the exit code, 1 if a part failed."""
    folder = Path(args.output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(resolve_device(args.device).type, args.model, args.checkpoint and
                        os.path.abspath(args.checkpoint), args.photos and
                        os.path.abspath(args.photos), str(folder))
    head: Dict[str, Any] = {'program': 'ltp_benchmark gpu', **provenance(settings.device),
                            'minutes': args.minutes, 'started': now()}
    parts = [part for part in PARTS if not args.parts or part.name in args.parts]
    task = bar.add_task('starting', total=1.0)
    results = run_parts(parts, settings, args.minutes, head, lambda name, share: bar.update(
        task, description=name or 'done', completed=share))
    bar.stop()
    table = Table(title=f'{head["hardware"]}: {folder}/report.md')
    for heading in ('part', 'result', 's', 'reason'):
        table.add_column(heading)
    for result in results:
        lines = result.reason.strip().splitlines() or ['']
        table.add_row(result.name, f'[{COLOURS[result.status]}]{result.status}',
                      f'{result.seconds:.0f}', lines[-1])
    Console().print(table)
    write_json(args.json, {**head, 'parts': [result.as_dict() for result in results]})
    return 1 if failures(results) else 0
