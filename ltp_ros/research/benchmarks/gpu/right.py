# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the device answers as the CPU does: every method, every level, every kind of picture."""
from typing import Any, Dict, List

import numpy as np
import torch
from torch import nn

from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.protocol import BackendAnswer
from ltp_ros.model import vit
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.research.benchmarks.gpu.parts import Task
from ltp_ros.research.benchmarks.gpu.subjects import (
    CAMERA_SIZES,
    CPU,
    Subject,
    backend_of,
    levels,
    main_pair,
    methods,
    noise,
    photos,
    same,
    scene,
    subjects,
)

SCORE_TOLERANCE = 1e-4
# Patches whose scores differ by rounding alone may change places, and ToMe decides a thousand
# times an image: of so many answers that share may differ
FEW, FEW_TOME = 0.02, 0.1
ENOUGH_ALIKE = 0.9  # of float16 with float32
GREY = 2 / 255      # one grey level, of pixels whose standard deviation is taken for 0.5
ROUNDED = 0.1       # of a grey level, by writing the pixels in half precision


def run(task: Task) -> None:
    """Compare, the most telling first."""
    check_preprocessing(task)
    chosen = subjects(task.settings)
    answers(task, chosen[0], 'ltp')
    check_odd_pictures(task, chosen[0])
    check_changes(task, chosen[0])
    for subject in chosen:
        for method in methods():
            if (subject, method) == (chosen[0], 'ltp') or (
                    # Its ConvNet makes one number of so small an image, so that every patch ties
                    (subject.name, method) == (vit.DEMO, 'papr')):
                continue
            if not task.has(0.15, f'{subject.name} {method}'):
                return
            answers(task, subject, method)


def check_preprocessing(task: Task) -> None:
    """Compare the model's input with that of the CPU, in grey levels."""
    config = vit.DataConfig((224, 224), (0.5,) * 3, (0.5,) * 3, crop_pct=0.9)
    sizes = (*CAMERA_SIZES[:1 if task.settings.small else None], (224, 224), (97, 401), (401, 97))
    worst = 0.0
    for dtype in (torch.float32, torch.float16):
        here = Preprocessor(config, dtype).to(task.settings.device)
        there = Preprocessor(config)
        for size in sizes:
            for name, picture in (('scene', scene(*size)), ('noise', noise(*size))):
                rgb = torch.from_numpy(picture)
                found, expected = here(rgb.to(task.settings.device)).cpu(), there(rgb)
                difference = (found.float() - expected).abs() / GREY
                worst = max(worst, float(difference.max()))
                task.row('preprocessing, grey levels from the CPU', picture=name,
                         size=f'{size[1]}x{size[0]}', precision=str(dtype).split('.')[1],
                         largest=float(difference.max()), mean=float(difference.mean()))
    task.check('preprocessing is within one grey level of the CPU', worst <= 1 + ROUNDED,
               f'{worst:.2f}')


def exact_pictures(task: Task, model: nn.Module) -> List[np.ndarray]:
    """Return photos of the very size that the crop is taken from: no resize, so no rounding."""
    preprocessor = Preprocessor(vit.data_config(model))
    return [preprocessor.resize(torch.from_numpy(rgb).permute(2, 0, 1)[None])[0]
            .permute(1, 2, 0).contiguous().numpy() for rgb in photos(task.settings)]


