# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Inference times of this machine, of every level in turns, in a file; and scenes made of them."""
import time
import zipfile
from pathlib import Path
from typing import Callable, Dict, List, Sequence

import numpy as np

from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.tuning.scenes import HZ, camera
from ltp_ros.research.tuning.simulation import LADDER, Images, images
from ltp_ros.tuner.levels import LevelCost


def record(infer: Callable[[float], object], table: Sequence[LevelCost], seconds: float,
           seed: int, tick: Callable[[float], None]) -> Dict[str, np.ndarray]:
    """Time every level, in a new random order in each round.

    Args:
        infer: classifies an image at a keep ratio.
        table: as measured at configure.
        seconds: how long.
        seed: of the order.
        tick: called with the seconds so far.

    Returns:
        rows: (N, 4) round, index of the level, start [s], time [ms]; ratios: (L,) keep ratios;
        table: (L, 3) keep ratio, median and p99 [ms]. For `numpy.savez`.
    """
    rng, rows = np.random.default_rng(seed), []
    start_s = time.monotonic()
    turn = 0
    while time.monotonic() - start_s < seconds:
        for level in rng.permutation(len(table)):
            before_s = time.monotonic()
            infer(table[level].keep_ratio)
            rows.append((turn, level, before_s, 1e3 * (time.monotonic() - before_s)))
        turn += 1
        tick(time.monotonic() - start_s)
    return {'rows': np.array(rows), 'ratios': np.array([cost.keep_ratio for cost in table]),
            'table': np.array([(cost.keep_ratio, cost.median_ms, cost.p99_ms) for cost in table])}


def scenes(path: str, seed: int) -> List[Images]:
    """Return a recording as scenes of a camera of 30 Hz.

    In the first the frame at a moment is as much slower than usual as the run that began next; in
    the second each frame is one round, with the true time of every level.

    Raises:
        BenchmarkError: if the file is not a recording of the default ladder.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            rows, ratios, table = (file[name] for name in ('rows', 'ratios', 'table'))
        levels = [LADDER.index(round(float(ratio), 6)) for ratio in ratios]
        told = {round(float(ratio), 6): float(median_ms) for ratio, median_ms, _ in table}
        table_ms = [told[ratio] for ratio in LADDER]
        turns, places, starts_s, times_ms = rows.T
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BenchmarkError(f'{path!r} is not a recording of the levels '
                             f'{", ".join(map(str, LADDER))}: {error}; make one with '
                             'ltp_benchmark tuner --record FILE') from error
    ran = np.array(levels)[places.astype(int)]
    costs_ms = np.array([np.median(times_ms[ran == level]) for level in range(len(LADDER))])
    rng = np.random.default_rng([seed, 17])

    stem = Path(path).stem
    span_ms = 1e3 * (starts_s[-1] - starts_s[0])
    arrivals_ms = camera(rng, span_ms / 1e3, HZ)
    moments_ms = (arrivals_ms + rng.uniform(0.0, span_ms)) % span_ms
    index = np.minimum(np.searchsorted(1e3 * (starts_s - starts_s[0]), moments_ms), len(ran) - 1)
    by_moment = images(f'{stem}, by moment', arrivals_ms,
                       times_ms[index] / costs_ms[ran[index]],
                       costs_ms=costs_ms.tolist(), table_ms=table_ms)

    rounds = np.full((int(turns[-1]) + 1, len(LADDER)), np.nan)
    rounds[turns.astype(int), ran] = times_ms
    rounds = rounds[~np.isnan(rounds).any(axis=1)]
    rounds = np.roll(rounds, -int(rng.integers(len(rounds))), axis=0)
    by_round = images(f'{stem}, by round', camera(rng, len(rounds) / HZ, HZ),
                      np.ones(len(rounds)), costs_ms=costs_ms.tolist(), table_ms=table_ms)
    by_round.times_ms = rounds.tolist()
    return [by_moment, by_round]
