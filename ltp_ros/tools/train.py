# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_train`: train a Vision Transformer that stays accurate when its tokens are pruned.

Every step drops a share of the patch tokens before the first block, half of the time by the score
that chooses them at inference. The program may be stopped or killed at any time: with `--resume`
it goes on from the last saved step exactly as if nothing had happened.
"""
import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, track

from ltp_ros.classifier import ClassifierError, resolve_device
from ltp_ros.images import ImageFileError
from ltp_ros.model.vit import ModelError
from ltp_ros.research.training.built_model import model_card, training_precision
from ltp_ros.research.training.images import load_data
from ltp_ros.research.training.state import export_model
from ltp_ros.research.training.trainer import Settings, Trainer
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.stopping import noting

INTERRUPTED = 130
LONGEST_STEP_S = 60.0  # a longer one is a suspended program, which --minutes does not pay for


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_train`."""
    parser = argparse.ArgumentParser(
        prog='ltp_train', description=(__doc__ or '').split('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('images', help='a folder of class folders, a folder with labels.csv, or an .npz with '
        'jpeg, offsets, labels and class_names')
    add('--output', default='.', help='folder of the weights, model card, log and state')
    add('--name', default='model', help='name of these files')
    add('--val', default='', help='images to measure accuracy on, of the same forms')
    add('--hold-out', type=float, default=Settings.hold_out,
        help='without --val: share of the images kept back to measure on')
    add('--model', default=Settings.model, help='timm architecture')
    add('--checkpoint', default=Settings.checkpoint,
        help="weights to start from; 'demo': those in this package")
    add('--img-size', type=int, default=Settings.img_size, help='pixels on each side')
    add('--epochs', type=int, default=Settings.epochs, help='passes over the images')
    add('--minutes', type=float, default=0.0, help='finish in this time even if the epochs are '
        'not done: the learning rate then follows the clock, and two runs differ; 0: no limit')
    add('--batch', type=int, default=Settings.batch, help='images a step')
    add('--lr', type=float, default=Settings.lr, help='peak learning rate')
    add('--weight-decay', type=float, default=Settings.weight_decay, help='of the matrices')
    add('--label-smoothing', type=float, default=Settings.label_smoothing, help='0..1')
    add('--min-keep-ratio', type=float, default=Settings.min_keep_ratio,
        help='smallest share of the tokens that a step keeps')
    add('--seed', type=int, default=Settings.seed, help='of everything random')
    add('--resume', action='store_true', help='go on where the run in --output stopped')
    add('--save-steps', type=int, default=50, help='save the state every so many steps, besides '
        'every epoch; 0: only then')
    add('--device', choices=('auto', 'cuda', 'cpu'), default='auto', help='where to train')
    add('--precision', choices=('auto', 'float32', 'bfloat16'), default='auto',
        help='auto: bfloat16 where the hardware computes in it')
    add('--json', metavar='FILE', help='write the record of the run here')
    add('--quiet', action='store_true', help='no progress bar')
    return parser


def run(trainer: Trainer, console: Console, stop: List[int], save_steps: int = 0,
        quiet: bool = False) -> bool:
    """Train to the end and return True, or until `stop` is not empty: False. Saved either way."""
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet) as bar:
        task = bar.add_task('training', total=1.0)
        while trainer.share_done() < 1.0:
            started = time.monotonic()
            loss = trainer.step()
            trainer.progress['seconds'] += min(time.monotonic() - started, LONGEST_STEP_S)
            step, done = trainer.progress['step'], trainer.share_done()
            bar.update(task, completed=done,
                       description=f'step {step} of {trainer.total_steps}, loss {loss:.3f}')
            if step % trainer.steps_per_epoch == 0 or done == 1.0:
                bar.console.print(json.dumps(trainer.end_epoch()), soft_wrap=True)
            elif stop or (save_steps and step % save_steps == 0):
                trainer.save()
            if stop and done < 1.0:
                return False
    return True


def make_record(trainer: Trainer, images: str) -> Dict[str, Any]:
    """Return what the run was: settings, data, versions, hardware, time and accuracies."""
    settings = {**vars(trainer.settings), 'checkpoint': Path(trainer.settings.checkpoint).name}
    return {'settings': settings, 'data': Path(images).name, 'minutes': trainer.minutes,
            'precision': trainer.precision, **provenance(trainer.device),
            'images': len(trainer.data.pixels), 'steps': trainer.progress['step'],
            'seconds': round(trainer.progress['seconds'], 1),
            'history': trainer.progress['history']}


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_train`; return the exit code."""
    args = build_parser().parse_args(argv)
    console = Console(stderr=True)
    settings = Settings(**{name: getattr(args, name) for name in vars(Settings())})

    def track_decoding(images: Iterable) -> Iterable:
        return track(images, 'decoding', console=console, disable=args.quiet)
    try:
        Path(args.output).mkdir(parents=True, exist_ok=True)
        check_writable(args.json)
        device = resolve_device(args.device).type
        data = load_data(args.images, args.val, img_size=settings.img_size,
                         held_share=settings.hold_out, seed=settings.seed, track=track_decoding)
        trainer = Trainer(settings, data, Path(args.output) / args.name, device,
                          training_precision(args.precision, device), args.minutes)
        if args.resume:
            trainer.resume()
    except (ClassifierError, ImageFileError, ModelError, OSError) as error:
        console.print(f'ltp_train: {error}', soft_wrap=True, markup=False)
        return 2

    with noting(signal.SIGINT, signal.SIGTERM) as stop:
        finished = run(trainer, console, stop, args.save_steps, args.quiet)
    if not finished:
        console.print('stopped; the same command with --resume goes on from here')
        return INTERRUPTED
    record = make_record(trainer, args.images)
    export_model(trainer.stem, trainer.vit, model_card(trainer.built, data.class_names, record))
    write_json(args.json, record)
    return 0


if __name__ == '__main__':
    sys.exit(main())
