# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The device that a program computes on."""
import torch

from ltp_ros.opening import resolve_device


def select_device(device: str) -> torch.device:
    """Return the device for 'auto', 'cpu', 'cuda' or 'cuda:N', made torch's current one.

    So 'cuda' without a number means it from here on.

    Raises:
        ltp_ros.classifier.ClassifierError: if the device is not available.
    """
    selected = resolve_device(device)
    if selected.index is not None:
        torch.cuda.set_device(selected)
    return selected
