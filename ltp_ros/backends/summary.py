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
ASKED = ('model', 'input_size', 'crop_mode', 'method', 'score', 'alpha', 'ladder')


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
                   for ratio, (keep, whole, counts) in found['sizes'].items()})
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
