# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark fuzz`: hostile images and parameters; nothing may break, hang or be lost.

Half of the time for images through the decoder and a pipeline, half for a live node over DDS, once
with raw and once with compressed images: fields that do not fit, damaged and spliced files, bombs,
odd stamps and frame ids, and in the end hostile parameters from two threads. Good images between
them have to be answered as before, and every image has to be accounted for. The decoder may take
no second for an image, the node 20 s for an answer. The exit code is 1 if something broke; each
image that broke the decoder is written to the folder, and --replay FILE decodes it again.
"""
import argparse
import dataclasses
import time
from pathlib import Path
from typing import Callable, Dict, Mapping

import numpy as np
from rich.console import Console
from rich.progress import Progress

from ltp_ros.files import expand
from ltp_ros.frames.decoding import decode
from ltp_ros.frames.encodings import ImageError
from ltp_ros.research.benchmarks.fuzzing import (
    PartReport,
    fuzz_pipeline,
    load_image,
    save_image,
)
from ltp_ros.research.hostile import hostile_image
from ltp_ros.tools.support.flags import (
    CLASSIFIER_FLAGS,
    common_flags,
    positive,
    positive_int,
    seed,
)
from ltp_ros.tools.support.output_files import write_json
from ltp_ros.tools.support.provenance import provenance

PARENTS = [common_flags(CLASSIFIER_FLAGS)]
PARTS = ('decoder', 'raw', 'compressed')
SHARES = {'decoder': 0.5, 'raw': 0.25, 'compressed': 0.25}
PARAMETERS_SHARE = 0.2  # of the time for a node
MOST = 10 ** 9  # images, where the time is the limit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    parser.set_defaults(model='demo', device='cpu', backend='eager', precision='float32')
    add('--minutes', type=positive, default=1.0, metavar='N',
        help='time limit for all parts together, without the start of the nodes')
    add('--most', type=positive_int, default=MOST, metavar='N',
        help='at most so many hostile images in each part')
    add('--seed', type=seed, default=0, metavar='N', help='that the images follow from')
    add('--parts', nargs='+', choices=PARTS, default=list(PARTS), metavar='PART',
        help='run only these parts: ' + ', '.join(PARTS) + '; the first needs no ROS')
    add('--output', type=expand, default='fuzz_results', metavar='FOLDER',
        help='folder for report.md, report.json and the images that broke something')
    add('--replay', type=expand, metavar='FILE',
        help='only decode the image of a file from such a folder')


def run(args: argparse.Namespace, bar: Progress) -> int:
    """Run the command; return the exit code: 1 if something broke."""
    if args.replay:
        return replay(Path(args.replay))
    folder = Path(args.output).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    task = bar.add_task('starting', total=len(args.parts))
    head = {'program': 'ltp_benchmark fuzz', **provenance('cpu'), 'seed': args.seed}
    parts: Dict[str, PartReport] = {}
    for part in args.parts:
        def advance(images: int, part: str = part) -> None:
            bar.update(task, description=f'{part}: {images} images', completed=len(parts))

        advance(0)
        seconds = 60 * args.minutes * SHARES[part] / sum(SHARES[name] for name in args.parts)
        parts[part] = (fuzz_decoder if part == 'decoder' else fuzz_live)(
            args, part, seconds, folder, advance)
    bar.stop()
    for path in (str(folder / 'report.json'), args.json):
        write_json(path, {**head, **{name: {**dataclasses.asdict(part),
                                            'memory_growth': part.memory_growth}
                                     for name, part in parts.items()}})
    text = markdown(head, parts)
    (folder / 'report.md').write_text(text, encoding='utf-8')
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
    return 1 if any(part.faults for part in parts.values()) else 0


def fuzz_decoder(args: argparse.Namespace, part: str, seconds: float, folder: Path,
                 advance: Callable[[int], None]) -> PartReport:
    """Show images to the decoder and the pipeline; write those that broke something."""
    started = time.monotonic()
    tally = fuzz_pipeline(args.seed, args.most, seconds, advance)
    faults = []
    for fault in tally.faults:
        path = folder / f'{part}_{fault.number}.json'
        save_image(path, hostile_image(args.seed, fault.number).image,
                   {'seed': args.seed, **dataclasses.asdict(fault)})
        faults.append(f'{path.name}: {fault.sentence}')
    return PartReport(
        {'images': tally.images, 'seconds': time.monotonic() - started,
         'slowest decode (s)': tally.slowest_s, 'slowest image': tally.slowest_number},
        {**tally.counts, **dict(sorted(tally.outcomes.items()))}, tally.memory_mib, faults)


def fuzz_live(args: argparse.Namespace, part: str, seconds: float, folder: Path,
              advance: Callable[[int], None]) -> PartReport:
    """Send images and parameters to a node."""
    from ltp_ros.tools.benchmarks.fuzz_parameters import fuzz_node  # which needs ROS
    from ltp_ros.tools.benchmarks.session import model_parameters, ros

    started = time.monotonic()
    parameters = model_parameters(args)
    with ros():
        tally = fuzz_node(args.seed, args.most, seconds * (1 - PARAMETERS_SHARE),
                          seconds * PARAMETERS_SHARE, parameters, part, advance)
    return PartReport(
        {'sent': tally.sent, 'seconds': time.monotonic() - started, 'good images': tally.good,
         'slowest answer to a good image (s)': tally.slowest_good_s,
         'parameters': tally.parameters, 'requests asked again': tally.asked_again,
         'slowest parameter (s)': tally.slowest_parameter_s,
         'longest time without diagnostics (s)': tally.longest_silence_s},
        tally.counts, tally.memory_mib, tally.faults)


def markdown(head: Mapping[str, object], parts: Mapping[str, PartReport]) -> str:
    """Return a report."""
    lines = ['# Fuzz', '', ', '.join(f'{name} {value}' for name, value in head.items()), '']
    for name, part in parts.items():
        rows = {key: f'{value:.6g}' for key, value in {**part.figures, **part.counts}.items()}
        if part.memory_mib:
            rows['memory (MiB), by tenths of the time'] = ', '.join(
                f'{np.median(tenth):.0f}' for tenth in np.array_split(part.memory_mib, 10)
                if tenth.size)
        if part.memory_growth is not None:
            rows['memory, last to first quarter'] = f'{100 * part.memory_growth:+.1f} %'
        lines += [f'## {name}', '', '| | |', '|---|---|',
                  *(f'| {key} | {value} |' for key, value in rows.items()), '',
                  *(f'* **broken:** {fault}' for fault in part.faults or ['nothing']), '']
    return '\n'.join(lines)


def replay(path: Path) -> int:
    """Decode the image of a file again; return 0 if it is decoded or refused."""
    started = time.perf_counter()
    try:
        outcome = f'decoded to {decode(load_image(path)).shape}'
    except ImageError as error:
        outcome = f'refused: {error}'
    print(f'{path}: {outcome}, {time.perf_counter() - started:.3f} s')
    return 0
