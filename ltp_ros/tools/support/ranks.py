# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The processes that `torchrun` starts, one per GPU; without torchrun, this process alone."""
import os
from typing import List, Tuple, TypeVar

import torch

T = TypeVar('T')


def join() -> Tuple[int, int]:
    """Join the process group; return the rank of this process, from 0, and the world size.

    If there are GPUs, each process takes one.
    """
    count = int(os.environ.get('WORLD_SIZE', 1))
    if count == 1:
        return 0, 1
    torch.distributed.init_process_group('gloo')  # only CPU tensors are exchanged
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']) % torch.cuda.device_count())
    return torch.distributed.get_rank(), count


def gather(value: T, count: int) -> List[T]:
    """Return, in every process, the values of all `count` processes by rank."""
    if count == 1:
        return [value]
    values = [value] * count
    torch.distributed.all_gather_object(values, value)
    return values


def leave(count: int) -> None:
    """Leave the process group, if there is one."""
    if count > 1:
        torch.distributed.destroy_process_group()
