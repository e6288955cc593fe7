# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the node does to its process and its worker's thread before the first image."""
import gc
import os

import pytest
import torch

from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import prepare, set_priority


@pytest.fixture
def calls(monkeypatch):
    """Return what would be done to the process, in order."""
    done = []
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: done.append(('threads', count)))
    monkeypatch.setattr(os, 'sched_setscheduler', lambda pid, policy, param: done.append(
        ('scheduler', pid, policy, param.sched_priority)))
    monkeypatch.setattr(gc, 'freeze', lambda: done.append(('freeze',)))
    return done


def test_zero_leaves_the_priority_as_it_is(calls):
    set_priority(0)
    assert not calls


def test_the_priority_is_set_for_the_calling_thread(calls):
    set_priority(20)
    assert calls == [('scheduler', 0, os.SCHED_FIFO, 20)]


def test_a_priority_that_is_not_allowed_is_refused_with_what_to_do(monkeypatch):
    def refuse(*args):
        raise PermissionError(1, 'Operation not permitted')
    monkeypatch.setattr(os, 'sched_setscheduler', refuse)
    with pytest.raises(ClassifierError, match='priority 20 .*CAP_SYS_NICE .*priority:=0'):
        set_priority(20)


def test_the_model_is_ready_before_the_collector_is_told_to_leave_it_alone(calls):
    told = []
    config = ClassifierConfig(model='demo', device='cpu', backend='eager', precision='float32',
                              keep_ratios=(1.0, 0.5), num_threads=1)
    classifier, costs = prepare(config, told.append, pytest.fail, lambda: True)
    assert calls == [('threads', 1), ('freeze',)]
    assert told == ['loading demo', 'warmed up at keep_ratio 1', 'warmed up at keep_ratio 0.5']
    assert [cost.keep_ratio for cost in costs] == [1.0, 0.5]
    assert classifier.backend.name == 'eager'


def test_a_program_that_is_told_to_stop_does_not_finish_the_warm_up(calls):
    config = ClassifierConfig(model='demo', device='cpu', backend='eager', precision='float32')
    with pytest.raises(ClassifierError, match='stopped while warming up'):
        prepare(config, print, pytest.fail, lambda: False)
    assert ('freeze',) not in calls
