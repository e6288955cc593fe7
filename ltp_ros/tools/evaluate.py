# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_evaluate`: how often a model is right on labelled images, at each share of tokens kept."""
import argparse
import sys
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from ltp_ros import vit
from ltp_ros.classifier import ClassifierError, resolve_device, resolve_precision
from ltp_ros.config import ConfigError, check
from ltp_ros.datasets import DatasetError, ImageSet, decode_rgb, open_image_set
from ltp_ros.evaluation import accuracy_row, top_classes
from ltp_ros.preprocessing import Preprocessor
from ltp_ros.token_pruning import num_keep_tokens
from ltp_ros.tools.common_flags import add_ladder_flags, common_flags, positive_int
from ltp_ros.tools.output_files import check_writable, write_json
from ltp_ros.tools.provenance import provenance

UNPRUNED = 1.0


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of `ltp_evaluate`."""
    parser = argparse.ArgumentParser(
        prog='ltp_evaluate', parents=[common_flags()],
        description=(__doc__ or '').split(': ', 1)[1],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('images', help='a folder of class folders, a folder of images with labels.csv (columns '
        'file, class_index), or an .npz with jpeg, offsets, labels and class_names')
    add_ladder_flags(parser, 'shares of the patch tokens kept; 1.0, the unpruned model, is always '
                     'measured too')
    add('--batch', type=positive_int, default=64, help='images a run of the model')
    add('--limit', type=positive_int, metavar='N', help='only N of the images, evenly spread')
    return parser


def evaluate(args: argparse.Namespace, bar: Progress) -> Dict[str, Any]:
    """Measure what `args` ask for; return the head of the JSON file with its `rows`.

    Raises:
        ConfigError, ClassifierError, DatasetError, ModelError: if something cannot be used.
    """
    keep_ratios = check('keep_ratios', sorted({UNPRUNED, *args.keep_ratios}))
    alpha = check('alpha', args.alpha)
    device = resolve_device(args.device)
    precision = resolve_precision(args.precision, device)
    image_set = open_image_set(args.images)
    model = vit.create_vit(args.model, args.checkpoint, alpha=alpha)
    checkpoint = args.checkpoint or (vit.DEMO if args.model == vit.DEMO else '')
    names = vit.label_names(model, checkpoint, args.labels)
    classes = model_classes(image_set, names, args.images)
    chosen = spread(len(image_set), args.limit)

    head = provenance(device.type)  # now: a long run may outlive the commit it began with
    dtype = getattr(torch, precision)
    preprocessor = Preprocessor(vit.data_config(model), dtype).to(device)
    batches = preprocess([image_set.images[index] for index in chosen], preprocessor, args.batch)
    task = bar.add_task('evaluating', total=len(chosen) * len(keep_ratios))
    top = top_classes(model.to(device=device, dtype=dtype), batches, keep_ratios,
                      progress=lambda num_images: bar.advance(task, num_images))

    labels = torch.from_numpy(classes[chosen])
    num_patches = model.patch_drop.num_patches
    return {
        'program': 'ltp_evaluate', **head, 'precision': precision,
        'model': vit.model_name(args.model, args.checkpoint), 'checkpoint': args.checkpoint,
        'images': args.images, 'n': len(chosen), 'tokens_total': num_patches,
        'rows': [{'method': 'ltp', 'score': 'srb', 'keep_ratio': keep_ratio,
                  'tokens_kept': num_keep_tokens(num_patches, keep_ratio), 'alpha': alpha,
                  **accuracy_row(top[keep_ratio], top[UNPRUNED], labels)}
                 for keep_ratio in keep_ratios]}


def model_classes(image_set: ImageSet, names: List[str], source: str) -> np.ndarray:
    """Return the model's class (n,) int64 of every image.

    Classes are matched by name where the model knows the names, else by their order.

    Raises:
        DatasetError: if the model cannot have these classes.
    """
    own = image_set.class_names
    unknown = [name for name in own if name not in names]
    if own and not unknown:
        return np.array([names.index(name) for name in own], np.int64)[image_set.labels]
    if own and (len(unknown) < len(own) or len(own) != len(names)):
        raise DatasetError(
            f'{source!r} has {len(own)} classes and the model {len(names)}, which has none named '
            f'{unknown[0]!r}; name the classes as the model does, or give --labels')
    highest = int(image_set.labels.max())
    if highest >= len(names):
        raise DatasetError(f'{source!r} has the class index {highest}, but the model has '
                           f'{len(names)} classes, 0 to {len(names) - 1}')
    return image_set.labels


def spread(num_images: int, limit: Optional[int]) -> np.ndarray:
    """Return at most `limit` indices below `num_images`, ascending and evenly spaced."""
    limit = min(limit or num_images, num_images)
    return np.arange(limit) * num_images // limit


def preprocess(images: Sequence[Any], preprocessor: Preprocessor,
               batch: int) -> Iterator[torch.Tensor]:
    """Decode and preprocess images one by one, each of its own size; yield (B, 3, H, W)."""
    device = preprocessor.shift.device
    for start in range(0, len(images), batch):
        inputs = []
        for image in images[start:start + batch]:
            rgb = torch.from_numpy(decode_rgb(image)).to(device)
            try:
                inputs.append(preprocessor(rgb))
            except ValueError as error:
                raise DatasetError(f'{image}: {error}') from error
        yield torch.cat(inputs)


def make_table(result: Dict[str, Any]) -> Table:
    """Return the rows as a table."""
    table = Table(title='{model} on {n} images, {precision}'.format(**result),
                  caption='in percent, with 95 % Wilson intervals')
    for heading in ('keep ratio', 'tokens', 'top-1', '', 'top-5', '', 'agreement'):
        table.add_column(heading, justify='right')
    for row in result['rows']:
        table.add_row(*(text.format(**row) for text in (
            '{keep_ratio:g}', '{tokens_kept}', '{top1:.2f}', '{top1_low:.2f}–{top1_high:.2f}',
            '{top5:.2f}', '{top5_low:.2f}–{top5_high:.2f}', '{agreement:.2f}')))
    return table


def main(argv: Optional[List[str]] = None) -> int:
    """Run `ltp_evaluate`; return the exit code."""
    args = build_parser().parse_args(argv)
    errors = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        check_writable(args.json)
        with Progress(*columns, console=errors, disable=args.quiet) as bar:
            result = evaluate(args, bar)
        Console().print(make_table(result))
        write_json(args.json, result)
    except (ConfigError, ClassifierError, DatasetError, vit.ModelError, OSError) as error:
        errors.print(f'ltp_evaluate: {error}', soft_wrap=True, markup=False, highlight=False)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
