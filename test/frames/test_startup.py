# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What the node does to its process and its worker's thread before the first image."""
import gc
import itertools
import json
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import (
    TIMED_AGAIN,
    TIMED_ROUNDS,
    level_costs,
    prepare,
    set_priority,
    with_zoom,
)
from ltp_ros.model import hub
from ltp_ros.tuner.levels import LevelCost


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


def test_a_profile_that_cannot_be_read_is_refused_before_the_model_is_loaded(calls):
    with pytest.raises(ClassifierError, match='nowhere.yaml'):
        prepare(ClassifierConfig(model='demo', profile='/nowhere.yaml'), pytest.fail, pytest.fail,
                lambda: True)


def test_classes_with_one_name_are_told_with_their_ids(calls, tmp_path):
    labels = tmp_path / 'labels.txt'
    labels.write_text('crane\nplane\ncrane\n' + ''.join(f'other {n}\n' for n in range(7)))
    warnings = []
    prepare(ClassifierConfig(model='demo', labels=str(labels), device='cpu', backend='eager',
                             precision='float32', keep_ratios=(1.0, 0.5)),
            lambda line: None, warnings.append, lambda: True)
    assert len(warnings) == 1 and "{'crane': [0, 2]}" in warnings[0]


def test_classes_without_names_are_told_once_with_what_to_do(calls, small_model, tmp_path):
    card = json.loads(Path(small_model).with_suffix('.json').read_text())
    del card['label_names']
    shutil.copy(small_model, tmp_path)
    (tmp_path / 'small.json').write_text(json.dumps(card))
    warnings = []
    prepare(ClassifierConfig(checkpoint=str(tmp_path / 'small.safetensors'), device='cpu',
                             backend='eager', precision='float32', keep_ratios=(1.0,)),
            lambda line: None, warnings.append, lambda: True)
    assert warnings == ["the model has no class names, so they are 'class 0' and so on; "
                        'labels:=FILE gives them']


def test_the_model_is_ready_before_the_collector_is_told_to_leave_it_alone(calls, tmp_path):
    told = []
    config = ClassifierConfig(model='demo', device='cpu', backend='eager', precision='float32',
                              keep_ratios=(1.0, 0.5), num_threads=1, cache=str(tmp_path))
    classifier, costs = prepare(config, told.append, pytest.fail, lambda: True)
    assert calls == [('threads', 1), ('freeze',)]
    assert told[:3] == [
        'loading demo', 'warmed up at keep_ratio 1', 'warmed up at keep_ratio 0.5']
    assert [cost.keep_ratio for cost in costs] == [1.0, 0.5]
    assert classifier.backend.name == 'eager'


def test_the_log_names_the_architecture_of_the_checkpoint_and_not_the_default(
        calls, small_model):
    told = []
    config = ClassifierConfig(checkpoint=small_model, device='cpu', backend='eager',
                              precision='float32', keep_ratios=(1.0,))
    prepare(config, told.append, pytest.fail, lambda: True)
    assert told[0] == 'loading vit_tiny_patch16_224'


def test_a_program_that_is_told_to_stop_does_not_wait_for_weights(calls, monkeypatch):
    fetched = threading.Event()
    monkeypatch.setattr(hub, 'unreachable', fetched.wait)
    config = ClassifierConfig(device='cpu', backend='eager', precision='float32')
    with pytest.raises(ClassifierError, match='stopped before the model was ready'):
        prepare(config, print, pytest.fail, lambda: False)
    fetched.set()


def test_a_program_that_is_told_to_stop_does_not_finish_the_warm_up(calls):
    config = ClassifierConfig(model='demo', device='cpu', backend='eager', precision='float32')
    with pytest.raises(ClassifierError, match='stopped before the model was ready'):
        prepare(config, print, pytest.fail, lambda: False)
    assert ('freeze',) not in calls


TRUTH_MS = {1.0: 100.0, 0.8: 90.0, 0.6: 80.0, 0.4: 70.0}


class Timed:
    """A classifier whose every run takes what `time_ms(run, keep_ratio)` says; no clock."""

    def __init__(self, time_ms):
        self.config = SimpleNamespace(profile='', ladder='', levels=tuple(TRUTH_MS), zoom=False)
        self.rounds, self.kept_costs, self.ladder = 0, [], None
        self._time_ms = time_ms
        self._runs = itertools.count()

    def zooms(self, keep_ratio, wanted):
        return wanted

    def time_levels(self, num_rounds, progress):
        times_ms = {ratio: [] for ratio in self.config.levels}
        for _ in range(num_rounds):
            for ratio, times in times_ms.items():
                times.append(self._time_ms(next(self._runs), ratio))
            self.rounds += 1
            progress()
        return times_ms


    def keep_choice(self, levels):
        self.kept_levels = levels


