# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What each method costs at each keep ratio: work, and time."""
import tempfile
from pathlib import Path
from typing import Callable, Dict, Mapping, Sequence, Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.parameter import ConfigError
from ltp_ros.research.accuracy.answers import Variant, select
from ltp_ros.research.benchmarks.gmacs import count_gmacs
from ltp_ros.research.benchmarks.runners import interleave, make


def gmacs_of(models: Mapping[str, nn.Module], variants: Sequence[Variant],
             input_size: Tuple[int, int]) -> Dict[Variant, float]:
    """Return the GMACs per image of models that are on the CPU."""
    pixels = torch.zeros(1, 3, *input_size)
    return {variant: count_gmacs(select(models, variant), pixels) for variant in variants}


def times_of(models: Mapping[str, nn.Module], variants: Sequence[Variant],
             input_size: Tuple[int, int], backend: str, precision: str, device: str, rounds: int,
             progress: Callable[[], None]) -> Dict[Variant, float]:
    """Return the median milliseconds per image of models that are on the CPU, by variant.

    Args:
        models: by method.
        variants: the variants to time.
        input_size: height and width.
        backend: 'eager', 'graph' or 'onnx'.
        precision: a number format.
        device: where to run, 'cpu' or 'cuda'.
        rounds: timed runs of each, interleaved.
        progress: called after each round.

    Raises:
        ConfigError: if the backend cannot run here.
    """
    pixels = torch.randn(1, 3, *input_size)
    with tempfile.TemporaryDirectory() as folder:
        try:
            runs = [make(backend, precision, select(models, variant), variant.keep_ratio, pixels,
                         device, Path(folder) / str(number))[0]
                    for number, variant in enumerate(variants)]
        except (ImportError, RuntimeError) as error:
            raise ConfigError(f'--backend {backend} cannot be timed here: {error}') from error
        times = interleave(runs, rounds, progress=progress)
    return {variant: float(np.median(each)) for variant, each in zip(variants, times)}
