# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark scenes`: shrink, prune, zoom or look closer, on several scenes, on the clock.

For each scene `ltp_profile`'s search finds a ladder on every other picture, by name. The ladder,
and whatever else there is, are then asked the pictures between, and timed in turns with the
unpruned model in plain torch: is anything above the ladder?
"""
import argparse
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ltp_ros.files import expand, plain
from ltp_ros.images import Note, name_of
from ltp_ros.research.accuracy.sample import Sample
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.scenes import Asked, rows_of, sentence
from ltp_ros.research.benchmarks.scenes_plot import COLUMNS, draw
from ltp_ros.research.ladder_search import space
from ltp_ros.research.ladder_search.words import key_of
from ltp_ros.tools.support import find_ladder, flags
from ltp_ros.tools.support.candidates import ERRORS, Candidates
from ltp_ros.tools.support.ladder_search import Searcher
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.scene import Scene
from ltp_ros.tools.support.telling import teller
from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Level

NAME = 'scenes'
PARENTS = [flags.common_flags(flags.CLASSIFIER_FLAGS)]
SHOWN = 24  # rows of a table


def half_of(scene: Scene, first: int, composite: str = '') -> Scene:
    """Return every other picture of a scene, by name, or composites of them.

    Args:
        scene: whole.
        first: 0: for tuning; 1: for the test.
        composite: as of `Composites`; '': as they are.
    """
    order = sorted(range(len(scene)), key=lambda index: name_of(scene.images[index], index))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    chosen = np.flatnonzero(rank % 2 == first)
    images = Sample([scene.images[index] for index in order], None, composite)
    images.indices = rank[chosen]
    return Scene(images, None if scene.truth is None else scene.truth[chosen], scene.metric,
                 1.0 if composite else scene.aspect)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags specific to this command."""
    add = parser.add_argument
    add('scenes', nargs='+', metavar='FOLDER[@SHARE:GROUND]', type=expand,
        help='labelled images, or class folders to teach; with @0.45:blur composites of them, as '
        'of ltp_evaluate. int8 is calibrated on the first')
    add('--folder', type=expand, required=True, metavar='FOLDER',
        help='where the ladders are kept; one that is there is not sought again')
    add('--rival', default='openvino:int8', metavar='BACKEND:PRECISION',
        help='what runs the levels beside the ladders')
    add('--rounds', type=flags.positive_int, default=40, help='timed runs of each level')
    add('--limit', type=flags.positive_int, metavar='N', help='use only N of the images of a half')
    add('--plot', type=expand, metavar='FILE', help='plot score over time, a panel a scene')


def measure(args: argparse.Namespace, bar: Progress, note: Note) -> Dict[str, Any]:
    """Return the JSON file."""
    rows: List[Dict[str, Any]] = []
    calibration: Optional[Sequence[np.ndarray]] = None
    for text in args.scenes:
        one = _Scene(args, text, bar, note, calibration)
        calibration = one.calibration
        rows += one.rows()
    return {'program': 'ltp_benchmark scenes', **provenance('cpu'), 'model': args.model,
            'checkpoint': args.checkpoint, 'rounds': args.rounds, 'rows': rows}


