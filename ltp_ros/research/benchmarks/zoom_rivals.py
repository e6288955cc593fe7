# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The zoom and its rivals: other ways to say where in a picture something is, or to see more.

Each other way to look is a map of the picture, cell by cell. What is below its median is taken for
ground; the box about the rest is found, and kept to the model's input, as the product does it.
"""
from dataclasses import replace
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch
from torch import nn

from ltp_ros.classifier import Classifier
from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.host_preprocessing import HostPreprocessor
from ltp_ros.opening import trial_frame
from ltp_ros.reduction.ltp import redundancy
from ltp_ros.region import Region
from ltp_ros.zoom.box import Box, find, in_pixels
from ltp_ros.zoom.detail import cells_of, largest_box
from ltp_ros.zoom.gaze import Zoom

CENTRE, WHOLE, ZOOM = 'centre crop', 'whole square', 'zoom'
FINER, ATTENTION = 'finer picture', 'attention box'
FINER_BY = 10 / 7      # how many times the patches a side: 320 pixels for 224
CELL = 16              # pixels of a cell for the contrast, as the product's small copy has them
SPECTRAL_SIDE = 64     # of the grey copy, pixels of the shorter side
SPECTRAL_BLUR = 2.5    # standard deviation in its pixels, as in the code of its authors
Cells = Tuple[int, int]  # rows, columns that a picture has
Map = Callable[[np.ndarray, Cells], np.ndarray]  # of a picture (H, W, 3) uint8: (rows, columns)
Look = Callable[[np.ndarray], Optional[Region]]


class Rival(NamedTuple):
    """A way to look at pictures, and the model that does."""

    name: str
    classifier: Classifier
    look: Look
    num_tokens: int  # patch tokens that are left


class Seen(NamedTuple):
    """What a rival makes of a picture."""

    best: int             # class id
    side: float           # of what the model saw, in shares of the picture's shorter side
    features: np.ndarray  # (D,)


class Finder:
    """Finds the box about what stands out in a map, by the rules of the product.

    Args:
        config: the input that the model expects.
        map_of: of a picture.
    """

    def __init__(self, config: DataConfig, map_of: Map):
        self._zoom, self._map_of = Zoom(config), map_of

    def __call__(self, rgb: np.ndarray) -> Optional[Region]:
        """Return where to look in a picture (H, W, 3) uint8; None: the centre crop."""
        view = self._zoom.view(rgb.shape)
        if view is None:
            return None
        values = self._map_of(rgb, cells_of(rgb.shape, view.frame))
        box = find(above_median(values), view.least)
        return box and in_pixels(box, rgb.shape, view.frame)


def centre(rgb: np.ndarray) -> Optional[Region]:
    """Return None: look where the crop mode does."""
    return None


def whole_square(config: DataConfig) -> Look:
    """Return how to look at the largest box of the model's shape in the middle.

    It chooses nothing. What the zoom gains beyond it is not owed to the margin of the crop, which
    a box is without.
    """
    def look(rgb: np.ndarray) -> Region:
        frame = largest_box(rgb.shape, config.input_size, config.crop_mode == 'squash')
        rows, columns = (side / unit for side, unit in zip(rgb.shape, frame))
        return in_pixels(Box(rows / 2, columns / 2, 1.0), rgb.shape, frame)
    return look


def above_median(values: np.ndarray) -> np.ndarray:
    """Return by how much values exceed their median, float32; 0 where they do not."""
    return np.clip(values - np.median(values), 0.0, None).astype(np.float32)


def contrast(rgb: np.ndarray, cells: Cells) -> np.ndarray:
    """Return the standard deviation of the grey levels in each cell."""
    rows, columns = cells
    small = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (columns * CELL, rows * CELL),
                       interpolation=cv2.INTER_AREA).astype(np.float32)
    mean, square = (cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
                    for values in (small, small * small))
    return np.sqrt(np.maximum(square - mean * mean, 0.0))


def spectral_residual(rgb: np.ndarray, cells: Cells) -> np.ndarray:
    """Return the saliency of each cell by what is unusual in the spectrum of the picture.

    Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007.
    """
    height, width = rgb.shape[:2]
    scale = SPECTRAL_SIDE / min(height, width)
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY),
                      (round(scale * width), round(scale * height)), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(grey.astype(np.float64))
    amplitude = np.log(np.abs(spectrum) + 1e-6)
    residual = amplitude - cv2.blur(amplitude, (3, 3))
    saliency = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = cv2.GaussianBlur(saliency.astype(np.float32), (0, 0), SPECTRAL_BLUR)
    return cv2.resize(smooth, cells[::-1], interpolation=cv2.INTER_AREA)


class ModelMaps:
    """Maps that the model itself makes, read from it in torch on the CPU.

    Args:
        model: a Vision Transformer of timm with a class token, in eval mode, float32.
        config: the input that it expects.
    """

    def __init__(self, model: nn.Module, config: DataConfig):
        self._model, self._config = model, config
        self._grid: Cells = tuple(model.patch_embed.grid_size)
        self._cropped = HostPreprocessor(config)
        self._whole = HostPreprocessor(replace(config, crop_mode='squash', crop_pct=1.0))
        self._entered: List[torch.Tensor] = []  # tokens (1, P + N, D) before the last attention

    @torch.inference_mode()
    def redundancy(self, rgb: np.ndarray, cells: Cells) -> np.ndarray:
        """Return 1 - R of each patch of the whole picture (LTP-ViT, eqs. 1 and 2), as cells.

        The picture is squeezed into the model's input; its patches are embedded by the model's
        own weights.
        """
        tokens = self._model.patch_embed(self._input(self._whole, rgb))
        values = (1.0 - redundancy(tokens)).reshape(self._grid).numpy()
        return cv2.resize(values, cells[::-1], interpolation=cv2.INTER_LINEAR)

    def attention(self, rgb: np.ndarray, cells: Cells) -> np.ndarray:
        """Return the last block's attention of the class token to the patches, as cells.

        In the run of the centre crop, as a robot would have it of the frame before of a still
        scene. Outside of the crop it has seen nothing: 0 there.
        """
        values = above_median(self.attention_of(self._input(self._cropped, rgb)))
        top, left, height, width = self._config.crop_box(*rgb.shape[:2])
        high, wide = height / self._grid[0], width / self._grid[1]
        placed = cv2.warpAffine(values, np.array([  # centres of patches to those of pixels
            [wide, 0.0, left + (wide - 1) / 2], [0.0, high, top + (high - 1) / 2]]),
            (rgb.shape[1], rgb.shape[0]), flags=cv2.INTER_NEAREST)
        return cv2.resize(placed, cells[::-1], interpolation=cv2.INTER_AREA)

    @torch.inference_mode()
    def attention_of(self, pixels: torch.Tensor) -> np.ndarray:
        """Return it for an input (1, 3, H, W) as the mean of the heads, on the grid of patches."""
        attention = self._model.blocks[-1].attn
        hook = attention.register_forward_pre_hook(
            lambda module, inputs: self._entered.append(inputs[0]))
        try:
            self._model.forward_features(pixels)
        finally:
            hook.remove()
        tokens = self._entered.pop()
        heads = attention.num_heads
        query, key, _ = attention.qkv(tokens).unflatten(-1, (3, heads, -1)).unbind(2)
        query, key = attention.q_norm(query[0, 0]), attention.k_norm(key[0])  # of the class token
        shares = torch.einsum('hd,nhd->hn', query * attention.scale, key).softmax(dim=-1)
        patches = shares[:, self._model.num_prefix_tokens:].mean(dim=0)
        return patches.reshape(self._grid).numpy()

    @property
    def has_attention(self) -> bool:
        """Whether there is a class token, and attention as timm's plain block has it."""
        attention = self._model.blocks[-1].attn
        return bool(getattr(self._model, 'cls_token', None) is not None and all(
            hasattr(attention, name) for name in ('qkv', 'q_norm', 'k_norm', 'scale')))

    def _input(self, preprocessor: HostPreprocessor, rgb: np.ndarray) -> torch.Tensor:
        pixels = np.empty((1, 3, *self._config.input_size), np.float32)
        preprocessor(rgb, pixels)
        return torch.from_numpy(pixels)


