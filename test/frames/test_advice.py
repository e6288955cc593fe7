# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What else to turn is told by the parameters' names, what brings most first."""
import os
from types import SimpleNamespace

import pytest

from ltp_ros.config import ClassifierConfig, Config
from ltp_ros.frames import advice
from ltp_ros.settings import update


def told(monkeypatch, backend='eager', precision='float32', device='cpu', cores=4, onnx=True,
         variation=0.0, superseded=False, **changes):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(cores)))
    monkeypatch.setattr(advice, 'find_spec', lambda name: onnx or None)
    classifier = SimpleNamespace(
        backend=SimpleNamespace(name=backend), precision=precision, grid_size=(14, 14),
        device=SimpleNamespace(type=device), data_config=SimpleNamespace(input_size=(224, 224)))
    found = advice.hints(update(Config(), changes).classifier, classifier, variation, superseded)
    return [hint.text.split(',')[0] for hint in found]


@pytest.mark.parametrize('here, expected', [
    ({}, ['precision:=int8', 'input_size:=160', 'backend:=onnx']),
    ({'backend': 'onnx'}, ['precision:=int8', 'input_size:=160']),
    ({'backend': 'onnx', 'precision': 'int8'}, ['input_size:=160']),
    ({'onnx': False}, ['input_size:=160', 'backend:=onnx']),
    ({'backend': 'onnx', 'precision': 'int8', 'num_threads': 1},
     ['num_threads:=4', 'input_size:=160']),
    ({'backend': 'onnx', 'precision': 'int8', 'variation': 0.5},
     ['priority:=20', 'input_size:=160', 'num_threads:=3']),
    ({'backend': 'onnx', 'precision': 'int8', 'variation': 0.5, 'priority': 20, 'cores': 1},
     ['input_size:=160']),
    ({'device': 'cuda'}, ['precision:=float16', 'backend:=graph', 'input_size:=160']),
    ({'device': 'cuda', 'precision': 'float16', 'backend': 'graph', 'superseded': True},
     ['input_size:=160', 'a lower max_rate'])])
def test_what_may_help_depends_on_what_is_in_use(monkeypatch, here, expected):
    assert told(monkeypatch, **here) == expected


def test_every_hint_names_a_parameter_with_a_value_that_it_takes(monkeypatch):
    for text in told(monkeypatch, variation=1.0, num_threads=2):
        name, value = text.split(':=')
        update(Config(), {name: type(getattr(ClassifierConfig, name))(value)})


def test_a_sentence_has_the_three_that_bring_most():
    found = [advice.Hint(share, f'x:={share}') for share in (0.1, 0.2, 0.3, 0.4)]
    assert advice.sentence(found) == 'what else may help: x:=0.1; x:=0.2; x:=0.3'
    assert advice.sentence([]) == ''
