# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate`: measure the accuracy of each method at each keep ratio, or of taught classes.

To split the images over N GPUs: `torchrun --nproc-per-node N -m ltp_ros.tools.evaluate`.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_evaluate())

import argparse
import os
from pathlib import Path
from typing import Dict, List, Optional, Tuple

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')  # as in the node, whose times are measured

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.config import REDUCTIONS, SCORES
from ltp_ros.files import expand
from ltp_ros.images import ImageFileError, Note
from ltp_ros.model import vit
from ltp_ros.model.card import model_name
from ltp_ros.opening import ClassifierError
from ltp_ros.parameter import ConfigError
from ltp_ros.research.accuracy.answers import (
    AnswerFileError,
    Variant,
    select,
)
from ltp_ros.research.accuracy.costs import gmacs_of
from ltp_ros.research.accuracy.plot import draw
from ltp_ros.research.accuracy.rows import accuracy_row, ltp_beside
from ltp_ros.research.benchmarks.figures import PlotError, new_figure
from ltp_ros.research.composites import CompositeError
from ltp_ros.tools.reports.evaluation import make_table, write_maps
from ltp_ros.tools.support import calibrate, ranks, taught
from ltp_ros.tools.support.evaluation import Evaluation
from ltp_ros.tools.support.flags import (
    MODEL_FLAGS,
    add_ladder_flags,
    positive_int,
    program_parser,
    whole_number,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.telling import teller

ERRORS = (ConfigError, ClassifierError, CompositeError, ImageFileError, AnswerFileError,
          vit.ModelError, PlotError, OSError)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_evaluate`."""
    parser = program_parser('ltp_evaluate', __doc__, (*MODEL_FLAGS, 'papr_checkpoint'))
    add = parser.add_argument
    add('images', type=expand, help='a folder of class folders, a folder of images with '
        'labels.csv (file, class_index), or an .npz with jpeg, offsets, labels and class_names')
    add('--no-labels', action='store_true', help='take any folder of unlabelled images and report '
        'only the agreement with the unpruned model')
    add('--composite', default='', metavar='SHARE:GROUND', help='evaluate small objects, such as '
        '0.45:blur: each image shrunk to this share of the width of a canvas (0.05 to 1), at a '
        'random place, the same in every run. The canvas is another image, blurred (blur) or as '
        'it is (sharp), or its mean colour (flat)')
    add('--zoom', action='store_true', help='evaluate each variant through the zoom too, as with '
        'the parameter zoom of the node; with --classes or --calibrate, through the zoom alone')
    add('--methods', nargs='+', choices=(*REDUCTIONS, 'all'), default=['ltp'],
        help='token reduction methods; the unpruned model is always included')
    add('--scores', nargs='+', choices=(*SCORES, 'all'), default=['srb'],
        help='token-ranking criteria of the ltp method')
    add_ladder_flags(parser, 'keep ratios to evaluate', several_alphas=True)
    add('--batch', type=positive_int, default=64, help='images per batch')
    add('--workers', type=whole_number, default=0, metavar='N', help='decoder processes; 0: none')
    add('--limit', type=positive_int, metavar='N', help='use only N of the images, evenly spaced')
    add('--state', type=expand, metavar='FILE', help='save the answers here, and go on from them')
    add('--rounds', type=whole_number, default=0, metavar='N', help='also time each variant on '
        'one image in N interleaved rounds; 0: no timing')
    add('--backend', choices=('eager', 'graph', 'onnx'), default='eager',
        help='backend to time; the answers come from eager, with --precision int8 from onnx')
    add('--plot', type=expand, metavar='FILE', help='plot accuracy over GMACs, time and alpha; '
        'with --classes calibration, and heads asked at other levels')
    add('--maps', type=expand, metavar='FOLDER', help='for each image, draw the score maps and '
        'the tokens that each method keeps at the keep ratio nearest to 0.53; see --limit')
    add('--classes', type=expand, metavar='FILE', help='evaluate the classes of a file of '
        'ltp_teach, each in the folder of its name, with one method and --backend')
    add('--calibrate', type=expand, metavar='FILE', help='write temperatures for the parameter '
        "temperatures of the node: scores of the model's own classes then say how often they are "
        'right, at every level; with --no-labels, they come near those of the unpruned model')
    add('--unknown', type=expand, metavar='FOLDER', help='with --classes or --calibrate: '
        'pictures of none of them, to measure how many are taken for one')
    return parser


def evaluate(evaluation: Evaluation, bar: Progress, note: Note
             ) -> Tuple[Dict[str, object], List[Dict[str, object]]]:
    """Run the evaluation; return the head and the rows of the JSON file.

    Args:
        evaluation: the variants and images.
        bar: shows the progress.
        note: called at the end if images are left out.
    """
    args, variants = evaluation.args, evaluation.variants
    head = provenance(evaluation.device.type)  # now, since the commit may change during a long run
    gmacs = gmacs_of(evaluation.models, evaluation.plain, evaluation.data_config.input_size)
    times_ms = evaluation.times_ms(bar)
    answers = evaluation.answers(bar)
    unread = evaluation.unread(answers)
    if unread and evaluation.rank == 0:
        note(f'left out: {unread}')

    def row(variant: Variant) -> Dict[str, object]:
        return {'method': variant.method, 'score': variant.score,
                'keep_ratio': variant.keep_ratio, 'alpha': variant.alpha, 'zoom': variant.zoom,
                'tokens_kept': select(evaluation.models, variant).patch_drop.num_keep,
                **accuracy_row(answers, variant, ltp_beside(variant, variants),
                               evaluation.labels),
                'gmacs': gmacs[variant.plain],
                'p50_ms': times_ms.get(variant)}  # the zoom itself is not timed
    return {
        'program': 'ltp_evaluate', **head, 'precision': evaluation.precision,
        'model': model_name(args.model, args.checkpoint), 'checkpoint': args.checkpoint,
        'crop_mode': evaluation.data_config.crop_mode,
        'backend': args.backend if args.rounds else None, 'rounds': args.rounds,
        'images': args.images, 'composite': args.composite, 'zoom_side': answers.mean_side,
        'n': len(evaluation.images) - len(unread), 'unread': len(unread),
        'tokens_total': evaluation.num_patches}, [row(variant) for variant in variants]


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_evaluate`; return the exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    given = [name for name, value in vars(args).items() if value != parser.get_default(name)]
    errors = Console(stderr=True)
    tell = teller(errors, 'ltp_evaluate')
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rank, count = ranks.join()
    try:
        check_writable(args.json, args.plot, args.state)
        figure = new_figure(args.plot, 13, 5) if args.plot else None
        if args.classes or args.unknown or args.calibrate:
            if count > 1:
                raise ConfigError('this runs in one process; leave torchrun out')
            bar = Progress(TextColumn('{task.description}'), *columns, console=errors,
                           disable=args.quiet)
            if args.calibrate:
                calibrate.run(args, given, bar, tell, figure)
            else:
                taught.run(args, given, bar, tell, figure)
            return 0
        evaluation = Evaluation(args, rank, count)
        with shown(Progress(*columns, console=errors,
                            disable=args.quiet or rank > 0)) as bar:
            head, rows = evaluate(evaluation, bar, tell)
        if rank == 0:
            result = {**head, 'rows': rows}
            Console().print(make_table(head, rows))
            write_json(args.json, result)
            if figure:
                draw(figure, result)
                figure.savefig(args.plot)
            if args.maps:
                write_maps(args, evaluation.methods, evaluation.images, Path(args.maps))
    except ERRORS as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        tell('interrupted' + ('; run the same command to resume' if args.state else ''))
        return 130
    finally:
        ranks.leave(count)
    return 0
