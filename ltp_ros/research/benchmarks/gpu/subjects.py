# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The models, backends and pictures that the parts use."""
from pathlib import Path
from tempfile import mkdtemp
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np
import torch
from torch import nn

from ltp_ros.backends import choice
from ltp_ros.backends.protocol import Backend, BackendAnswer, Log
from ltp_ros.config import REDUCTIONS, ClassifierConfig
from ltp_ros.images import image_files, read_images, spread
from ltp_ros.model import vit
from ltp_ros.research.benchmarks.gpu.parts import LEVELS, Settings

LADDER = ClassifierConfig.keep_ratios
FEW_LEVELS = (1.0, 0.53, 0.25)
PAPER_MODELS = ('vit_small_patch16_224', 'vit_base_patch16_224')
SMALL_MODEL = 'vit_tiny_patch16_224'
CAMERA_SIZES = ((480, 640), (720, 1280), (1080, 1920), (2160, 3840))
NUM_PHOTOS = 30
CPU = torch.device('cpu')


class Subject(NamedTuple):
    """A model by name, and its weights."""

    name: str
    checkpoint: str = ''
    input_size: int = 0

    def model(self, method: str) -> nn.Module:
        """Return the model with a token reduction method; without a checkpoint, random weights."""
        torch.manual_seed(0)
        return vit.create_vit(self.name, self.checkpoint, method=method, pretrained=False,
                              input_size=self.input_size)


def subjects(settings: Settings) -> List[Subject]:
    """Return the models with trained weights: the given checkpoint, if any, and the demo model."""
    given = [Subject(settings.model, settings.checkpoint, settings.input_size)
             ] if settings.checkpoint else []
    return [*given, Subject(vit.DEMO)]


def backend_of(name: str, precision: str, model: nn.Module, settings: Settings,
               log: Log = print) -> Backend:
    """Return a backend with a copy of the model on the device."""
    folder = Path(settings.output) / LEVELS
    folder.mkdir(exist_ok=True)
    return choice.create(name, precision, model, vit.data_config(model),
                         torch.device(settings.device), Path(mkdtemp(dir=str(folder))), log)


def main_pair(settings: Settings) -> Tuple[str, str]:
    """Return the backend and precision that matter most on the device."""
    return ('eager', 'float32') if settings.small else ('graph', 'float16')


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a picture (height, width, 3) of uniform noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a picture (height, width, 3) that resembles a photo: areas, edges, a little noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    for _ in range(6):
        centre = (int(generator.integers(width)), int(generator.integers(height)))
        cv2.circle(picture, centre, max(width // 12, 1),
                   [float(value) for value in generator.integers(0, 256, 3)], -1)
    picture += generator.normal(0, 4, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def photos(settings: Settings) -> List[np.ndarray]:
    """Return the photos of the settings as RGB, or synthetic scenes if there are none."""
    count = 4 if settings.small else NUM_PHOTOS
    files = image_files(Path(settings.photos)) if settings.photos else []
    chosen = [files[index] for index in spread(len(files), count)]
    return [rgb for _, rgb in read_images(chosen, len(chosen), print)] or [
        scene(480, 640, seed) for seed in range(count)]


def levels(settings: Settings) -> Sequence[float]:
    """Return the ladder levels to use."""
    return FEW_LEVELS if settings.small else LADDER


def methods() -> Iterator[str]:
    """Yield the methods, LTP first."""
    yield from sorted(REDUCTIONS, key=lambda method: method != 'ltp')


def spread_ms(times_ms: Sequence[float]) -> Dict[str, float]:
    """Return the median, the 99th percentile and the number of times."""
    p50, p99 = np.percentile(times_ms, (50, 99))
    return {'p50_ms': round(float(p50), 4), 'p99_ms': round(float(p99), 4), 'n': len(times_ms)}


def same(found: BackendAnswer, expected: BackendAnswer) -> bool:
    """Return whether two answers are identical, bit for bit."""
    return all(np.array_equal(mine, other) for mine, other in zip(found, expected))
