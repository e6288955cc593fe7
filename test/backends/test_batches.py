# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of an image in batches are answered as each by itself, in every backend."""
import numpy as np
import pytest
import torch
from fake_graphs import FakeCuda

from ltp_ros.backends import choice
from ltp_ros.backends.graph import BATCHES
from ltp_ros.classifier import Classifier
from ltp_ros.config import METHODS, ClassifierConfig
from ltp_ros.model import vit
from ltp_ros.region import Region

CPU = torch.device('cpu')
RUNTIMES = {'onnx': 'onnxruntime', 'openvino': 'openvino'}
RGB = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
BOXES = [Region(10, 20, 30, 30), Region(0, 0, 120, 120), Region(80, 100, 40, 60),
         Region(5, 5, 1, 1), Region(60, 0, 60, 20)]


def classifier(small_model, **changes):
    return Classifier(ClassifierConfig(**{
        'checkpoint': small_model, 'device': 'cpu', 'precision': 'float32',
        'keep_ratios': (1.0, 0.5), 'keep_ratio': 0.5, 'top_k': 7, **changes}))


def assert_alike(one, other):
    assert one.class_ids == other.class_ids and one.box == other.box and one.seen == other.seen
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    np.testing.assert_allclose(one.features, other.features, atol=1e-5)
    np.testing.assert_array_equal(one.keep_indices, other.keep_indices)


@pytest.mark.parametrize('name', ['eager', 'onnx', 'openvino'])
@pytest.mark.parametrize('method', [method for method in METHODS if method != 'papr'])
def test_each_part_is_answered_as_by_itself(small_model, name, method, tmp_path):
    if name in RUNTIMES:
        pytest.importorskip(RUNTIMES[name])
    model = classifier(small_model, backend=name, method=method, cache=str(tmp_path))
    for keep_ratio in model.config.levels:
        parts = model.classify_parts(RGB, BOXES, keep_ratio)
        for box, part in zip(BOXES, parts):
            whole = model.rungs[keep_ratio].summary.data_config.around(box, *RGB.shape[:2])
            assert_alike(part, model.classify(RGB, keep_ratio, box=whole))
        assert len(parts) == len(BOXES)


def test_more_parts_than_a_batch_holds_come_in_several(small_model, monkeypatch):
    model = classifier(small_model, backend='eager')
    boxes = [Region(index, index, 20, 20) for index in range(37)]
    sizes = []
    batch = model.backend.batch
    monkeypatch.setattr(model.backend, 'batch', lambda rgb, parts, *rest: (
        sizes.append(len(parts)), batch(rgb, parts, *rest))[1])
    parts = model.classify_parts(RGB, boxes)
    assert sizes == [16, 16, 5] and [part.box for part in parts] == boxes


def test_no_parts_are_no_answers(small_model):
    assert classifier(small_model, backend='eager').classify_parts(RGB, []) == []


def test_a_part_outside_the_image_is_refused(small_model):
    with pytest.raises(ValueError, match='does not lie inside an image of 160x120'):
        classifier(small_model, backend='eager').classify_parts(
            RGB, [BOXES[0], Region(100, 0, 30, 30)])


def test_on_a_gpu_a_batch_has_a_graph_of_its_own_and_fills_it(monkeypatch):
    fake = FakeCuda(monkeypatch)
    torch.manual_seed(0)
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False, num_classes=7, img_size=96,
                           depth=2)
    backend = choice.create('graph', 'float32', model, vit.data_config(model), CPU, None)
    alone = [backend(RGB, 0.53, 7, box) for box in BOXES[:3]]
    assert fake.captures == 1
    for count, captures in ((3, 2), (2, 3), (3, 3), (1, 3)):
        answers = backend.batch(RGB, BOXES[:count], 0.53, 7)
        assert fake.captures == captures and len(answers) == count
        for one, other in zip(answers, alone):
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
            np.testing.assert_array_equal(one.class_ids, other.class_ids)
    assert max(BATCHES) == backend.batch_size


def test_a_batch_whose_capture_fails_is_answered_all_the_same(monkeypatch):
    fake = FakeCuda(monkeypatch)
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False, num_classes=7, img_size=96,
                           depth=2)
    told = []
    backend = choice.create('graph', 'float32', model, vit.data_config(model), CPU, None,
                            told.append)
    expected = [backend(RGB, 0.53, 7, box) for box in BOXES[:3]]
    fake.failures = [RuntimeError('no memory')]
    answers = backend.batch(RGB, BOXES[:3], 0.53, 7)
    assert told and [answer.class_ids.tolist() for answer in answers] == [
        answer.class_ids.tolist() for answer in expected]
