# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which levels are tried for a model: sizes and shapes of its input, methods, keep ratios."""
import math
from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ltp_ros.backends.summary import ModelSummary
from ltp_ros.config import Sides
from ltp_ros.tuner.ladder_file import Level

WHOLE = 'resize'  # the method of models whose tokens cannot be reduced
PRUNING = 'ltp'   # its level 1 is the whole model; int8 in OpenVINO takes that, and no other whole
FAMILIES = ('resize', 'mixed', 'ltp', 'papr', 'tome')
DEFAULT_FAMILIES = ('resize', 'mixed', 'ltp')
SMALLER = (0.86, 0.73, 0.62, 0.51, 0.41, 0.33, 0.25)  # shares of the cells of the model's own grid
SHAPED = (1.0, 0.51)               # shares of the cells, of inputs in the shape of the pictures
LARGER = (1.43, 2.0)                # times a side: 320 and 448 pixels for 224
RATIOS, SMALLER_RATIOS = (0.7, 0.5, 0.35), (0.7,)
LARGER_SHARES = (1.0, 0.7)  # of the model's own tokens, that a larger input is reduced to
WIDE = 1.3  # aspect of pictures from which on inputs of their shape are tried
ALIKE = 0.1  # aspects whose logarithms differ by less
LEAST_SHARE, MOST_SHARE = 0.15, 1.3  # of the tokens of its own grid: after a reduction, whole
MOST_WHOLE = 2.1  # where they cannot be reduced
MAX_SIDE = 2048  # as the parameter input_size


@dataclass(frozen=True)
class Wanted:
    """What the user wants tried; () and None: what is sensible."""

    methods: Tuple[str, ...] = DEFAULT_FAMILIES
    sides: Tuple[int, ...] = ()            # pixels of square inputs, besides the model's own
    keep_ratios: Tuple[float, ...] = ()
    zooms: Tuple[bool, ...] = (False, True)
    aspect: float = 1.0                    # median of the pictures, width by height


def base_of(summary: ModelSummary, model: str, checkpoint: str, method: str) -> Level:
    """Return the whole model at its own size, with backend and precision left open."""
    return Level(1.0, model=model, checkpoint=checkpoint, method=method,
                 input_size=summary.data_config.input_size, zoom=False)


def levels_of(summary: ModelSummary, base: Level, wanted: Wanted) -> List[Level]:
    """Return the levels to try, without backend and precision; the whole model is the first.

    Those of one model and input stand together, and zoomed ones beside those that are not.

    Args:
        summary: of the model as `base` has it.
        base: of the method PRUNING where tokens can be reduced, else WHOLE.
        wanted: by the user.
    """
    rows, columns = summary.grid_size
    found: Dict[Level, None] = {}
    for sides, patch in _inputs(summary, wanted):
        at = replace(base, input_size=sides, patch_size=patch)
        grid = _grid(summary, sides, patch)
        tokens = grid[0] * grid[1] / (rows * columns)
        most = math.inf if wanted.sides else MOST_SHARE if base.method == PRUNING else MOST_WHOLE
        if 'resize' in wanted.methods and tokens <= most or at == base:
            found[at] = None
        if base.method == PRUNING:
            found.update(dict.fromkeys(_reduced(at, grid, tokens, wanted)))
    return [replace(level, zoom=zoom) for level in found for zoom in wanted.zooms]


def _reduced(at: Level, grid: Sides, tokens: float, wanted: Wanted) -> Iterator[Level]:
    for method in wanted.methods:
        if method == 'resize' or method == 'mixed' and (grid[0] % 2 or grid[1] % 2):
            continue
        ratios = wanted.keep_ratios or _ratios(tokens)
        for ratio in ratios:
            # Of fewer than a quarter none is seen in full by `mixed`, and some not at all
            if ratio < 1.0 and (wanted.keep_ratios or method != 'mixed' or ratio >= 0.25) and (
                    wanted.keep_ratios or ratio * tokens >= LEAST_SHARE):
                yield replace(at, method=method, keep_ratio=ratio)


def _ratios(tokens: float) -> Tuple[float, ...]:
    """Return keep ratios to try for an input of so many tokens, as a share of the model's own."""
    if tokens > MOST_SHARE:
        return tuple(round(share / tokens, 2) for share in LARGER_SHARES)
    return RATIOS if tokens > 0.9 else SMALLER_RATIOS


def _inputs(summary: ModelSummary, wanted: Wanted) -> List[Tuple[Sides, int]]:
    """Return (sides, patch) of the inputs to try, the model's own first; patch 0: its own."""
    own, step = summary.data_config.input_size, summary.step
    found: Dict[Tuple[Sides, int], None] = {(own, 0): None}
    if not step[0]:
        return list(found)
    if wanted.sides:
        square = [_on_grid((float(side), float(side)), step) for side in wanted.sides]
        return list(dict.fromkeys([*found, *((sides, 0) for sides in square)]))
    if 'resize' in wanted.methods:
        found.update(dict.fromkeys(map(summary.smaller_input, SMALLER)))
    large = LARGER if _reduces(wanted) else LARGER[:1]
    larger = [_on_grid((own[0] * times, own[1] * times), step) for times in large]
    found.update(dict.fromkeys((sides, 0) for sides in larger if max(sides) <= MAX_SIDE))
    for share in SHAPED:
        sides = shaped(summary, wanted.aspect, share)
        if sides:
            found[sides, 0] = None
    return list(found)


def _reduces(wanted: Wanted) -> bool:
    """Return whether any method is wanted that makes a large input affordable."""
    return any(method != 'resize' for method in wanted.methods)


def _on_grid(sides: Tuple[float, float], step: Sides) -> Sides:
    """Return the sides nearest to these that are made of an even number of cells."""
    high, wide = (max(2, 2 * round(side / unit / 2)) * unit for side, unit in zip(sides, step))
    return high, wide


def shaped(summary: ModelSummary, aspect: float, share: float) -> Optional[Sides]:
    """Return an input of the shape of pictures, with about a share of the model's own cells.

    Both numbers of cells are even, as `mixed` wants them. None: the model's input has that shape
    already, or near it, or none of few cells is nearer.
    """
    own, step = summary.data_config.input_size, summary.step
    if max(aspect, 1 / aspect) < WIDE or abs(math.log(aspect * own[0] / own[1])) < ALIKE:
        return None
    rows, columns = (side // unit for side, unit in zip(own, step))
    cells = share * rows * columns

    def misfit(grid: Sides) -> float:
        shape = grid[1] * step[1] / (grid[0] * step[0])
        return abs(math.log(grid[0] * grid[1] / cells)) + 0.5 * abs(math.log(shape / aspect))

    most = 2 * int(cells)
    grids: Sequence[Sides] = [(high, wide) for high in range(2, most, 2)
                              for wide in range(2, most // high + 1, 2)]
    if not grids:
        return None
    high, wide = min(grids, key=misfit)
    sides = high * step[0], wide * step[1]
    left, before = (abs(math.log(aspect * each[0] / each[1])) for each in (sides, own))
    return sides if left < 0.5 * before else None  # few cells make few shapes


def _grid(summary: ModelSummary, sides: Sides, patch: int) -> Sides:
    """Return rows and columns of an input; its cells are patches, or steps of another network."""
    own, (rows, columns) = summary.data_config.input_size, summary.grid_size
    if patch:
        return sides[0] // patch, sides[1] // patch
    return max(1, rows * sides[0] // own[0]), max(1, columns * sides[1] // own[1])
