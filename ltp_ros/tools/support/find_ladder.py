# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: from the command line to a ladder in a file, a table and a plot."""
import argparse
import dataclasses
import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple

from rich.console import Console
from rich.progress import Progress

from ltp_ros.config import ClassifierConfig
from ltp_ros.images import Note
from ltp_ros.research.ladder_search import space
from ltp_ros.research.ladder_search.found import Found
from ltp_ros.settings import check
from ltp_ros.tools.reports import ladder_plot
from ltp_ros.tools.reports.ladder_table import make_table
from ltp_ros.tools.support.flags import CLASSIFIER_FLAGS, absolute_paths
from ltp_ros.tools.support.ladder_search import Search, Searcher
from ltp_ros.tools.support.output_files import write_json
from ltp_ros.tools.support.time_ladder import versions
from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Ladder, Level

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # optional

AUTO = 'auto'
LEAST_ROUNDS = 40  # p99 says nothing of fewer
METHODS_TRIED = ' '.join(space.DEFAULT_FAMILIES)
# Flags that the levels do not name, so that the node must be told them too
BESIDE = ('labels', 'crop_mode', 'score', 'alpha', 'papr_checkpoint', 'num_threads', 'device',
          'cache')


def search_of(args: argparse.Namespace) -> Search:
    """Return what a command line asks for.

    Raises:
        ConfigError: if a value is not allowed.
    """
    flags = absolute_paths({name: getattr(args, name) for name in CLASSIFIER_FLAGS})
    given = {name: flags.pop(name) for name in ('method', 'backend', 'precision', 'model',
                                                'checkpoint')}
    models = [_model(text) for text in args.models or ()] or [
        (str(given['model']), str(given['checkpoint']))]
    methods = tuple(args.methods or ())
    if not methods:
        method = given['method']
        methods = space.DEFAULT_FAMILIES if method == ClassifierConfig.method else (
            (str(method),) if method in space.FAMILIES else ())
    alpha = check('alpha', args.alpha)
    ratios = check('keep_ratios', args.keep_ratios) if args.keep_ratios else ()
    config = ClassifierConfig(**flags, alpha=alpha, model=models[0][0],  # type: ignore[arg-type]
                              checkpoint=models[0][1])
    return Search(
        config, models, args.images, args.limit, not args.no_labels,
        space.Wanted(methods, tuple(args.input_sizes or ()), ratios),
        _listed(args.backends, given['backend']), _listed(args.precisions, given['precision']),
        max(LEAST_ROUNDS, args.rounds))


def _listed(several: Optional[List[str]], one: object) -> Tuple[str, ...]:
    found = tuple(several or (str(one),))
    return () if AUTO in found else found


def _model(text: str) -> Tuple[str, str]:
    name, _, checkpoint = text.partition('=')
    found = absolute_paths({'model': check('model', name),
                            'checkpoint': check('checkpoint', checkpoint)})
    return str(found['model']), str(found['checkpoint'])


def measure(args: argparse.Namespace, bar: Progress, note: Note
            ) -> 'Callable[[Console, Optional[Figure]], None]':
    """Search according to `args`; return what writes and prints what was found.

    Raises:
        ClassifierError, ConfigError, ImageFileError, ModelError: if an input cannot be used.
    """
    start = time.monotonic()
    search = search_of(args)
    searcher = Searcher(search, bar, note)
    found = searcher.run()
    scene = searcher.scene
    machine = found.ladder.machine
    assert machine is not None
    about: Dict[str, object] = {
        'images': str(Path(args.images).absolute()), 'number': len(scene),
        'metric': scene.metric, 'advice': found.advice, 'zoom': found.zoom,
        'zoom_ms': None if searcher.zoom_ms != searcher.zoom_ms else round(searcher.zoom_ms, 2),
        'rounds': search.rounds, 'seconds': round(time.monotonic() - start),
        'versions': versions(machine.device)}
    ladder = dataclasses.replace(found.ladder, about={
        **about, 'unpruned': _plain(found.reference)})
    return functools.partial(_report, args, found, ladder, about, _beside(search.config))


def _plain(level: Level) -> Dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(level).items() if name != 'work'}


def _beside(config: ClassifierConfig) -> str:
    return ''.join(f' {name}:={getattr(config, name)}' for name in BESIDE
                   if getattr(config, name) != getattr(ClassifierConfig, name))


def _report(args: argparse.Namespace, found: Found, ladder: Ladder, about: Dict[str, object],
            beside: str, out: Console, figure: 'Optional[Figure]') -> None:
    ladder_file.write(args.output, ladder)
    out.print(make_table(found, about))
    for sentence in (found.advice, found.zoom):
        out.print(sentence[0].upper() + sentence[1:] + '.', soft_wrap=True, markup=False,
                  highlight=False)
    if args.json:
        write_json(args.json, {
            'program': 'ltp_profile', **about, 'unpruned': _plain(found.reference),
            'rows': [dataclasses.asdict(level) for level in ladder.levels],
            'finalists': [_plain(each.level) for each in found.finalists],
            'dropped': [{**_plain(each.level), 'time_ms': each.time_ms, 'score': each.score,
                         'pictures': each.pictures} for each in found.dropped]})
    if figure:
        ladder_plot.draw(figure, found, about)
    out.print(f'To use it, start the node with ladder:={Path(args.output).absolute()}{beside}',
              soft_wrap=True, markup=False, highlight=False)