def timed(time_ms):
    """Return the costs of a ladder, what was logged, and in how many rounds it was timed."""
    told = []
    classifier = Timed(time_ms)
    costs = level_costs(classifier, told.append, pytest.fail, lambda: None)
    return costs, told, classifier.rounds


def quiet(run, ratio):
    return TRUTH_MS[ratio]


def test_before_the_ladder_is_timed_it_is_said_how_long_that_takes():
    _, told, rounds = timed(quiet)
    assert told == ['timing 4 levels, about 7 s; profile:=FILE, made by ltp_profile, saves that']
    assert rounds == 1 + TIMED_ROUNDS


def test_a_program_that_is_told_to_stop_does_not_finish_timing_the_ladder():
    def stop():
        raise ClassifierError('stopped before the model was ready')
    classifier = Timed(quiet)
    with pytest.raises(ClassifierError, match='stopped'):
        level_costs(classifier, print, pytest.fail, stop)
    assert classifier.rounds == 1


@pytest.mark.parametrize('busy_share', [0.0, 0.3, 0.5, 0.8])
def test_the_costs_compare_as_on_an_idle_machine_however_busy_it_is(busy_share):
    def disturbed(run, ratio):  # 13 and 100 have no common divisor: every level has its turn
        return TRUTH_MS[ratio] * (2.5 if run * 13 % 100 < 100 * busy_share else 1.0)
    costs, told, _ = timed(disturbed)
    assert [cost.median_ms / costs[0].median_ms for cost in costs] == pytest.approx(
        [1.0, 0.9, 0.8, 0.7])
    assert len(told) == 1


def test_the_costs_are_as_slow_as_the_machine_mostly_was():
    costs, _, _ = timed(lambda run, ratio: TRUTH_MS[ratio] * (1.0 if run < 4 else 3.0))
    assert costs[0].median_ms == pytest.approx(300.0)


def test_a_ladder_that_was_timed_on_a_busy_machine_is_timed_again():
    in_the_first_go = (1 + TIMED_ROUNDS) * len(TRUTH_MS)

    def disturbed(run, ratio):
        return TRUTH_MS[ratio] + (50.0 if ratio == 0.6 and run < in_the_first_go else 0.0)
    costs, told, rounds = timed(disturbed)
    assert costs[2].median_ms == pytest.approx(80.0)
    assert told[1:] == ['some levels took no less time than a higher one; timing again, as the '
                        'machine may be busy']
    assert rounds == 1 + 2 * TIMED_ROUNDS


def test_levels_that_stay_no_faster_are_named_after_a_few_times():
    costs, told, rounds = timed(lambda run, ratio: 50.0 if ratio < 0.7 else TRUTH_MS[ratio])
    assert rounds == 1 + (1 + TIMED_AGAIN) * TIMED_ROUNDS
    assert told[-1] == ('keep_ratio 0.4 took no less time than a higher one; the tuner tries it '
                        'only where no other holds the deadline')
    assert [cost.keep_ratio for cost in costs] == [1.0, 0.8, 0.6, 0.4]


class Zooming:
    """A classifier whose levels zoom as given; None: as the parameter says."""

    def __init__(self, zoom, **levels):
        self.config = SimpleNamespace(zoom=zoom)
        self.zoom = SimpleNamespace(box=lambda frame: time.sleep(0.002))
        self._levels = levels

    def zooms(self, keep_ratio, wanted):
        zoom = self._levels[f'level_{keep_ratio:g}'.replace('.', '_')]
        return wanted if zoom is None else zoom


@pytest.mark.parametrize('zoom, in_file, added', [
    (False, False, [True, False, False]), (True, False, [True, False, True]),
    (False, True, [False, False, False]), (True, True, [False, False, True])])
def test_a_level_that_looks_at_a_box_costs_what_finding_it_takes(zoom, in_file, added):
    classifier = Zooming(zoom, level_1=True, level_0_5=False, level_0_25=None)
    before = [LevelCost(ratio, 10.0 * ratio, 12.0 * ratio) for ratio in (1.0, 0.5, 0.25)]
    after = with_zoom(before, classifier, in_file)
    assert [now.median_ms >= then.median_ms + 2.0 for now, then in zip(after, before)] == added
    assert [now == then for now, then in zip(after, before)] == [not each for each in added]
    for now, then in zip(after, before):
        assert now.p99_ms - then.p99_ms == pytest.approx(now.median_ms - then.median_ms)
