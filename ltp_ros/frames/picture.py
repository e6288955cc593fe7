# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that no answer should be built on: under- or overexposed, or frozen.

The thresholds were chosen on 500 photos; `test_picture.py` has the shares. Of a picture some 4,000
to 16,000 pixels are looked at, on a grid.
"""
from enum import IntFlag
from typing import Dict, Optional, Tuple

import numpy as np

GRID = 64  # rows and columns of pixels at least, where the picture has them
CLIPPED = 250  # from here on a channel is taken as saturated

# Each with the value that ends it, so that a picture about a threshold does not flicker
DARK, NOT_DARK = 80, 90  # 98 % of the pixels are darker, by their brightest channel
# Two channels of three: blue alone is clipped in many a good picture of the sky
WHITE, NOT_WHITE = 0.6, 0.55  # share of pixels that are clipped
PALE, NOT_PALE = 160, 150  # 95 % of the pixels are brighter still

# A sensor's noise changes some pixel from each picture to the next. Video streams repeat pictures
# of a still scene exactly for as long as seconds, from one key frame to another.
FROZEN_AFTER_S = 10.0
FROZEN_PICTURES = 10
OVER_AFTER_NS = 60_000_000_000  # a fault that was not seen for so long begins anew


class PictureFault(IntFlag):
    """As in Classification.msg."""

    UNDEREXPOSED = 1
    OVEREXPOSED = 2
    FROZEN = 4


REMEDIES: Dict[PictureFault, str] = {
    PictureFault.UNDEREXPOSED: 'check the light, the exposure and the lens cap; a 16-bit '
                               'picture must fill its range',
    PictureFault.OVEREXPOSED: "check the camera's exposure and gain",
    PictureFault.FROZEN: f'the same pixels for {FROZEN_AFTER_S:g} s; restart the camera, unless '
                         'it shows a still or synthetic scene'}


class PictureWatch:
    """Judge the pictures of one camera, each in the light of those before."""

    def __init__(self) -> None:
        self._faults = PictureFault(0)
        self._pixels: Optional[bytes] = None
        self._since_ns = self._same = 0  # when these pixels came first, and how often since

    def judge(self, rgb: np.ndarray, now_ns: int, simulated: bool = False) -> PictureFault:
        """Return the faults of the newest picture.

        Args:
            rgb: (H, W, 3) uint8.
            now_ns: when it came, on a monotonic clock.
            simulated: a scene may be still and without noise; then no picture is called frozen.
        """
        height, width = rgb.shape[:2]
        pixels = rgb[::max(height // GRID, 1), ::max(width // GRID, 1)]
        faults = self._exposure(pixels)
        if self._frozen(pixels.tobytes(), now_ns) and not faults and not simulated:
            faults = PictureFault.FROZEN  # a clipped picture has no noise to tell by
        self._faults = faults
        return faults

    def _exposure(self, pixels: np.ndarray) -> PictureFault:
        red, green, blue = (pixels[..., channel] for channel in range(3))
        lower, upper = np.minimum(red, green), np.maximum(red, green)
        dark = NOT_DARK if self._faults & PictureFault.UNDEREXPOSED else DARK
        if np.mean(np.maximum(upper, blue) < dark) >= 0.98:
            return PictureFault.UNDEREXPOSED
        over = bool(self._faults & PictureFault.OVEREXPOSED)
        white, pale = (NOT_WHITE, NOT_PALE) if over else (WHITE, PALE)
        second = np.maximum(lower, np.minimum(upper, blue))
        if np.mean(second >= CLIPPED) >= white or np.mean(second > pale) >= 0.95:
            return PictureFault.OVEREXPOSED
        return PictureFault(0)

    def _frozen(self, pixels: bytes, now_ns: int) -> bool:
        if pixels != self._pixels:
            self._pixels, self._since_ns, self._same = pixels, now_ns, 0
        self._same += 1
        return (self._same >= FROZEN_PICTURES
                and now_ns - self._since_ns >= FROZEN_AFTER_S * 1e9)


def words(faults: PictureFault) -> Dict[str, str]:
    """Return each fault in a word, and what to do about it."""
    return {str(fault.name).lower(): remedy for fault, remedy in REMEDIES.items()
            if fault & faults}


class News:
    """Which faults are new: told once, until they were gone for a while."""

    def __init__(self) -> None:
        self._seen_ns: Dict[Tuple[str, str], int] = {}  # by topic and fault

    def of(self, topic: str, faults: Dict[str, str], now_ns: int) -> Dict[str, str]:
        """Return those of the `words` on a picture that are to be told.

        A throttle of the log would be shared by the cameras.
        """
        new = {fault: remedy for fault, remedy in faults.items()
               if now_ns - self._seen_ns.get((topic, fault), -2 * OVER_AFTER_NS) > OVER_AFTER_NS}
        self._seen_ns.update(((topic, fault), now_ns) for fault in faults)
        return new
