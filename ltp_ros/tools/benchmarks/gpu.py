# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark gpu`: run every check and measurement that needs a GPU, from a bare checkout.

Correctness comes first, then times, tests, the tuner, and stress. Each part runs in its own
process within its share of the time, so that a time limit cuts off the least valuable parts and a
failing part does not affect the others. No installation is needed:

    PYTHONPATH=. python3 -m ltp_ros.tools.benchmark gpu --minutes 4 --output results

With --checkpoint FILE.safetensors --photos FOLDER it also compares the answers of a real model.

After every part it writes report.json, report.md (for docs/gpu/<device>.md) and log.txt. The part
'node' needs ROS and the messages of this package. For a machine without a package index, build
wheels of this project and of ROS with the machine's Python version (`pip wheel . -w wheels`), copy
the folder there, run `pip install --no-index --no-deps --target site wheels/{ltp_ros,ros}*`, and
set `PYTHONPATH=site:.`.
"""
import argparse
import os
from pathlib import Path
from typing import Dict, List, Mapping, Sequence

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltp_ros.files import expand
from ltp_ros.opening import resolve_device
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.gpu import PARTS
from ltp_ros.research.benchmarks.gpu.parts import Part, Result, Settings
from ltp_ros.research.benchmarks.gpu.report import now
from ltp_ros.research.benchmarks.gpu.runner import failures, run_parts
from ltp_ros.tools.support.flags import absolute_paths, common_flags, positive
from ltp_ros.tools.support.output_files import write_json
from ltp_ros.tools.support.provenance import provenance

PARENTS = [common_flags(('model', 'checkpoint', 'input_size', 'device'))]
COLOURS = {'passed': 'green', 'failed': 'red', 'skipped': 'yellow'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    parser.set_defaults(model='deit_tiny_patch16_224')
    add_part_arguments(parser, PARTS, minutes=4.0, output='gpu_results')
    parser.add_argument('--photos', type=expand, default='', metavar='FOLDER',
                        help='a folder of photos; if omitted, synthetic images')


def add_part_arguments(parser: argparse.ArgumentParser, parts: Sequence[Part], minutes: float,
                       output: str) -> None:
    """Add the flags of a command that runs parts within a time, with these defaults."""
    add = parser.add_argument
    add('--minutes', type=positive, default=minutes, metavar='N',
        help='time limit for all parts together')
    add('--output', type=expand, default=output, metavar='FOLDER',
        help='folder for the results')
    add('--parts', nargs='+', choices=[part.name for part in parts], metavar='PART',
        help='run only these parts: ' + ', '.join(part.name for part in parts))


def run(args: argparse.Namespace, bar: Progress) -> int:
    """Run the command; return the exit code: 1 if a part failed."""
    folder = made(args.output)
    device = first_device(args.device)
    given = absolute_paths({'model': args.model, 'checkpoint': args.checkpoint})
    settings = Settings(device, str(given['model']), str(given['checkpoint']), args.photos and
                        os.path.abspath(args.photos), str(folder), args.input_size)
    head: Dict[str, object] = {'program': 'ltp_benchmark gpu', **provenance(settings.device),
                            'minutes': args.minutes, 'started': now()}
    return tell(args, folder, head, run_chosen(args, bar, PARTS, settings, head))


def made(output: str) -> Path:
    """Return the folder for the results, made if it was not there."""
    folder = Path(output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_chosen(args: argparse.Namespace, bar: Progress, parts: Sequence[Part],
               settings: Settings, head: Mapping[str, object]) -> List[Result]:
    """Run those of some parts that the flags leave, within their time."""
    task = bar.add_task('starting', total=1.0)
    results = run_parts([part for part in parts if not args.parts or part.name in args.parts],
                        settings, args.minutes, head, lambda name, share: bar.update(
                            task, description=name or 'done', completed=share))
    bar.stop()
    return results


def tell(args: argparse.Namespace, folder: Path, head: Mapping[str, object],
         results: Sequence[Result]) -> int:
    """Print what became of the parts, write the file of --json; return the exit code."""
    Console().print(parts_table(f'{head["hardware"]}: {folder}/report.md', results))
    write_json(args.json, {**head, 'parts': [result.as_dict() for result in results]})
    return 1 if failures(results) else 0


def first_device(name: str) -> str:
    """Return 'cuda' or 'cpu' for the device of a run whose parts are processes of their own.

    Raises:
        BenchmarkError: if it is another GPU than the first.
        ltp_ros.classifier.ClassifierError: if it is not available.
    """
    device = resolve_device(name)
    if device.index:  # each process would have to select it
        raise BenchmarkError(f'--device {device} is not possible here: use '
                             f'CUDA_VISIBLE_DEVICES={device.index} and --device cuda')
    return device.type


def parts_table(title: str, results: Sequence[Result]) -> Table:
    """Return how each part ended, as a table."""
    table = Table(title=title)
    for heading in ('part', 'result', 's', 'reason'):
        table.add_column(heading)
    for result in results:
        lines = result.reason.strip().splitlines() or ['']
        table.add_row(result.name, f'[{COLOURS[result.status]}]{result.status}',
                      f'{result.seconds:.0f}', lines[-1])
    return table
