# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the model sees of a picture, and what it says of it."""
import dataclasses
import re
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import Config, TunerConfig
from ltp_ros.model.card import ModelError, weights_of
from ltp_ros.model.data_config import DataConfig, ImageSizeError
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.parameter import ConfigError
from ltp_ros.prediction import Prediction
from ltp_ros.region import Region, pixels_of
from ltp_ros.settings import update
from ltp_ros.tools.checks.channels import exchanged, sureness_evidence
from ltp_ros.tools.checks.finding import Finding, Level, first_line
from ltp_ros.tools.checks.machine import available_memory, judge_memory
from ltp_ros.tools.support.frame_sources import SAMPLES

CHECK = 'model'
HEIGHT = 448  # pixels, of both pictures in the file
GAP = 8  # pixels between them
FRAME = (255, 160, 0)  # RGB, around the region that the model sees
TOP_K = 5
SURE = 0.5  # score
FEWEST = 4  # pictures that the agreement of two levels is judged by


def load(parameters: Mapping[str, object],
         level: float) -> Tuple[Optional[Classifier], List[Finding]]:
    """Return the classifier of these node parameters, and whether it can be had.

    Without the choice of a backend, which takes as long as the node's start.

    Args:
        parameters: by name; those that are not given have their defaults.
        level: the keep ratio in use.
    """
    findings = []
    try:
        # Without the tuner's bounds, which need not hold a level of this ladder
        kept = {name: value for name, value in parameters.items()
                if not hasattr(TunerConfig, name)}
        config = update(Config(), {**kept, 'profile': '', 'keep_ratio': level,
                                   'keep_ratios': tuple(sorted({1.0, level}))}).classifier
        if config.backend != 'onnx' and config.precision != 'int8':
            config = dataclasses.replace(config, backend='eager')
        if config.precision == 'auto':
            config = dataclasses.replace(config, precision='float32')
        weights, available = weights_of(config.model, config.checkpoint), available_memory()
        if available and Path(weights).is_file():
            findings.append(judge_memory(Path(weights).stat().st_size, available))
        classifier = Classifier(config)
        classifier.warm_up()  # it may fail, or give NaN: then there is nothing to ask it
    except (ConfigError, ModelError, ClassifierError, ImportError, RuntimeError, OSError,
            MemoryError) as error:
        return None, [*findings, Finding(CHECK, Level.ERROR, first_line(error), _remedy(error))]
    return classifier, [*findings, Finding(
        CHECK, Level.OK, f'{classifier.model_name} with {len(classifier.labels)} classes can be '
        f'loaded ({classifier.backend.name} {classifier.precision} on {classifier.device})')]


def _remedy(error: Exception) -> str:
    text = str(error)
    if 'out of memory' in text or "can't allocate" in text or isinstance(error, MemoryError):
        return 'take a smaller model, such as model:=demo, or end other programs'
    if 'does not fit' in text:
        return ('give as model the architecture that the checkpoint was trained with; ltp_train '
                'writes it into a .json beside the checkpoint')
    return 'change the parameter that the message names; model:=demo always works'


def model_input(rgb: np.ndarray, config: DataConfig,
                box: Optional[Region] = None) -> np.ndarray:
    """Return the picture (height, width, 3) uint8 that the model is given, before normalisation.

    `box`: as `Classifier.classify` takes it.

    Raises:
        ImageSizeError: if it is too elongated.
    """
    if box is not None:
        config, rgb = config.zoomed, rgb[box.slices]
    preprocessor = Preprocessor(config)
    image = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1).unsqueeze(0)
    cropped = preprocessor.crop(preprocessor.resize(image))
    return cropped[0].permute(1, 2, 0).to(torch.uint8).contiguous().numpy()


def save_picture(path: str, rgb: np.ndarray, config: Optional[DataConfig],
                 box: Optional[Region] = None) -> Finding:
    """Write a camera's picture, and beside it what the model sees; say where, or why not.

    Args:
        path: of a PNG file.
        rgb: (H, W, 3) uint8.
        config: of the model's input; None: no model was loaded, and the picture stands alone.
        box: where the zoom looks; None: it is off, or nothing stands out.
    """
    check = 'what the model sees'
    height, width = rgb.shape[:2]
    seen = ''
    try:
        parts = [rgb.copy()]
        if config is not None:
            part = pixels_of(config.crop_box(height, width, box), height, width)
            cv2.rectangle(parts[0], (part.left, part.top),
                          (part.left + part.width - 1, part.top + part.height - 1), FRAME,
                          max(1, round(height / 200)))
            parts.append(model_input(rgb, config, box))
            seen = (f'; of {width}x{height} the model is given '
                    f'{part.height * part.width / (height * width):.0%}'
                    f'{", where the zoom looks" if box else ""}, as '
                    f'{config.input_size[1]}x{config.input_size[0]}')
        row = np.hstack([np.pad(_to_height(part), ((0, 0), (0, GAP), (0, 0)))
                         for part in parts])[:, :-GAP]
        written = cv2.imwrite(path, cv2.cvtColor(row, cv2.COLOR_RGB2BGR))
    except ImageSizeError as error:
        return Finding(check, Level.ERROR, str(error), 'crop the image upstream, with image_proc')
    except cv2.error as error:  # a suffix that OpenCV does not know
        return Finding(check, Level.SKIP, f'{path} cannot be written: {error.err}',
                       'give --output FILE.png')
    if not written:
        return Finding(check, Level.SKIP, f'{path} cannot be written',
                       'give --output FILE.png in a folder that you may write to')
    return Finding(check, Level.OK, f'{Path(path).absolute()}{seen}')


