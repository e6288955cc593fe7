# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a search found, in words: levels, and one sentence of advice."""
import math
from dataclasses import replace
from typing import List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from ltp_ros.research.ladder_search.front import score_of
from ltp_ros.research.ladder_search.intervals import gain_interval
from ltp_ros.tuner.ladder_file import Level

REDUCED = {'ltp': 'dropped', 'papr': 'dropped', 'mixed': 'merged', 'tome': 'merged'}


def family(level: Level, reference: Level) -> str:
    """Return how a level differs from the unpruned model: one of the keys of PHRASES, or ''.

    Args:
        level: of the ladder.
        reference: the unpruned model at its own size.
    """
    (high, wide), (own_high, own_wide) = level.input_size, reference.input_size
    if high * wide > 1.1 * own_high * own_wide:
        return 'closer'
    if abs(wide * own_high - high * own_wide) > 0.1 * high * own_wide:
        return 'shaped'
    if level.keep_ratio < 1.0:
        return REDUCED.get(level.method, 'dropped')
    if high * wide < own_high * own_wide or level.patch_size:
        return 'smaller'
    return 'zoomed' if level.zoom else ''


def described(level: Level, reference: Level) -> str:
    """Return a level in a few words: 'ltp 0.49 at 320 px, zoomed'."""
    parts = [level.model] if level.model != reference.model else []
    parts.append('unpruned' if level.keep_ratio == 1.0 else f'{level.method} '
                 f'{level.keep_ratio:g}')
    height, width = level.input_size
    if level.input_size != reference.input_size or level.keep_ratio < 1.0:
        parts.append(f'at {height if height == width else f"{width}x{height}"} px')
    if level.patch_size:
        parts.append(f'with patches of {level.patch_size} px')
    return ' '.join(parts) + (', zoomed' if level.zoom else '')


class Scored(NamedTuple):
    """A finalist with its hits on all pictures."""

    level: Level
    hits: np.ndarray  # (n,) bool


PHRASES: Mapping[str, str] = {
    'closer': 'objects are small here: a larger input of which most is dropped sees more',
    'shaped': "an input of the pictures' shape sees what a square one cuts off or squeezes",
    'smaller': 'shrinking costs nothing here: the objects are large enough',
    'dropped': 'what is dropped is not missed here: the ground says nothing',
    'zoomed': 'objects are small here: the zoom finds them',
    'merged': 'where little is to be seen, merging costs nothing here'}
# Of each family: its name in the legend of a plot, its colour
LOOKS: Mapping[str, Tuple[str, str]] = {
    '': ('whole, at its own size', 'black'), 'zoomed': ('whole, zoomed', 'tab:brown'),
    'smaller': ('smaller input', 'tab:blue'), 'dropped': ('patches dropped', 'tab:red'),
    'merged': ('patches merged', 'tab:green'), 'closer': ('larger input, reduced', 'tab:purple'),
    'shaped': ("input of the images' shape", 'tab:orange')}
CONFIDENCE = 0.95
FREE = 0.02  # of a score, 0..1: a loss that is surely less
CLOSE = 3.0  # percent


def advice(ladder: Sequence[Level], finalists: Sequence[Scored], reference: Level) -> str:
    """Return one sentence on what pays for this scene, honest where nothing is clear.

    A family pays when one of its levels on the ladder is better than the unpruned model beyond
    the interval and no slower, or faster and surely as good: than the one that runs in the same
    way, if that was scored too.

    Args:
        ladder: the levels that were kept.
        finalists: all that were scored on all pictures, the reference among them.
        reference: the unpruned model.
    """
    scored = {key_of(each.level): each for each in finalists}
    better: List[Pair] = []
    free: List[Pair] = []
    for level in ladder:
        if not family(level, reference):
            continue
        alike = replace(reference, precision=level.precision, backend=level.backend)
        mine = scored[key_of(level)]
        whole = scored.get(key_of(alike)) or scored[key_of(reference)]
        low, _ = gain_interval(mine.hits, whole.hits, CONFIDENCE)
        if level.p50_ms <= 1.02 * whole.level.p50_ms and low > 0:
            better.append(Pair(level, whole.level))
        elif level.p50_ms < 0.9 * whole.level.p50_ms and low > -FREE:
            free.append(Pair(level, whole.level))
    for found in (better, free):
        if found:
            best = max(found, key=lambda pair: (score_of(pair.level), -pair.level.p50_ms))
            return f'{PHRASES[family(best.level, reference)]} ({best})'
    whole = scored[key_of(reference)]
    cheaper = [Pair(level, whole.level) for level in ladder
               if level.p50_ms < 0.9 * whole.level.p50_ms]
    if not cheaper:
        return 'nothing here is both faster than the unpruned model and nearly as often right'
    best = max(cheaper, key=lambda pair: (score_of(pair.level), -pair.level.p50_ms))
    close = score_of(whole.level) - score_of(best.level) < CLOSE
    return ('nothing is surely free here; ' + (
        'more pictures may tell' if close else 'time is bought with right answers')
        + f' ({best})')


class Pair(NamedTuple):
    """A level beside the unpruned model."""

    level: Level
    whole: Level

    def __str__(self) -> str:
        return (f'{described(self.level, self.whole)}: {_numbers(self.level)}; unpruned '
                f'{_numbers(self.whole)}')


def _numbers(level: Level) -> str:
    return (f'{score_of(level):.1f} % in {level.p50_ms:.1f} ms, {level.backend} '
            f'{level.precision}')


def key_of(level: Level) -> Level:
    """Return a level without what was measured and how it is called: what it does."""
    return replace(level, work=1.0, p50_ms=math.nan, p99_ms=math.nan, worth=None)


def run_of(level: Level) -> Level:
    """Return what is run for a level: its key; to the model the zoom is no difference."""
    return replace(key_of(level), zoom=False)