class _Scene:
    def __init__(self, args: argparse.Namespace, text: str, bar: Progress, note: Note,
                 calibration: Optional[Sequence[np.ndarray]]):
        source, _, composite = text.partition('@')
        self._args, self._bar, self._note = args, bar, note
        self.name = f'{Path(source).name} {composite}'.strip()
        self._search = find_ladder.search_by_flags(args, source)
        tuning = Searcher(self._search, bar, note, partial(half_of, first=0, composite=composite),
                          calibration)
        self._searcher, self.calibration = tuning, tuning.calibration
        self._test = half_of(tuning.whole_scene, 1, composite)
        self._count = min(len(self._test), args.limit or len(self._test))

    def _ladder(self) -> List[Level]:
        path = Path(self._args.folder) / (re.sub(r'[^\w.]', '_', self.name) + '.yaml')
        if not path.is_file():
            found = self._searcher.run()
            ladder_file.write(path, replace(found.ladder, about={
                'scene': self.name, 'advice': found.advice, 'zoom': found.zoom}))
        return list(ladder_file.read(path).levels)

    def rows(self) -> List[Dict[str, Any]]:
        """Find the ladder, ask and time it and its rivals; return a row for each level."""
        ladder = [key_of(level) for level in self._ladder()]
        base, summary = self._searcher.bases[0]
        backend, precision = self._args.rival.split(':')
        rivals = [key_of(replace(level, backend=backend, precision=precision))
                  for level in space.levels_of(summary, base,
                                               space.Wanted(aspect=self._test.aspect))]
        levels = list(dict.fromkeys([*ladder, *rivals]))
        plain = key_of(replace(base, backend='eager', precision='float32'))
        runs = Candidates(self._search.config, self._test, self.calibration)
        groups = runs.plan([plain, *levels])
        task = self._bar.add_task(self.name, total=len(groups) * (1 + self._args.rounds))
        usable: List[List[Level]] = []
        for group in groups:
            mine = [level for level in group if level != plain]
            try:
                if mine:
                    runs.ask_all(mine, self._count)
                    usable.append(mine)
            except ERRORS as error:
                self._note(f'{self.name}: without {group[0].name}: {error}')
            self._bar.advance(task)
        runs.time_in_turns([[plain], *usable], self._args.rounds,
                           lambda: self._bar.advance(task))
        asked = [Asked(level, runs.time_ms(level) / runs.time_ms(plain),
                       runs.hits(level, self._count), level in ladder)
                 for mine in usable for level in mine]
        runs.release()
        return rows_of(self.name, asked, base)


def make_table(result: Dict[str, Any], rows: Sequence[Dict[str, Any]]) -> Table:
    """Return the ladder of a scene and its nearest rivals as a table."""
    best: List[Dict[str, Any]] = []
    for row in rows:  # of the others, those above all that are faster
        if row['on_ladder'] or row['score'] > max((each['score'] for each in best
                                                   if not each['on_ladder']), default=-1.0):
            best.append(row)
    title = '{scene}: {n} images; {model}'.format(**{**result, **rows[0]})
    table = Table(title=Text(plain(title)),
                  box=box.SIMPLE_HEAD, caption='time: of the unpruned model in torch float32. '
                  '*: on the ladder; !: above it\nbeyond the 95 % interval. Of the others those '
                  'that are better than all faster ones')
    for heading, side in (('', 'left'), ('level', 'left'), ('runs in', 'left'),
                          ('time', 'right'), ('score %', 'right')):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for row in best[:SHOWN]:
        table.add_row('*' if row['on_ladder'] else '!' if row['above_ladder'] else '',
                      row['level'], f'{row["backend"]} {row["precision"]}',
                      f'{row["time_share"]:.3f}',
                      f'{row["score"]:.1f} ({row["low"]:.0f}-{row["high"]:.0f})')
    return table


def run(args: argparse.Namespace, bar: Progress) -> None:
    """Run the command: print a table for each scene, and write the files."""
    check_writable(args.json, args.plot)
    Path(args.folder).mkdir(parents=True, exist_ok=True)
    figure = new_figure(args.plot, 13, 4.8 * -(-len(args.scenes) // COLUMNS)
                        ) if args.plot else None
    result = measure(args, bar, teller(bar.console, 'ltp_benchmark scenes'))
    bar.stop()
    for scene in dict.fromkeys(row['scene'] for row in result['rows']):
        rows = [row for row in result['rows'] if row['scene'] == scene]
        Console().print(make_table(result, rows))
        Console().print(sentence(rows), soft_wrap=True, markup=False, highlight=False)
    write_json(args.json, result)
    if figure:
        draw(figure, result)
        figure.savefig(args.plot)
