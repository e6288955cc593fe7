# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What `ltp_benchmark board` is to measure."""
from dataclasses import dataclass
from typing import Dict, Tuple

from ltp_ros.config import REDUCTIONS, ClassifierConfig
from ltp_ros.research.benchmarks.gpu.parts import Settings, Task
from ltp_ros.research.benchmarks.gpu.subjects import PAPER_MODELS, Subject
from ltp_ros.research.benchmarks.methods import NO_REDUCTION

# Not TensorRT ('onnx:float16'), which builds an engine for each level, minutes each
RUNS = {'cuda': ('graph:float16', 'eager:float16', 'eager:float32'),
        'cpu': ('eager:float32', 'eager:bfloat16', 'onnx:float32', 'onnx:int8',
                'openvino:float32', 'openvino:bfloat16')}
BATCHES = {'cuda': (1, 8, 64), 'cpu': (1, 8)}  # 64 takes a CPU minutes
ROUNDS = 100


@dataclass(frozen=True)
class BoardSettings(Settings):
    """The settings of a run; see `Settings`."""

    model: str = PAPER_MODELS[0]
    runs: Tuple[str, ...] = RUNS['cpu']    # 'backend:precision'
    methods: Tuple[str, ...] = REDUCTIONS  # the unpruned model always is among them
    keep_ratios: Tuple[float, ...] = ClassifierConfig.keep_ratios
    batches: Tuple[int, ...] = BATCHES['cpu']
    rounds: int = ROUNDS                   # at most, of batches of one

    @property
    def small(self) -> bool:
        """False: a board without a GPU is measured as others are."""
        return False

    @property
    def subject(self) -> Subject:
        """The model."""
        return Subject(self.model, self.checkpoint, self.input_size)

    @property
    def reducing(self) -> Tuple[str, ...]:
        """The methods that reduce."""
        return tuple(method for method in self.methods if method != NO_REDUCTION)


def settings_of(task: Task) -> BoardSettings:
    """Return the settings of a part of `ltp_benchmark board`."""
    assert isinstance(task.settings, BoardSettings)
    return task.settings


def pair_of(run: str) -> Dict[str, str]:
    """Return backend and precision of 'backend:precision', by name."""
    return dict(zip(('backend', 'precision'), run.split(':')))
