# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the node does to its process and its worker's thread before the first image."""
import gc
import os

import pytest
import torch

from ltp_ros import machine
from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig


@pytest.fixture
def calls(monkeypatch):
    """Return what would be done to the process, in order."""
    done = []
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: done.append(('threads', count)))
    monkeypatch.setattr(os, 'sched_setscheduler', lambda pid, policy, param: done.append(
        ('scheduler', pid, policy, param.sched_priority)))
    monkeypatch.setattr(gc, 'freeze', lambda: done.append(('freeze',)))
    return done


def test_zero_leaves_threads_and_priority_as_they_are(calls):
    machine.set_scheduling(num_threads=0, priority=0)
    assert not calls


def test_threads_and_priority_are_set_for_the_calling_thread(calls):
    machine.set_scheduling(num_threads=3, priority=20)
    assert calls == [('threads', 3), ('scheduler', 0, os.SCHED_FIFO, 20)]


def test_a_priority_that_is_not_allowed_is_refused_with_what_to_do(monkeypatch):
    def refuse(*args):
        raise PermissionError(1, 'Operation not permitted')
    monkeypatch.setattr(os, 'sched_setscheduler', refuse)
    with pytest.raises(ClassifierError, match='priority 20 .*CAP_SYS_NICE .*priority:=0'):
        machine.set_scheduling(num_threads=0, priority=20)


def test_the_model_is_ready_before_the_collector_is_told_to_leave_it_alone(calls):
    told = []
    config = ClassifierConfig(model='demo', device='cpu', backend='eager', precision='float32',
                              keep_ratios=(1.0, 0.5), num_threads=1)
    classifier, costs = machine.prepare(config, told.append, pytest.fail, lambda: True)
    assert calls == [('threads', 1), ('freeze',)]
    assert told == ['loading demo', 'warmed up at keep_ratio 1', 'warmed up at keep_ratio 0.5']
    assert [cost.keep_ratio for cost in costs] == [1.0, 0.5]
    assert classifier.backend.name == 'eager'


def test_a_program_that_is_told_to_stop_does_not_finish_the_warm_up(calls):
    config = ClassifierConfig(model='demo', device='cpu', backend='eager', precision='float32')
    with pytest.raises(ClassifierError, match='told to stop'):
        machine.prepare(config, print, pytest.fail, lambda: False)
    assert ('freeze',) not in calls


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
