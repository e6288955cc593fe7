# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine is."""
import pytest

from ltp_ros import machine


def test_the_power_mode_has_what_jetson_clocks_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, '_nvpmodel', lambda: 'NV Power Mode: MODE_15W_6CORE\n2\n')
    for name, content in {
            'cpu/cpu0/cpufreq/scaling_governor': 'schedutil', 'gpu/17000000.gv11b/governor':
            'nvhost_podgov', 'gpu/17000000.gv11b/min_freq': '114750000',
            'gpu/17000000.gv11b/max_freq': '1109250000', 'gpu/15340000.vic/governor': 'other'
            }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + '\n')
    assert machine.power_mode(tmp_path / 'cpu', tmp_path / 'gpu') == (
        'MODE_15W_6CORE, schedutil, GPU nvhost_podgov 114750000 to 1109250000 Hz')


@pytest.mark.parametrize('name', ['nvidia0', 'nvhost-gpu', 'nvgpu', 'dxg', 'kfd', None])
def test_a_gpu_is_expected_where_its_driver_has_a_device(tmp_path, name):
    for other in ('nvidiactl', 'null', 'video0'):
        (tmp_path / other).touch()
    if name:
        (tmp_path / name).touch()
    assert machine.may_have_gpu(tmp_path) == bool(name)