def _to_height(rgb: np.ndarray) -> np.ndarray:
    scale = HEIGHT / rgb.shape[0]
    return cv2.resize(rgb, (max(1, round(rgb.shape[1] * scale)), HEIGHT),
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)


def answers(classifier: Classifier, rgb: np.ndarray, level: float) -> List[Finding]:
    """Return the best classes of a picture with all tokens, and at the level in use."""
    levels = sorted({1.0, level}, reverse=True)
    try:
        found = {ratio: classifier.classify(rgb, ratio, TOP_K, 0.0) for ratio in levels}
    except ImageSizeError as error:
        return [Finding('answer', Level.ERROR, str(error), 'crop the image upstream')]
    return [Finding(f'answer with {"all tokens" if ratio == 1.0 else f"keep_ratio {ratio:g}"}',
                    Level.OK, ', '.join(_named(prediction)))
            for ratio, prediction in found.items()]


def _named(prediction: Prediction) -> List[str]:
    return [f'{label.split(",")[0]} {score:.2f}'
            for label, score in zip(prediction.labels, prediction.scores)]


def judge_level(classifier: Classifier, pictures: Sequence[np.ndarray],
                level: float) -> List[Finding]:
    """Return whether a level changes most of the answers that are sure with all tokens."""
    if level == 1.0:
        return []
    sure = [(rgb, answer.class_ids) for rgb in pictures
            for answer in [classifier.classify(rgb, 1.0, 1, SURE)] if answer.class_ids]
    if len(sure) < FEWEST:
        return []
    changed = sum(classifier.classify(rgb, level, 1, 0.0).class_ids != class_ids
                  for rgb, class_ids in sure)
    message = (f'{changed} of {len(sure)} pictures that are sure with all tokens get another '
               'label')
    if 2 * changed > len(sure):
        return [Finding(f'keep_ratio {level:g}', Level.WARN, message,
                        'raise min_keep_ratio or keep_ratio, take method:=mixed, or run ltp_adapt '
                        'on your images')]
    return [Finding(f'keep_ratio {level:g}', Level.OK, message)]


def judge_samples(classifier: Classifier, samples: Mapping[str, np.ndarray]) -> List[Finding]:
    """Return whether the model knows the packaged photos that it has a class for.

    Args:
        classifier: with its labels.
        samples: (H, W, 3) uint8 RGB by their names in SAMPLES.
    """
    known = {name: SAMPLES[name] for name in samples
             if any(_is_one_of(label, SAMPLES[name]) for label in classifier.labels)}
    if not known:
        return []
    told = {name: classifier.classify(samples[name], 1.0, 1, 0.0) for name in known}
    wrong = {name: answer for name, answer in told.items()
             if not any(_is_one_of(label, known[name]) for label in answer.labels)}
    if len(wrong) == len(known) and any(max(answer.scores) > SURE for answer in wrong.values()):
        named = '; '.join(f'{name} is called {answer.labels[0].split(",")[0]}'
                          for name, answer in wrong.items())
        return [Finding('packaged photos', Level.WARN, f'{named}: the weights or the labels may '
                        'not belong to this model', 'check labels:=FILE (its order and number) '
                        'and the checkpoint; ltp_evaluate measures it on your images')]
    return [Finding('packaged photos', Level.OK,
                    f'{len(known) - len(wrong)} of {len(known)} are named right')]


def _is_one_of(label: str, words: Sequence[str]) -> bool:
    return any(re.search(rf'\b{word}\b', label.lower()) for word in words)  # no 'cattle'


def channel_evidence(classifier: Classifier, rgb: np.ndarray) -> float:
    """Return the log odds that red and blue of a picture are in order, by the classifier."""
    scores = [classifier.classify(picture, 1.0, 1, 0.0).scores[0]
              for picture in (rgb, exchanged(rgb))]
    return sureness_evidence(*scores)
