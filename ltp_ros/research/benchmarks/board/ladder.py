# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The ladder of each method, in each backend and precision that is here, as the node runs it."""
import gc
from functools import partial
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch

from ltp_ros.backends.protocol import Backend
from ltp_ros.machine import resident_mib
from ltp_ros.model.names import DEMO
from ltp_ros.research.benchmarks.board.settings import BoardSettings, pair_of, settings_of
from ltp_ros.research.benchmarks.board.state import Watch
from ltp_ros.research.benchmarks.gpu.parts import Task
from ltp_ros.research.benchmarks.gpu.subjects import backend_of, noise, photos
from ltp_ros.research.benchmarks.methods import NO_REDUCTION, pairwise, spread
from ltp_ros.research.benchmarks.runners import interleave

TABLE = 'batch 1, 640x480 to classes'
WARM_UP, FEWEST_ROUNDS = 2, 3
TOP_K = 5


class Cell(NamedTuple):
    """A level of a method's ladder."""

    method: str
    keep_ratio: float


def cells_of(settings: BoardSettings) -> List[Cell]:
    """Return what to time; the first is unpruned, as any method is at keep ratio 1."""
    return [Cell(NO_REDUCTION, 1.0)] + [
        Cell(method, keep_ratio) for method in settings.reducing
        for keep_ratio in settings.keep_ratios if keep_ratio < 1.0]


def run(task: Task) -> None:
    """Time every level; those of one backend and precision in turns, within its share of time."""
    settings = settings_of(task)
    for index, name in enumerate(settings.runs):
        watch = Watch()
        share_s = task.left_s / (len(settings.runs) - index)
        if time_run(task, settings, name, share_s, watch):
            task.row('the board meanwhile', run=name, **watch.summary())
        gc.collect()
        if settings.device == 'cuda':
            torch.cuda.empty_cache()  # a Jetson's CPU would lack it


def time_run(task: Task, settings: BoardSettings, name: str, seconds: float,
             watch: Watch) -> bool:
    """Time one 'backend:precision'; return whether it is here."""
    rgb, before_mib = noise(480, 640), resident_mib()
    pair = pair_of(name)
    if settings.device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    backends: Dict[str, Backend] = {}
    cells: List[Cell] = []
    for method in (NO_REDUCTION, *settings.reducing):
        levels = [cell for cell in cells_of(settings) if cell.method == method]
        try:
            backends[method] = backend_of(
                pair['backend'], pair['precision'], settings.subject.model(method), settings)
            for cell in levels:
                backends[method](rgb, cell.keep_ratio, TOP_K)
                watch()
        except (ImportError, RuntimeError, OSError) as error:
            task.note(f'{name} is left out for {method}: {error}')
            if method == NO_REDUCTION:
                return False
            continue
        cells += levels
    runs = [partial(backends[cell.method], rgb, cell.keep_ratio, TOP_K) for cell in cells]
    times = dict(zip(cells, interleave(runs, settings.rounds, WARM_UP, watch, seconds,
                                       FEWEST_ROUNDS)))
    agreement = agreement_of(settings, cells, lambda cell, picture: int(
        backends[cell.method](picture, cell.keep_ratio, 1).class_ids[0]))
    for cell in cells:
        task.row(TABLE, **pair, **cell._asdict(), **spread(times[cell]),
                 of_unpruned=pairwise(times[cell], times[cells[0]]), agreement=agreement[cell])
    task.row('memory of all these ladders (MiB)', run=name, process=resident_mib(),
             by_them=resident_mib() - before_mib,
             torch_on_gpu=torch.cuda.max_memory_allocated() / 2 ** 20
             if settings.device == 'cuda' else None)
    return True


def agreement_of(settings: BoardSettings, cells: Sequence[Cell],
                 answer: Callable[[Cell, np.ndarray], int]) -> Dict[Cell, Optional[float]]:
    """Return the share of photos that a level answers as the first of the cells does.

    None without photos, or of weights that nobody has trained.
    """
    if not settings.photos or not (settings.checkpoint or settings.model == DEMO):
        return dict.fromkeys(cells)
    pictures = photos(settings)
    found: Dict[Cell, Tuple[int, ...]] = {
        cell: tuple(answer(cell, picture) for picture in pictures) for cell in cells}
    whole = found[cells[0]]
    return {cell: sum(mine == other for mine, other in zip(answers, whole)) / len(whole)
            for cell, answers in found.items()}
