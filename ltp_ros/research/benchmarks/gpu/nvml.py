# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks, power, energy and memory of the card, as NVIDIA's driver reports them."""
from typing import Callable, Dict, NamedTuple, Optional, TypeVar

import torch

T = TypeVar('T')


class CardState(NamedTuple):
    """The state of the card; None where it reports no value."""

    sm_mhz: Optional[int] = None
    memory_mhz: Optional[int] = None
    max_sm_mhz: Optional[int] = None
    power_w: Optional[float] = None
    power_limit_w: Optional[float] = None
    energy_j: Optional[float] = None  # since the driver was loaded
    used_mib: Optional[float] = None
    driver: Optional[str] = None
    note: Optional[str] = None  # why there are no values

    def known(self) -> Dict[str, object]:
        """Return the values that are not None, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def card_state() -> CardState:
    """Return the state of the card; only `note` if NVML or its Python package is missing."""
    try:
        import pynvml  # noqa: PLC0415  optional
    except ImportError:
        return CardState(note='no pynvml: pip install nvidia-ml-py')
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f'GPU-{torch.cuda.get_device_properties().uuid}')
    except (pynvml.NVMLError, AttributeError, TypeError) as error:
        return CardState(note=f'NVML: {error}')

    def value(query: Callable[[], T]) -> Optional[T]:
        try:
            return query()
        except pynvml.NVMLError:  # not supported by this card
            return None
    state = CardState(
        sm_mhz=value(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
        memory_mhz=value(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
        max_sm_mhz=value(lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM)),
        power_w=value(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3),
        power_limit_w=value(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3),
        energy_j=value(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3),
        used_mib=value(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used / 2 ** 20),
        driver=value(pynvml.nvmlSystemGetDriverVersion))
    pynvml.nvmlShutdown()
    return state
