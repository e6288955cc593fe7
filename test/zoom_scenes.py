# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with something on a calm ground, for the tests of where the model looks."""
import cv2
import numpy as np

from ltp_ros.model.data_config import DataConfig


def config_of(crop_mode='center', input_size=(64, 64), crop_pct=0.9):
    return DataConfig(input_size, (0.5,) * 3, (0.5,) * 3, crop_pct=crop_pct, crop_mode=crop_mode)


def ground(size=(480, 640), seed=0):
    """Return a picture without detail: blurred blobs, as a table out of focus."""
    noise = np.random.default_rng(seed).uniform(0, 255, (*size, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 25.0)
    low, high = blurred.min(), blurred.max()
    return (40 + 170 * (blurred - low) / (high - low)).astype(np.uint8)


def thing(side=160, seed=1, strength=90):
    """Return a picture (side, side, 3) full of detail."""
    noise = np.random.default_rng(seed).normal(0, 1, (side, side, 3)).astype(np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return np.clip(128 + strength * coarse / coarse.std(), 0, 255).astype(np.uint8)


def put(rgb, part, top, left):
    """Return the picture with a part in it."""
    rgb = rgb.copy()
    rgb[top:top + part.shape[0], left:left + part.shape[1]] = part
    return rgb


def noisy(rgb, sigma, seed):
    """Return the picture as a camera with this noise has it."""
    noise = np.random.default_rng(seed).normal(0, sigma, rgb.shape)
    return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8)
