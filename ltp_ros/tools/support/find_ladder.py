# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_profile IMAGES`: from the command line to a ladder in a file, a table and a plot."""
import argparse
import dataclasses
import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Optional, Sequence, Tuple

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
    """Return what a command line of `ltp_profile` asks for.

    Raises:
        ConfigError: if a value is not allowed.
    """
    plain = search_by_flags(args, args.images)
    models = [_model(text) for text in args.models or ()] or plain.models
    wanted = space.Wanted(
        tuple(args.methods or plain.wanted.methods), tuple(args.input_sizes or ()),
        check('keep_ratios', args.keep_ratios) if args.keep_ratios else ())
    return dataclasses.replace(
        plain, config=dataclasses.replace(plain.config, alpha=check('alpha', args.alpha),
                                          model=models[0][0], checkpoint=models[0][1]),
        models=models, limit=args.limit, use_labels=not args.no_labels, wanted=wanted,
        backends=_listed(args.backends) if args.backends else plain.backends,
        precisions=_listed(args.precisions) if args.precisions else plain.precisions)


def search_by_flags(args: argparse.Namespace, images: str) -> Search:
    """Return a search of all images of a folder, by the CLASSIFIER_FLAGS and --rounds alone."""
    flags = absolute_paths({name: getattr(args, name) for name in CLASSIFIER_FLAGS})
    method, backend, precision = (str(flags.pop(name))
                                  for name in ('method', 'backend', 'precision'))
    methods = space.DEFAULT_FAMILIES if method == ClassifierConfig.method else (
        (method,) if method in space.FAMILIES else ())
    config = ClassifierConfig(**flags)  # type: ignore[arg-type]
    return Search(config, [(config.model, config.checkpoint)], images, None, True,
                  space.Wanted(methods), _listed([backend]), _listed([precision]),
                  max(LEAST_ROUNDS, args.rounds))


def _listed(names: Sequence[str]) -> Tuple[str, ...]:
    return () if AUTO in names else tuple(names)


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
