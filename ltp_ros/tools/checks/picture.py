# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Light, contrast, sharpness and colour of what a camera sends, against the packaged photos.

The bounds lie beyond all but at most two of 500 photos of every kind (docs/doctor.md); those of
the light are the node's own.
"""
from collections import Counter
from typing import List, NamedTuple, Sequence

import cv2
import numpy as np

from ltp_ros.frames.picture import FROZEN_PICTURES, PictureFault, PictureWatch
from ltp_ros.tools.checks.finding import Finding, Level

SHORT_SIDE = 256  # pixels that a picture is looked at in: about what a model is given
FLAT = 8.0  # standard deviation of the grey levels
BLURRED = 0.1  # of the Laplacian, relative to that of the grey levels
TINTED = 65.0  # mean colour, in CIELAB's a and b
MOSAIC = 1.5  # how much more neighbours differ than pixels two apart


class Look(NamedTuple):
    """How a picture looks; grey levels 0..255."""

    brightness: float  # mean
    contrast: float  # standard deviation
    sharpness: float  # standard deviation of the Laplacian / contrast
    cast: float  # distance of the mean colour from grey, in CIELAB


def look_at(rgb: np.ndarray) -> Look:
    """Return how a picture (H, W, 3) uint8 RGB looks."""
    scale = SHORT_SIDE / min(rgb.shape[:2])
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    contrast = float(grey.std())
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return Look(
        float(grey.mean()), contrast,
        float(cv2.Laplacian(grey, cv2.CV_64F).std()) / max(contrast, 1.0),
        float(np.hypot(*lab[..., 1:].reshape(-1, 2).mean(axis=0))))


def judge_pictures(pictures: Sequence[np.ndarray], samples: Sequence[np.ndarray],
                   simulated: bool = False) -> List[Finding]:
    """Return what is wrong with the pictures of a camera, each measure by its median.

    Args:
        pictures: (H, W, 3) uint8 RGB, at least one.
        samples: the packaged photos, for comparison.
        simulated: a scene may be still and without noise.
    """
    look = Look(*np.median([look_at(rgb) for rgb in pictures], axis=0))
    good = [look_at(rgb) for rgb in samples]
    low, high = (Look(*ends(good, axis=0)) for ends in (np.min, np.max))
    findings = [_light(pictures, look, low, high)]
    dark = findings[0].level is not Level.OK
    findings.append(_verdict(
        'contrast', look.contrast, low.contrast, high.contrast, look.contrast < FLAT and not dark,
        'the picture is almost uniform', 'take off the cap, clean the lens, turn the camera to '
        'the scene'))
    findings.append(_verdict(
        'sharpness', look.sharpness, low.sharpness, high.sharpness,
        look.sharpness < BLURRED and not dark and look.contrast >= FLAT, 'the picture is blurred',
        'focus the lens, clean it, shorten the exposure time if the camera moves'))
    findings.append(_verdict(
        'colour cast', look.cast, low.cast, high.cast, look.cast > TINTED,
        'one colour lies over all of it', 'set the white balance in the driver (automatic, or '
        'that of the light)'))
    if not simulated and len(pictures) >= FROZEN_PICTURES and all(
            np.array_equal(pictures[0], other) for other in pictures[1:]):
        findings.append(Finding(
            'frozen picture', Level.WARN, f'{len(pictures)} pictures have the same pixels, which '
            'no real camera sends', 'restart the driver; check that it does not repeat its last '
            'image'))
    return findings


def _light(pictures: Sequence[np.ndarray], look: Look, low: Look, high: Look) -> Finding:
    numbers = (f'{look.brightness:.0f} (packaged photos {low.brightness:.0f} to '
               f'{high.brightness:.0f})')
    faults = Counter(PictureWatch().judge(rgb, 0) for rgb in pictures)
    if 2 * faults[PictureFault.UNDEREXPOSED] > len(pictures):
        fault, remedy = 'underexposed', 'give more light, a longer exposure time or more gain'
    elif 2 * faults[PictureFault.OVEREXPOSED] > len(pictures):
        fault, remedy = 'overexposed', 'give a shorter exposure time or less gain'
    else:
        return Finding('brightness', Level.OK, numbers)
    return Finding('brightness', Level.WARN, f'the picture is {fault}: {numbers}',
                   f'{remedy}, or switch automatic exposure on')


def _verdict(check: str, value: float, low: float, high: float, is_bad: bool, fault: str,
             remedy: str) -> Finding:
    digits = 0 if high > 10 else 2
    numbers = f'{value:.{digits}f} (packaged photos {low:.{digits}f} to {high:.{digits}f})'
    if is_bad:
        return Finding(check, Level.WARN, f'{fault}: {numbers}', remedy)
    return Finding(check, Level.OK, numbers)


def judge_mosaic(grey: np.ndarray, encoding: str) -> List[Finding]:
    """Return a finding if a picture that was published as grey is a Bayer mosaic.

    Args:
        grey: (H, W) uint8.
        encoding: it was published with.
    """
    levels = grey.astype(np.float32)
    near, far = (float(np.abs(levels[:, step:] - levels[:, :-step]).mean()) for step in (1, 2))
    if near <= MOSAIC * max(far, 1.0):
        return []
    return [Finding('encoding', Level.WARN, f'it is published as {encoding}, but neighbouring '
                    'pixels differ as in a Bayer mosaic', 'have the driver name the mosaic '
                    "(bayer_rggb8 and so on), or publish image_proc's image_color")]
