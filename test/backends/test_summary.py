# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A model that was loaded before is known without torch, and no other is taken for it."""
import dataclasses
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest

from ltp_ros.backends import summary
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig

RGB = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
START = '''
import json, sys
import numpy as np
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.tuner.levels import LevelCost
told = []
classifier = Classifier(ClassifierConfig(**json.loads(sys.argv[1])), told.append)
rgb = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
classifier.warm_up()
levels = [classifier.classify(rgb, ratio, 5) for ratio in classifier.config.levels]
classifier.keep_choice([LevelCost(ratio, 2.0, 3.0) for ratio in classifier.config.levels])
print(json.dumps({
    'torch': 'torch' in sys.modules, 'told': told, 'backend': classifier.backend.name,
    'facts': [classifier.labels, classifier.model_name, classifier.model_hash,
              classifier.num_patches, classifier.grid_size, classifier.num_threads,
              str(classifier.device), str(classifier.data_config)],
    'levels': [(level.labels, level.num_keep, level.keep_indices.tolist()) for level in levels],
    'scores': [level.scores for level in levels]}))
'''


def start(**config):
    """Start a classifier in this process; return what it says of itself."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setattr(sys, 'argv', ['', json.dumps(config)])
        exec(START, {})
    return json.loads(printed.getvalue())


def start_anew(**config):
    """Start a classifier in a process of its own, as `start`."""
    found = subprocess.run([sys.executable, '-c', START, json.dumps(config)], check=True,
                           stdout=subprocess.PIPE, text=True, timeout=300)
    return json.loads(found.stdout.splitlines()[-1])


@pytest.fixture
def demo(tmp_path):
    """Return parameters of the demo model with a cache of its own."""
    return {'model': 'demo', 'device': 'cpu', 'cache': str(tmp_path), 'keep_ratios': [1.0, 0.5]}


@pytest.mark.parametrize('backend', ['onnx', 'openvino'])
@pytest.mark.parametrize('method', ['ltp', 'tome', 'none'])
def test_a_second_start_answers_the_same_without_torch(demo, backend, method):
    pytest.importorskip('onnxruntime' if backend == 'onnx' else backend)
    first, second = (begin(backend=backend, method=method, precision='float32', **demo)
                     for begin in (start, start_anew))
    assert not second['torch']
    for name in ('facts', 'levels', 'backend'):
        assert first[name] == second[name]
    np.testing.assert_allclose(np.array(second['scores']), np.array(first['scores']), atol=1e-6)


def test_a_choice_of_before_is_opened_without_torch(demo):
    pytest.importorskip('openvino')
    first, second = start(**demo), start_anew(**demo)
    assert any('was the fastest before' in line for line in second['told'])
    assert second['backend'] == first['backend']
    assert second['torch'] == (second['backend'] == 'eager')


@pytest.mark.parametrize('method, lost', [
    ('ltp', '*/*/ladder.onnx'), ('ltp', '*/*/sealed.json'), ('ltp', 'summaries/*.json'),
    ('tome', '*/*/keep_1.onnx')])
def test_what_is_lost_is_made_anew(demo, tmp_path, method, lost):
    pytest.importorskip('onnxruntime')
    demo['method'] = method
    first = start(backend='onnx', precision='float32', **demo)
    found = list(tmp_path.glob(lost))
    assert found
    for path in found:
        path.unlink()
    second = start_anew(backend='onnx', precision='float32', **demo)
    assert second['torch']
    np.testing.assert_allclose(np.array(second['scores']), np.array(first['scores']), atol=1e-6)
    assert sorted(tmp_path.glob(lost)) == sorted(found)


def test_a_model_of_another_content_is_loaded_anew(demo, tmp_path, small_model):
    pytest.importorskip('onnxruntime')
    folder = tmp_path / 'mine'
    folder.mkdir()
    copies = [folder / name for name in ('small.safetensors', 'small.json')]
    for copy in copies:
        copy.write_bytes((summary.path_of(small_model).parent / copy.name).read_bytes())
    config = {**demo, 'model': 'vit_tiny_patch16_224', 'checkpoint': str(copies[0]),
              'backend': 'onnx'}
    classifier = [Classifier(ClassifierConfig(**config))]
    card = json.loads(copies[1].read_text())
    card['label_names'] = [f'other {index}' for index in range(7)]
    copies[1].write_text(json.dumps(card))
    classifier.append(Classifier(ClassifierConfig(**config)))
    assert [each.labels[0] for each in classifier] == ['thing 0', 'other 0']


def test_whatever_makes_another_model_has_another_file(tmp_path):
    labels = tmp_path / 'labels.txt'
    labels.write_text('a\nb\n')
    base = ClassifierConfig(model='demo', labels=str(labels))
    changes = [{}, {'method': 'none'}, {'score': 'random'}, {'alpha': 0.1}, {'input_size': 64},
               {'crop_mode': 'squash'}, {'keep_ratios': (1.0,)}, {'labels': ''},
               {'model': 'vit_tiny_patch16_224'}]
    files = [summary.file_of(tmp_path, dataclasses.replace(base, **change)) for change in changes]
    labels.write_text('a\nc\n')
    files.append(summary.file_of(tmp_path, base))
    assert len(set(files)) == len(changes) + 1 and None not in files
    same = dataclasses.replace(base, keep_ratio=0.3, top_k=1, backend='eager', num_threads=1)
    assert summary.file_of(tmp_path, same) == files[-1]


def test_what_may_change_unnoticed_has_no_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for changes in ({'model': 'hf_hub:user/name'}, {'model': 'local-dir:/x'},
                    {'labels': str(tmp_path / 'pipe')}, {'checkpoint': str(tmp_path / 'none')}):
        config = ClassifierConfig(**{'model': 'demo', **changes})
        assert summary.file_of(tmp_path, config) is None
    assert summary.file_of(None, ClassifierConfig(model='demo')) is None