def answers(task: Task, subject: Subject, method: str) -> None:
    """Compare the answers of a method's every level: to float32 on the CPU, and among each other.

    The pictures need no resizing, so that the models see the very same pixels.
    """
    model = subject.model(method)
    pictures = exact_pictures(task, model)
    reference = EagerBackend(subject.model(method), vit.data_config(model), CPU, 'float32')
    pairs = ((('onnx', 'float32'),) if task.settings.small else
             (('eager', 'float32'), ('graph', 'float32'), ('eager', 'float16'),
              ('graph', 'float16')))
    cells = [(keep_ratio, index) for keep_ratio in levels(task.settings)
             for index in range(len(pictures))]
    expected = {cell: reference(pictures[cell[1]], cell[0], 5) for cell in cells}
    found: Dict[Any, Dict[Any, BackendAnswer]] = {}
    for backend_name, precision in pairs:
        backend = backend_of(backend_name, precision, model, task.settings)
        found[backend_name, precision] = {
            cell: backend(pictures[cell[1]], cell[0], 5) for cell in cells}
        compared = compare(found[backend_name, precision], expected)
        identical = None
        if backend_name == 'graph':
            plain = found['eager', precision]
            identical = sum(same(found['graph', precision][cell], plain[cell]) for cell in cells)
            task.check(f'{subject.name} {method} {precision}: a graph answers bit for bit as '
                       'plain calls', identical == len(cells), f'{identical} of {len(cells)}')
        task.row('answers beside those of float32 on the CPU', model=subject.name, method=method,
                 run=f'{backend_name} {precision}', n=len(cells), **compared,
                 as_eager=identical)
        if precision == 'float32':
            allowed = FEW_TOME if method == 'tome' else FEW
            other = 1 - compared['alike'] / len(cells)
            task.check(f'{subject.name} {method} {backend_name}: same class and patches as the '
                       f'CPU, scores within {SCORE_TOLERANCE:g}', other <= allowed,
                       f'{compared["alike"]} of {len(cells)}')
        else:
            task.check(f'{subject.name} {method} {backend_name}: half precision names the same '
                       'class', compared['same_class'] >= ENOUGH_ALIKE * len(cells),
                       f'{compared["same_class"]} of {len(cells)}')


def compare(found: Dict[Any, BackendAnswer], expected: Dict[Any, BackendAnswer]) -> Dict[str, Any]:
    """Return how many answers name the same class, keep the same patches, and are alike in all."""
    same_class = same_patches = alike = 0
    largest = 0.0
    for cell, (scores, class_ids, kept) in found.items():
        expected_scores, expected_ids, expected_kept = expected[cell]
        by_class = dict(zip(expected_ids.tolist(), expected_scores.tolist()))
        apart = max(abs(score - by_class.get(class_id, score))
                    for score, class_id in zip(scores.tolist(), class_ids.tolist()))
        largest = max(largest, apart)
        # Two classes that are as likely may change places
        named = class_ids[0] == expected_ids[0] or (
            expected_scores[0] - expected_scores[1] < SCORE_TOLERANCE)
        patches = np.array_equal(kept, expected_kept)
        same_class += bool(named)
        same_patches += patches
        alike += bool(named and patches and apart <= SCORE_TOLERANCE)
    return {'same_class': same_class, 'same_patches': same_patches, 'alike': alike,
            'largest_difference': largest}


def check_odd_pictures(task: Task, subject: Subject) -> None:
    """Answer pictures without content, of one pixel, and of many."""
    model = subject.model('ltp')
    backend = backend_of(*main_pair(task.settings), model, task.settings)
    large = (480, 640) if task.settings.small else (2160, 3840)
    pictures = {'grey': np.full((480, 640, 3), 127, np.uint8),
                'black': np.zeros((480, 640, 3), np.uint8),
                'white': np.full((480, 640, 3), 255, np.uint8),
                'one pixel': noise(1, 1), 'large': scene(*large)}
    for name, rgb in pictures.items():
        for keep_ratio in levels(task.settings):
            scores, class_ids, kept = backend(rgb, keep_ratio, 5)
            model.patch_drop.keep_ratio = keep_ratio
            holds = (np.isfinite(scores).all() and len(set(class_ids.tolist())) == 5 and
                     len(set(kept.tolist())) == model.patch_drop.num_keep)
            if not holds:
                task.check(f'{name} picture at {keep_ratio:g}: five classes, finite scores, '
                           'every kept patch once', False, f'{scores} {class_ids} {len(kept)}')
    task.check(f'{", ".join(pictures)} pictures were answered at every level', True)


def check_changes(task: Task, subject: Subject) -> None:
    """Change the level with every frame, and the camera's size back and forth."""
    backend = backend_of(*main_pair(task.settings), subject.model('ltp'), task.settings)
    sizes = ((480, 640), (360, 640), (97, 401), (299, 299), (720, 1280))
    frames = [(scene(*size, seed=index), keep_ratio) for index, size in enumerate(sizes)
              for keep_ratio in levels(task.settings)]
    first = [backend(rgb, keep_ratio, 5) for rgb, keep_ratio in frames]
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(len(frames)), 3))
    changed = sum(not same(backend(*frames[index], 5), first[index]) for index in order)
    task.check('answers do not depend on the level or the camera size of the frames before',
               changed == 0, f'{changed} of {len(order)} changed')
