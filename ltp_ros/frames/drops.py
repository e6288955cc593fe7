# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Why a frame is not answered."""
import math


class FrameDropped(Exception):
    """A frame that is not answered; `reason` is one of `mailbox.DROP_REASONS`."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


class Abandoned(Exception):
    """The work was given up while it was done: it has been counted, and its result is for nobody.

    Raised in the thread that did it, which must end.
    """


def check_age(age_ms: float, max_age_ms: float) -> None:
    """Raise FrameDropped if an image is older than `max_age_ms`, or of unknown age; 0: never."""
    if max_age_ms == 0.0 or age_ms <= max_age_ms:
        return
    if math.isnan(age_ms):
        raise FrameDropped('bad stamp', 'the age of an image without a usable stamp is unknown, '
                           f'so it cannot be held to max_age_ms {max_age_ms:g}')
    raise FrameDropped('too old', f'an image was {age_ms:.1f} ms old; max_age_ms is '
                       f'{max_age_ms:g}')
