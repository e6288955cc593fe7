# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver says of the card: clocks, power, energy, memory."""
from typing import Any, Dict

import torch


def card_state() -> Dict[str, Any]:
    """Return clocks (MHz), power and its limit (W), energy so far (J), memory (MiB).

    {'note': why not} where the driver's library or its Python package is missing; a number that
    this card does not tell is left out.
    """
    try:
        import pynvml  # noqa: PLC0415  a package of NVIDIA's, not everywhere
    except ImportError:
        return {'note': 'no pynvml: pip install nvidia-ml-py'}
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f'GPU-{torch.cuda.get_device_properties().uuid}')
    except (pynvml.NVMLError, AttributeError, TypeError) as error:
        return {'note': f'NVML: {error}'}
    questions = {
        'sm_mhz': lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        'memory_mhz': lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
        'max_sm_mhz': lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
        'power_w': lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        'power_limit_w': lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        'energy_j': lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
        'used_mib': lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used / 2 ** 20,
        'driver': pynvml.nvmlSystemGetDriverVersion}
    found: Dict[str, Any] = {}
    for name, ask in questions.items():
        try:
            found[name] = ask()
        except pynvml.NVMLError:  # not on this card
            continue
    pynvml.nvmlShutdown()
    return found
