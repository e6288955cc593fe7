# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether red and blue are exchanged: a BGR image published as rgb8, or the other way round.

Two witnesses. The world is warmer than it is blue, and bluer above than below: the hues of a
picture, less those that it has with red and blue exchanged. And a classifier is surer of a picture
in its own colours. Weighed as by a logistic regression on every second of 500 photos; how often
that is wrong on the others is in docs/doctor.md.
"""
import math
from typing import List, Optional, Sequence

import cv2
import numpy as np

from ltp_ros.frames.encodings import LAYOUTS
from ltp_ros.tools.checks.finding import Finding, Level, skipped

# Twelve hues of 30 degrees, from red: exchanging red and blue turns hue i into hue 7 - i
PAIRS = ((0, 7), (1, 6), (2, 5), (3, 4), (8, 11), (9, 10))
WEIGHTS = np.array([[-7, -3, 16, 63, -16, 33],  # of the pairs in the upper half of a picture
                    [9, 9, 15, 28, -15, 40]])  # and in the lower
SURENESS = 1.5  # weight of the logarithm of the ratio of the best scores
THUMBNAIL = 64  # pixels a side
# The mean of n scenes must lie above BOUND / sqrt(n)
BOUND = 2.0
# Of the colours in common: views of one scene have 0.82 and more, of two photos one pair in 200
SAME_SCENE = 0.75
COLOURLESS = 0.02  # mean of saturation times value


def exchanged(rgb: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) with red and blue exchanged."""
    return np.ascontiguousarray(rgb[..., ::-1])


def colour_evidence(rgb: np.ndarray) -> Optional[float]:
    """Return the log odds that the channels are in order, by the hues; None without colour."""
    small = cv2.resize(rgb, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    hue, saturation, value = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2HSV_FULL))
    vividness = saturation / 255.0 * (value / 255.0)
    if vividness.mean() < COLOURLESS:
        return None
    evidence = 0.0
    for half, weights in zip((slice(None, THUMBNAIL // 2), slice(THUMBNAIL // 2, None)), WEIGHTS):
        hues = np.histogram(hue[half] * (360 / 256), 12, (0, 360), weights=vividness[half])[0]
        hues /= vividness[half].size
        evidence += sum(weight * (hues[warm] - hues[cold])
                        for weight, (warm, cold) in zip(weights, PAIRS))
    return float(evidence)


def sureness_evidence(score: float, exchanged_score: float) -> float:
    """Return the log odds that the channels are in order, by the best scores either way."""
    ratio = math.log(max(score, 1e-6) / max(exchanged_score, 1e-6))
    return SURENESS * min(max(ratio, -1.0), 1.0)  # one sure mistake decides nothing


def scenes(pictures: Sequence[np.ndarray]) -> List[List[int]]:
    """Return the indices of pictures by scene: those of one have most of their colours in common.

    A camera that turns or shakes sees one scene; its pictures err together.
    """
    found: List[List[int]] = []
    colours = [_colours(rgb) for rgb in pictures]
    for index, colour in enumerate(colours):
        for scene in found:
            if np.minimum(colour, colours[scene[0]]).sum() > SAME_SCENE:
                scene.append(index)
                break
        else:
            found.append([index])
    return found


def _colours(rgb: np.ndarray) -> np.ndarray:
    """Return the shares of 4x4x4 colours."""
    small = cv2.resize(rgb, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return cv2.calcHist([small], [0, 1, 2], None, [4, 4, 4], [0, 256] * 3).ravel() / THUMBNAIL ** 2


def judge_channels(evidence: Sequence[float], encoding: str, by_model: bool) -> Finding:
    """Return whether red and blue are exchanged.

    Args:
        evidence: log odds that they are in order, of each scene that has colours.
        encoding: that they were published with; '' if they are files.
        by_model: whether a classifier was asked too.
    """
    check = 'channel order'
    if not evidence:
        return skipped(check, 'the pictures have no colours')
    mean, needed = float(np.mean(evidence)), BOUND / math.sqrt(len(evidence))
    witnesses = 'the colours and the classifier' if by_model else 'the colours'
    counted = f'{len(evidence)} scene{"s" if len(evidence) > 1 else ""}'
    if mean < -needed:
        return Finding(check, Level.WARN, 'red and blue seem to be exchanged, by '
                       f'{witnesses} of {counted} (log odds {mean:.1f})', _remedy(encoding))
    if mean > needed:
        return Finding(check, Level.OK, f'right, by {witnesses} of {counted} (log odds '
                       f'{mean:.1f})')
    return Finding(check, Level.OK, f'nothing speaks against it: {counted}, log odds {mean:.1f} '
                   f'where {needed:.1f} decide; more scenes tell more')


def _remedy(encoding: str) -> str:
    other = encoding.translate(str.maketrans('rb', 'br')).replace('rayeb', 'bayer')
    if encoding.startswith('8UC'):
        return ('look at the saved picture; 8UC3 and 8UC4 mean BGR: have the publisher name the '
                'encoding rgb8 or rgba8')
    if other == encoding or other not in LAYOUTS:
        return ('look at the saved picture; OpenCV reads and writes BGR: convert with '
                'cv2.COLOR_BGR2RGB where the picture is made or encoded')
    return (f'look at the saved picture; have the publisher name the encoding {other}, or convert '
            'with cv2.COLOR_BGR2RGB before it publishes')
