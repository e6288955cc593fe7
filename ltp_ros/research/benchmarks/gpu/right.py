# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Agreement of the device with the CPU: every method, every level, many kinds of pictures."""
from typing import Dict, List, Mapping, NamedTuple, Tuple

import numpy as np
import torch
from torch import nn

from ltp_ros.backends.eager import EagerBackend
from ltp_ros.backends.protocol import BackendAnswer
from ltp_ros.model import vit
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.region import Region
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
# Share of the answers that may differ: patches whose scores differ only by rounding may swap
# ranks, and ToMe makes a thousand decisions per image
FEW, FEW_TOME = 0.02, 0.1
ENOUGH_ALIKE = 0.9  # share of the float16 answers that must name the class of float32
GREY = 2 / 255      # one grey level, in pixels normalised with a standard deviation of 0.5
ROUNDED = 0.1       # rounding of pixels to half precision, in grey levels

Cell = Tuple[float, int]  # keep ratio, number of the picture


class Agreement(NamedTuple):
    """The number of answers with the same class, the same patches, and alike in everything."""

    same_class: int
    same_patches: int
    alike: int
    largest_difference: float  # of the scores


def run(task: Task) -> None:
    """Compare device and CPU, the most informative comparisons first."""
    check_preprocessing(task)
    chosen = subjects(task.settings)
    answers(task, chosen[0], 'ltp')
    check_odd_pictures(task, chosen[0])
    check_changes(task, chosen[0])
    for subject in chosen:
        for method in methods():
            if (subject, method) == (chosen[0], 'ltp') or (
                    # On so small an image its ConvNet has one output, so that all patches tie
                    (subject.name, method) == (vit.DEMO, 'papr')):
                continue
            if not task.has(0.15, f'{subject.name} {method}'):
                return
            answers(task, subject, method)


