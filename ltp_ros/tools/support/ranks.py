# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The processes that `torchrun` starts, one a GPU; without torchrun there is one."""
import os
from typing import Any, List, Tuple

import torch


def join() -> Tuple[int, int]:
    """Meet the other processes; return the number of this one, from 0, and how many there are.

    A GPU each, where there are GPUs.
    """
    count = int(os.environ.get('WORLD_SIZE', 1))
    if count == 1:
        return 0, 1
    torch.distributed.init_process_group('gloo')  # only numbers on the CPU are exchanged
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']) % torch.cuda.device_count())
    return torch.distributed.get_rank(), count


def gather(value: Any, count: int) -> List[Any]:
    """Return the values of all `count` processes, in their order, in each of them."""
    if count == 1:
        return [value]
    values: List[Any] = [None] * count
    torch.distributed.all_gather_object(values, value)
    return values


def leave(count: int) -> None:
    """Part from the others."""
    if count > 1:
        torch.distributed.destroy_process_group()
