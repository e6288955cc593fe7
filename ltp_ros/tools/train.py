# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_train`: train a Vision Transformer that stays accurate when its tokens are pruned.

Every step drops a share of the patch tokens before the first block, half of the time by the
token-ranking criterion used at inference. The program may be stopped or killed at any time; with
`--resume` it continues from the last saved step and ends with the same weights.
"""
import sys

from ltp_ros import programs

if __name__ == '__main__':  # before what takes seconds to import
    sys.exit(programs.ltp_train())

import argparse
import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ltp_ros.classifier import ClassifierError
from ltp_ros.files import expand
from ltp_ros.images import EncodedImage, ImageFileError, Note
from ltp_ros.model.card import ModelError
from ltp_ros.research.training.built_model import image_size, model_card, training_precision
from ltp_ros.research.training.images import load_data
from ltp_ros.research.training.state import export_model
from ltp_ros.research.training.trainer import Settings, Trainer
from ltp_ros.tools.support.device import select_device
from ltp_ros.tools.support.flags import (
    checked,
    not_negative,
    positive,
    positive_int,
    seed,
    share,
    whole_number,
)
from ltp_ros.tools.support.output_files import check_writable, write_json
from ltp_ros.tools.support.progress import shown, tracked
from ltp_ros.tools.support.provenance import provenance
from ltp_ros.tools.support.stopping import ending
from ltp_ros.tools.support.telling import teller

INTERRUPTED = 130
LONGEST_STEP_S = 60.0  # beyond it the program was suspended, which --minutes does not count


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_train`."""
    parser = argparse.ArgumentParser(
        prog='ltp_train', description=(__doc__ or '').split('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('images', type=expand, help='a folder of class folders, a folder with labels.csv, or an '
        '.npz with jpeg, offsets, labels and class_names')
    add('--output', type=expand, default='.',
        help='folder for the weights, model card, log and state')
    add('--name', default='model', help='base name of these files')
    add('--val', type=expand, default='',
        help='images to measure accuracy on, in any of the same formats')
    add('--hold-out', type=share, default=Settings.hold_out,
        help='without --val: share of the images held out for validation')
    add('--model', default=Settings.model, help="timm architecture, or 'demo'")
    add('--checkpoint', type=expand, default=Settings.checkpoint,
        help="initial weights; 'demo': those in this package")
    add('--pretrained', action='store_true', help="without --checkpoint: begin with timm's "
        'weights, which are downloaded once, instead of random ones')
    add('--input-size', '--img-size', dest='img_size', type=checked('input_size'), default=0,
        metavar='PIXELS', help='pixels a side of the images; 0: as the checkpoint was trained, '
        'else as the model')
    add('--epochs', type=positive_int, default=Settings.epochs, help='passes over the images')
    add('--minutes', type=not_negative, default=0.0, help='time limit for the epochs; the '
        'learning rate follows the clock where it is ahead of the steps, so runs are not '
        'repeatable; 0: none')
    add('--batch', type=whole_number, default=Settings.batch, help='images per step; 0: by the '
        'number of images: 256 from 20,000 on, 128 from 5,000, 64 from 1,250, 32 from 312, and '
        'so on down to 8')
    add('--lr', type=positive, default=Settings.lr, help='peak learning rate')
    add('--weight-decay', type=not_negative, default=Settings.weight_decay,
        help='on the weight matrices')
    add('--label-smoothing', type=share, default=Settings.label_smoothing, help='from 0 to 1')
    add('--min-keep-ratio', type=checked('keep_ratio'), default=Settings.min_keep_ratio,
        help='smallest share of the tokens kept in a step')
    add('--seed', type=seed, default=Settings.seed, help='seed of all random numbers')
    add('--resume', action='store_true', help='continue the run in --output')
    add('--save-steps', type=whole_number, default=50, metavar='N', help='save the state every N '
        'steps and after every epoch; 0: only after every epoch')
    add('--device', type=checked('device'), default='auto', help='auto, cpu, cuda or cuda:N')
    add('--precision', choices=('auto', 'float32', 'bfloat16'), default='auto',
        help='auto: bfloat16 if the hardware supports it')
    add('--json', type=expand, metavar='FILE', help='write a record of the run as JSON')
    add('--quiet', action='store_true', help='hide the progress bar')
    return parser


def progress_bar(console: Console, quiet: bool) -> Progress:
    """Return a progress bar; its time that is left follows from the last ten minutes."""
    return Progress(TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn(),
                    console=console, disable=quiet, speed_estimate_period=600.0)


def run(trainer: Trainer, console: Console, stop: Sequence[int], save_steps: int = 0,
        quiet: bool = False) -> bool:
    """Train and save until done or `stop` is not empty; return whether the run is complete."""
    with shown(progress_bar(console, quiet)) as bar:
        task = bar.add_task('training', total=1.0)
        bar.update(task, completed=trainer.share_done())
        while not stop:
            if trainer.epoch_is_over():
                console.print(json.dumps(trainer.end_epoch()), soft_wrap=True)
            if trainer.share_done() == 1.0:
                return True
            started = time.monotonic()
            loss = trainer.step()
            trainer.progress['seconds'] += min(time.monotonic() - started, LONGEST_STEP_S)
            step = trainer.progress['step']
            bar.update(task, completed=trainer.share_done(),
                       description=f'step {step} of {trainer.total_steps}, loss {loss:.3f}')
            if save_steps and step % save_steps == 0:
                trainer.save()
    trainer.save()
    return False


def prepare(args: argparse.Namespace, console: Console, note: Note) -> Trainer:
    """Return the trainer with its images and model, at the step where it is to go on.

    Raises:
        ClassifierError, ImageFileError, ModelError, OSError: if one of them cannot be used.
    """
    Path(args.output).mkdir(parents=True, exist_ok=True)
    check_writable(args.json)
    settings = Settings(**{name: getattr(args, name) for name in vars(Settings())})
    if not settings.img_size:
        settings = replace(settings, img_size=image_size(settings.model, settings.checkpoint))

    def decoding(images: Iterable[EncodedImage]) -> Iterable[EncodedImage]:
        return tracked(images, 'decoding', progress_bar(console, args.quiet))
    device = select_device(args.device).type
    data = load_data(args.images, args.val, img_size=settings.img_size,
                     held_share=settings.hold_out, seed=settings.seed, track=decoding, note=note)
    trainer = Trainer(settings, data, Path(args.output) / args.name, device,
                      training_precision(args.precision, device), args.minutes)
    if args.resume:
        trainer.resume()
    return trainer


def make_record(trainer: Trainer, images: str) -> Dict[str, object]:
    """Return the record of the run: settings, data, versions, hardware, time and accuracies."""
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
    tell = teller(console, 'ltp_train')
    trainers: List[Trainer] = []  # the one of this run, once it may be saved

    def stopped() -> int:
        console.show_cursor()
        console.print('stopped; to continue, run the same command with --resume' if trainers else
                      'stopped before the first step; to begin, run the same command again')
        return INTERRUPTED

    def save() -> None:
        for trainer in trainers:
            trainer.save()
    with ending(signal.SIGINT, signal.SIGTERM, at_once=save, at_last=stopped) as stop:
        try:
            trainers.append(prepare(args, console, tell))
        except (ClassifierError, ImageFileError, ModelError, OSError) as error:
            tell(str(error))
            return 2
        trainer, = trainers
        if not run(trainer, console, stop, args.save_steps, args.quiet):
            return stopped()
        record = make_record(trainer, args.images)
        export_model(trainer.stem, trainer.vit,
                     model_card(trainer.built, trainer.data.class_names, record))
        write_json(args.json, record)
    return 0