def check_preprocessing(task: Task) -> None:
    """Compare the preprocessed pixels with those of the CPU, in grey levels."""
    config = vit.DataConfig((224, 224), (0.5,) * 3, (0.5,) * 3, crop_pct=0.9)
    sizes = (*CAMERA_SIZES[:1 if task.settings.small else None], (224, 224), (97, 401), (401, 97))
    worst = 0.0
    for dtype in (torch.float32, torch.float16):
        here = Preprocessor(config, dtype).to(task.settings.device)
        there = Preprocessor(config)
        for size in sizes:
            half = min(size) // 2
            inner = Region(size[0] // 5, size[1] // 5, half, half)
            for name, picture in (('scene', scene(*size)), ('noise', noise(*size))):
                rgb = torch.from_numpy(picture)
                for part, box in (('crop', None), ('box', inner)):
                    found = here(rgb.to(task.settings.device), box=box).cpu()
                    difference = (found.float() - there(rgb, box=box)).abs() / GREY
                    worst = max(worst, float(difference.max()))
                    task.row('preprocessing, difference from the CPU in grey levels', picture=name,
                             part=part, size=f'{size[1]}x{size[0]}',
                             precision=str(dtype).split('.')[1],
                             largest=float(difference.max()), mean=float(difference.mean()))
    task.check('preprocessing is within one grey level of the CPU', worst <= 1 + ROUNDED,
               f'{worst:.2f}')


def exact_pictures(task: Task, model: nn.Module) -> List[np.ndarray]:
    """Return photos of exactly the size the crop is taken from: no resize, so no rounding."""
    preprocessor = Preprocessor(vit.data_config(model))
    return [preprocessor.resize(torch.from_numpy(rgb).permute(2, 0, 1)[None])[0]
            .permute(1, 2, 0).contiguous().numpy() for rgb in photos(task.settings)]


def answers(task: Task, subject: Subject, method: str) -> None:
    """Compare a method's answers at every level with float32 on the CPU and between backends.

    The pictures need no resizing, so that all models see identical pixels.
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
    found: Dict[Tuple[str, str], Dict[Cell, BackendAnswer]] = {}
    for backend_name, precision in pairs:
        backend = backend_of(backend_name, precision, model, task.settings)
        found[backend_name, precision] = {
            cell: backend(pictures[cell[1]], cell[0], 5) for cell in cells}
        compared = compare(found[backend_name, precision], expected)
        identical = None
        if backend_name == 'graph':
            plain = found['eager', precision]
            identical = sum(same(found['graph', precision][cell], plain[cell]) for cell in cells)
            task.check(f'{subject.name} {method} {precision}: graph answers are identical to '
                       'those of plain calls', identical == len(cells),
                       f'{identical} of {len(cells)}')
        task.row('agreement with float32 on the CPU', model=subject.name, method=method,
                 run=f'{backend_name} {precision}', n=len(cells), **compared._asdict(),
                 as_eager=identical)
        if precision == 'float32':
            allowed = FEW_TOME if method == 'tome' else FEW
            other = 1 - compared.alike / len(cells)
            task.check(f'{subject.name} {method} {backend_name}: same class and patches as the '
                       f'CPU, scores within {SCORE_TOLERANCE:g}', other <= allowed,
                       f'{compared.alike} of {len(cells)}')
        else:
            task.check(f'{subject.name} {method} {backend_name}: half precision names the same '
                       'class', compared.same_class >= ENOUGH_ALIKE * len(cells),
                       f'{compared.same_class} of {len(cells)}')


def compare(found: Mapping[Cell, BackendAnswer],
            expected: Mapping[Cell, BackendAnswer]) -> Agreement:
    """Return the agreement of the answers with those expected."""
    same_class = same_patches = alike = 0
    largest = 0.0
    for cell, (scores, class_ids, kept, _) in found.items():
        expected_scores, expected_ids, expected_kept, _ = expected[cell]
        by_class = dict(zip(expected_ids.tolist(), expected_scores.tolist()))
        apart = max(abs(score - by_class.get(class_id, score))
                    for score, class_id in zip(scores.tolist(), class_ids.tolist()))
        largest = max(largest, apart)
        # Two equally likely classes may swap ranks
        named = class_ids[0] == expected_ids[0] or (
            expected_scores[0] - expected_scores[1] < SCORE_TOLERANCE)
        patches = np.array_equal(kept, expected_kept)
        same_class += bool(named)
        same_patches += patches
        alike += bool(named and patches and apart <= SCORE_TOLERANCE)
    return Agreement(same_class, same_patches, alike, largest)


def check_odd_pictures(task: Task, subject: Subject) -> None:
    """Check the answers to uniform, tiny and large pictures."""
    model = subject.model('ltp')
    backend = backend_of(*main_pair(task.settings), model, task.settings)
    large = (480, 640) if task.settings.small else (2160, 3840)
    pictures = {'grey': np.full((480, 640, 3), 127, np.uint8),
                'black': np.zeros((480, 640, 3), np.uint8),
                'white': np.full((480, 640, 3), 255, np.uint8),
                'one pixel': noise(1, 1), 'large': scene(*large)}
    for name, rgb in pictures.items():
        for keep_ratio in levels(task.settings):
            scores, class_ids, kept, features = backend(rgb, keep_ratio, 5)
            model.patch_drop.keep_ratio = keep_ratio
            holds = (np.isfinite(scores).all() and np.isfinite(features).all() and
                     len(set(class_ids.tolist())) == 5 and
                     len(set(kept.tolist())) == model.patch_drop.num_keep)
            if not holds:
                task.check(f'{name} picture at {keep_ratio:g}: five classes, finite scores, '
                           'each patch kept once', False, f'{scores} {class_ids} {len(kept)}')
    task.check(f'{", ".join(pictures)} pictures are answered at every level', True)


def check_changes(task: Task, subject: Subject) -> None:
    """Check that answers stay the same while level and camera size change at random."""
    backend = backend_of(*main_pair(task.settings), subject.model('ltp'), task.settings)
    sizes = ((480, 640), (360, 640), (97, 401), (299, 299), (720, 1280))
    frames = [(scene(*size, seed=index), keep_ratio) for index, size in enumerate(sizes)
              for keep_ratio in levels(task.settings)]
    first = [backend(rgb, keep_ratio, 5) for rgb, keep_ratio in frames]
    order: List[int] = np.random.default_rng(0).permutation(
        np.repeat(np.arange(len(frames)), 3)).tolist()
    changed = sum(not same(backend(*frames[index], 5), first[index]) for index in order)
    task.check('answers do not depend on the level or the camera size of earlier frames',
               changed == 0, f'{changed} of {len(order)} changed')
