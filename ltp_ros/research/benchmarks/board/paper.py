# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What LTP-ViT's Figs. 6 and 7 show of a Xavier NX, on this board: batches through the model."""
import math
from typing import Dict, Iterator, List, Mapping, Tuple

import torch

from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.batches import measure_batch
from ltp_ros.research.benchmarks.board.settings import settings_of
from ltp_ros.research.benchmarks.board.state import Watch
from ltp_ros.research.benchmarks.gpu.parts import Task
from ltp_ros.research.benchmarks.methods import (
    LTP,
    NO_REDUCTION,
    SAME_GMACS,
    SAME_RATIO,
    contenders_of,
    paper_keep_ratio,
)

TABLE = 'the forward pass alone'
BESIDE = "LTP-ViT's own figures of a Jetson Xavier NX, and what was measured here"
MODEL = 'vit_small_patch16_224'
FEWEST_ROUNDS = 5
# Of ViT-S-Augreg at 2.3 GMACs: key of a row and its batch -> by method. How the paper counts
# memory it does not say; a row has the peak of the forward pass, without weights and input
PUBLISHED: Mapping[Tuple[str, int], Mapping[str, float]] = {
    ('p50_ms', 1): {'tome': 32.75, 'papr': 30.01, 'ltp': 25.82},          # Fig. 6
    ('peak_mib', 64): {'none': 750, 'tome': 706, 'papr': 726, 'ltp': 520},  # Fig. 6
    ('prune_ms', 64): {'papr': 287.65, 'ltp': 47.34},                     # Fig. 7
}
FIGURES = {'p50_ms': 'Fig. 6', 'peak_mib': 'Fig. 6', 'prune_ms': 'Fig. 7'}


def run(task: Task) -> None:
    """Time batches, the pruning step and the memory of every method at the paper's setting."""
    settings = settings_of(task)
    runs = [name for name in settings.runs if name.split(':')[0] in ('eager', 'graph')] or [
        'eager:float32']
    models = {method: settings.subject.model(method)
              for method in (NO_REDUCTION, *settings.reducing)}
    pixels = torch.randn(1, 3, *models[NO_REDUCTION].patch_embed.img_size)
    reference = models.get(LTP) or settings.subject.model(LTP)
    contenders = contenders_of(
        models, [paper_keep_ratio(settings.model, reference, pixels)], pixels)
    rows: List[Dict[str, object]] = []
    watch = Watch()
    for batch in settings.batches:
        if not task.left_s:
            task.note(f'no time for batch {batch}')
            continue
        rounds = max(math.ceil(settings.rounds / batch), FEWEST_ROUNDS)
        for name in runs:
            try:
                found = measure_batch(models, contenders, [name], batch, settings.device,
                                      rounds, lambda done: watch())
            except (BenchmarkError, RuntimeError) as error:  # so is torch's lack of memory
                task.note(f'{name} at batch {batch} is left out: {error}')
                continue
            for row in found:
                task.row(TABLE, **row)
            rows += found
    task.row('the board meanwhile', **watch.summary())
    if settings.model.split('.')[0] == MODEL:
        for beside in beside_paper(rows):
            task.row(BESIDE, **beside)


def beside_paper(rows: List[Dict[str, object]]) -> Iterator[Dict[str, object]]:
    """Yield each figure of the paper, with ours of each run at the same batch; none: not measured.

    The paper compares at equal work: so the peers are those of equal GMACs.
    """
    for (key, batch), published in PUBLISHED.items():
        for method, paper in published.items():
            setting = SAME_RATIO if method in (LTP, NO_REDUCTION) else SAME_GMACS
            ours = {f'here, {row["backend"]} {row["precision"]}': row[key] for row in rows
                    if (row['method'], row['batch'], row['setting']) == (method, batch, setting)}
            yield {'of': FIGURES[key], 'quantity': key, 'batch': batch, 'method': method,
                   'paper, not ours': paper, **ours}