def looks(config: DataConfig, model: nn.Module) -> Dict[str, Look]:
    """Return the rivals of the zoom that choose a box, by name.

    Args:
        config: the input that the model expects.
        model: as `ModelMaps`.
    """
    maps = ModelMaps(model, config)
    found: Dict[str, Map] = {'redundancy box': maps.redundancy, 'contrast box': contrast,
                             'spectral residual': spectral_residual}
    if maps.has_attention:
        found[ATTENTION] = maps.attention
    return {name: Finder(config, map_of) for name, map_of in found.items()}


def finer_than(classifier: Classifier) -> Tuple[int, float]:
    """Return a larger input size, pixels a side, and the keep ratio with as many tokens."""
    (side, _), (patches, _) = classifier.data_config.input_size, classifier.grid_size
    more = max(patches + 1, round(FINER_BY * patches))
    return side // patches * more, (patches / more) ** 2


def rivals_of(full: Classifier, small: Optional[Classifier], finer: Optional[Classifier],
              model: nn.Module) -> List[Rival]:
    """Return all rivals, the centre crop at the model's input size first.

    Args:
        full: at the model's input size.
        small: at a smaller one.
        finer: at a larger one, with as many tokens.
        model: that of `full` in torch, to read maps from.
    """
    found: List[Tuple[str, Optional[Classifier], Look]] = [
        (CENTRE, full, centre), (WHOLE, full, whole_square(full.data_config)),
        (ZOOM, full, full.zoom.box),
        *((name, full, look) for name, look in looks(full.data_config, model).items()),
        (FINER, finer, centre)]
    if small:
        found += [(CENTRE, small, centre), (WHOLE, small, whole_square(small.data_config)),
                  (ZOOM, small, small.zoom.box)]
    return [Rival(name, classifier, look, classifier.classify(trial_frame(), top_k=1).num_keep)
            for name, classifier, look in found if classifier]


def see(rivals: Sequence[Rival], rgb: np.ndarray) -> List[Seen]:
    """Return what each rival makes of a picture; equal boxes are classified once."""
    known: Dict[Tuple[int, Optional[Region]], Seen] = {}
    found = []
    for rival in rivals:
        box = rival.look(rgb)
        key = id(rival.classifier), box
        if key not in known:
            answer = rival.classifier.classify(rgb, top_k=1, score_threshold=0.0, box=box)
            known[key] = Seen(answer.class_ids[0], answer.seen.side_of(rgb.shape),
                              answer.features)
        found.append(known[key])
    return found
