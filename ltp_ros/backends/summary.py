# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a node must know of a model beside its weights, kept from an earlier start.

With it and the exported levels a model is run without torch, which takes half a gigabyte and
seconds.
"""
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple

from ltp_ros.backends import cache
from ltp_ros.backends.level_files import origin
from ltp_ros.config import ClassifierConfig
from ltp_ros.files import expand, sha256
from ltp_ros.model.card import path_of, weights_of
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.names import TIMM_PREFIXES

if TYPE_CHECKING:
    from torch import nn

FOLDER = 'summaries'  # in the cache
MOST = 50  # of them; one takes 40 kB with the labels of ImageNet
# Parameters that what is known of a model depends on; its files by their content
ASKED = ('model', 'image_sides', 'patch_size', 'crop_mode', 'method', 'score', 'alpha', 'levels')


class LevelSize(NamedTuple):
    """How many tokens a level of the ladder has; see `TokenReducer`."""

    num_keep: int
    num_whole: int
    counts: Tuple[int, ...]


@dataclass(frozen=True)
class ModelSummary:
    """A model as its user sees it."""

    name: str
    model_hash: str
    labels: Tuple[str, ...]  # by class id
    data_config: DataConfig
    num_patches: int
    grid_size: Tuple[int, int]
    sizes: Mapping[float, LevelSize]  # by keep ratio
    step: Tuple[int, int] = (0, 0)      # pixels by which its input can be smaller; 0: not at all
    patch_sizes: Tuple[int, ...] = ()   # that it can be run with; (): one alone

    def smaller_input(self, keep_ratio: float) -> Tuple[Tuple[int, int], int]:
        """Return the input with about the keep ratio's share of the cells: its sides, its patch.

        The shape stays what it was. Patches of another size, where the model takes them, leave
        every pixel in the input; 0: those of the model.
        """
        sides, (rows, columns) = self.data_config.input_size, self.grid_size
        if keep_ratio == 1.0 or not self.step[0]:
            return sides, 0
        if self.patch_sizes:
            wanted = keep_ratio * rows * columns
            own = sides[0] // rows
            patch = min(self.patch_sizes, key=lambda size: abs(
                (sides[0] // size) * (sides[1] // size) - wanted))
            return sides, 0 if patch == own else patch
        rows, columns = sides[0] // self.step[0], sides[1] // self.step[1]
        grids = [(high, max(1, round(high * columns / rows))) for high in range(1, rows + 1)]
        high, wide = min(grids, key=lambda grid: abs(
            grid[0] * grid[1] - keep_ratio * rows * columns))
        return (high * self.step[0], wide * self.step[1]), 0


def size_of(reducer: 'nn.Module', keep_ratio: float) -> LevelSize:
    """Return the size of a level of a `TokenReducer`, which is set to it."""
    reducer.keep_ratio = keep_ratio
    return LevelSize(reducer.num_keep, reducer.num_whole, reducer.counts)


def file_of(base: Optional[Path], config: ClassifierConfig) -> Optional[Path]:
    """Return where the summary of a model is kept; None if it cannot be told from another.

    Args:
        base: the cache; None: there is none.
        config: all that makes the model. The weights of the hub are those of their name, and stay
            what they were when they came; a repository or a folder may change.
    """
    if base is None or config.model.startswith(TIMM_PREFIXES):
        return None
    content = _content_of(config)
    if content is None:
        return None
    asked = {name: getattr(config, name) for name in ASKED}
    return base / FOLDER / f'{cache.hash_of([asked, content, origin(int8=False)])[:16]}.json'


def _content_of(config: ClassifierConfig) -> Optional[Dict[str, str]]:
    """Return the hash of each file that a config names; None if one is no file."""
    given = {name: Path(expand(getattr(config, name)))
             for name in ('labels', 'papr_checkpoint') if getattr(config, name)}
    weights = weights_of(config.model, config.checkpoint)
    if weights:
        given['weights'] = path_of(weights)
        card = given['weights'].with_suffix('.json')
        if card.exists():
            given['card'] = card
    if not all(path.is_file() for path in given.values()):
        return None
    return {name: sha256(path) for name, path in given.items()}


def read(path: Path) -> Optional[ModelSummary]:
    """Return a summary; None if there is none, or it is not to be trusted."""
    try:
        found = cache.read_json(path)
        config: Dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in found['data_config'].items()}
        rows, columns = found['grid_size']
        return ModelSummary(
            name=str(found['name']), model_hash=str(found['model_hash']),
            labels=tuple(map(str, found['labels'])), data_config=DataConfig(**config),
            num_patches=int(found['num_patches']), grid_size=(int(rows), int(columns)),
            sizes={float(ratio): LevelSize(int(keep), int(whole), tuple(map(int, counts)))
                   for ratio, (keep, whole, counts) in found['sizes'].items()},
            step=(int(found['step'][0]), int(found['step'][1])),
            patch_sizes=tuple(map(int, found['patch_sizes'])))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write(path: Path, summary: ModelSummary) -> None:
    """Keep a summary, whole or not at all.

    Raises:
        OSError: if it cannot be kept.
    """
    cache.write_json(path, asdict(summary))
    others = sorted(path.parent.glob('*.json'), key=lambda each: each.stat().st_mtime)
    for oldest in others[:-MOST]:
        oldest.unlink()
