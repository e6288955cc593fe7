# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`--device cuda:N` in the programs, with a torch that claims to see two GPUs."""
import pytest
import torch

from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.tools.benchmark import build_parser
from ltp_ros.tools.benchmarks import gpu
from ltp_ros.tools.support.device import select_device


@pytest.fixture
def current(monkeypatch):
    """Return the list of devices that were made the current one."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    made_current = []
    monkeypatch.setattr(torch.cuda, 'set_device', made_current.append)
    return made_current


def test_a_numbered_gpu_becomes_the_one_that_cuda_means(current):
    assert select_device('cuda:1') == torch.device('cuda', 1)
    assert current == [torch.device('cuda', 1)]


@pytest.mark.parametrize('device', ['auto', 'cuda', 'cpu'])
def test_without_a_number_the_current_gpu_stays(current, device):
    select_device(device)
    assert not current


def test_the_gpu_benchmark_of_many_processes_takes_its_gpu_from_the_environment(current, tmp_path):
    args = build_parser('gpu').parse_args(
        ['gpu', '--device', 'cuda:1', '--output', str(tmp_path / 'out')])
    with pytest.raises(BenchmarkError, match='CUDA_VISIBLE_DEVICES=1 and --device cuda'):
        gpu.run(args, bar=None)
