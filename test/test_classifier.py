# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""RGB in, `Prediction` out: against stock timm with random weights, and on real photos."""
import csv
import os
import threading

import cv2
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from ltp_ros import opening
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.prediction import NotFiniteError
from ltp_ros.research.training.built_model import training_precision as training_precision

MEAN = STD = 0.5  # of the small model, as timm has it


@pytest.fixture(scope='module')
def make(small_model):
    """Return a function that makes a classifier of the small model: 64x64, 16 patches."""
    return lambda **config: Classifier(ClassifierConfig(
        checkpoint=small_model, **{
            'device': 'cpu', 'backend': 'eager', 'precision': 'float32', **config}))


@pytest.fixture(scope='module')
def small(make):
    """Return one classifier for the tests that do not configure it."""
    return make()


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_a_prediction_lists_the_classes_best_first(small, rgb):
    prediction = small.classify(rgb, top_k=7)
    assert sorted(prediction.class_ids) == list(range(7))
    assert list(prediction.scores) == sorted(prediction.scores, reverse=True)
    assert prediction.labels == tuple(f'thing {index}' for index in prediction.class_ids)


def test_the_scores_are_probabilities(small, rgb):
    scores = small.classify(rgb, top_k=7).scores
    assert sum(scores) == pytest.approx(1)
    assert min(scores) > 0


def test_a_prediction_is_made_of_plain_numbers(small, rgb):
    prediction = small.classify(rgb)
    assert {type(index) for index in prediction.class_ids} == {int}
    assert {type(score) for score in prediction.scores} == {float}


@pytest.mark.parametrize('keep_ratio, num_keep', [(1.0, 16), (0.53, 8), (0.25, 4)])
def test_a_prediction_tells_which_patches_were_kept(small, rgb, keep_ratio, num_keep):
    prediction = small.classify(rgb, keep_ratio)
    assert (prediction.keep_ratio, prediction.num_keep, prediction.num_patches) == (
        keep_ratio, num_keep, 16)
    kept = prediction.keep_indices
    assert kept.dtype == np.int64
    assert kept.tolist() == sorted(set(kept.tolist()) & set(range(16)))
    assert len(kept) == num_keep


@pytest.mark.parametrize('asked, used', [(0.5, 0.53), (1, 1.0), (0.97, 1.0), (0.01, 0.25)])
def test_the_keep_ratio_is_snapped_to_the_ladder(small, rgb, asked, used):
    assert small.classify(rgb, asked).keep_ratio == used


def test_the_answer_depends_on_the_keep_ratio_alone_and_not_on_the_one_before(small, rgb):
    first = small.classify(rgb, 0.25).scores
    small.classify(rgb, 1.0)
    assert small.classify(rgb, 0.25).scores == first != small.classify(rgb, 1.0).scores


@pytest.mark.parametrize('top_k, count', [(1, 1), (3, 3), (7, 7), (50, 7)])
def test_top_k_classes_are_answered_or_as_many_as_there_are(small, rgb, top_k, count):
    assert len(small.classify(rgb, top_k=top_k).class_ids) == count


def test_classes_below_the_threshold_are_left_out(small, rgb):
    every = small.classify(rgb, top_k=7)
    some = small.classify(rgb, top_k=7, score_threshold=every.scores[2])
    assert (some.class_ids, some.scores) == (every.class_ids[:3], every.scores[:3])
    assert small.classify(rgb, score_threshold=1.0).class_ids == ()


def test_the_config_holds_where_the_call_says_nothing(make, rgb):
    prediction = make(keep_ratio=0.45, top_k=2).classify(rgb)
    assert (prediction.keep_ratio, len(prediction.labels)) == (0.45, 2)
    assert make(score_threshold=1.0).classify(rgb).labels == ()


@torch.no_grad()
def test_at_ratio_one_the_answer_is_that_of_stock_timm(small, small_model, rgb):
    stock = timm.create_model('vit_tiny_patch16_224', num_classes=7, img_size=64, embed_dim=48,
                              depth=2, num_heads=3).eval()
    stock.load_state_dict(load_file(small_model))
    pixels = torch.from_numpy((rgb / 255 - MEAN) / STD).float().permute(2, 0, 1)[None]
    expected = stock(pixels).softmax(dim=-1)[0]
    prediction = small.classify(rgb, 1.0, top_k=7)
    np.testing.assert_allclose(prediction.scores, expected[list(prediction.class_ids)], atol=1e-6)


@pytest.mark.parametrize('backend', ['eager', 'onnx'])
@pytest.mark.parametrize('size, bars', [((32, 64), ((16, 16), (0, 0), (0, 0))),
                                        ((64, 16), ((0, 0), (24, 24), (0, 0)))])
def test_with_borders_the_model_sees_the_whole_picture_between_grey_bars(make, size, bars,
                                                                        backend, tmp_path):
    if backend == 'onnx':
        pytest.importorskip('onnxruntime')
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    bordered, given = (make(crop_mode=mode, backend=backend, cache=str(tmp_path),
                            keep_ratios=(0.5,)) for mode in ('border', 'center'))
    found = bordered.classify(rgb, top_k=7)
    expected = given.classify(np.pad(rgb, bars, constant_values=128), top_k=7)
    assert found.scores == expected.scores
    assert found.keep_indices.tolist() == expected.keep_indices.tolist()


@pytest.mark.parametrize('precision, tolerance', [('float16', 2e-3), ('bfloat16', 2e-2)])
def test_half_precision_answers_nearly_the_same(
        make, small, rgb, precision, tolerance, needs_cpu_numbers):
    needs_cpu_numbers(getattr(torch, precision))
    exact, rounded = (model.classify(rgb, 1.0, top_k=7) for model in (small, make(
        precision=precision)))
    scores = dict(zip(rounded.class_ids, rounded.scores))
    np.testing.assert_allclose([scores[i] for i in exact.class_ids], exact.scores, atol=tolerance)


@pytest.mark.parametrize('size', [(1, 1), (48, 64), (300, 17)])
def test_a_picture_may_have_any_size(small, size):
    assert small.classify(np.full((*size, 3), 128, np.uint8)).num_patches == 16


@pytest.mark.parametrize('shape, dtype', [
    ((64, 64), np.uint8), ((64, 64, 4), np.uint8), ((64, 64, 1), np.uint8),
    ((1, 64, 64, 3), np.uint8), ((64, 64, 3), np.float32), ((0, 64, 3), np.uint8),
    ((64, 0, 3), np.uint8)])
def test_what_is_no_rgb_image_is_refused_with_its_shape_and_type(small, shape, dtype):
    with pytest.raises(ValueError) as refusal:
        small.classify(np.zeros(shape, dtype))
    assert f'shape {shape} and type {np.dtype(dtype)}' in str(refusal.value)
    assert 'expected (height, width, 3) uint8 RGB' in str(refusal.value)


def test_an_array_that_may_not_be_written_is_classified(small, rgb):
    expected = small.classify(rgb).scores
    rgb.flags.writeable = False
    assert small.classify(rgb).scores == expected


def test_an_array_with_gaps_is_classified(small, rgb):
    wide = np.zeros((64, 128, 3), np.uint8)
    wide[:, ::2] = rgb
    assert small.classify(wide[:, ::2]).scores == small.classify(rgb).scores


def test_a_reversed_view_such_as_opencv_gives_is_classified(small, rgb):
    assert small.classify(rgb[..., ::-1]).scores == small.classify(rgb[..., ::-1].copy()).scores


@pytest.mark.parametrize('arguments', [
    {'keep_ratio': float('nan')}, {'keep_ratio': 7.0}, {'keep_ratio': -1.0}, {'top_k': 0},
    {'top_k': -1}])
def test_an_argument_out_of_range_is_refused_and_not_ignored(small, rgb, arguments):
    with pytest.raises(ValueError, match='is not allowed; it must'):
        small.classify(rgb, **arguments)


def test_weights_that_give_no_numbers_are_told_while_warming_up(make):
    broken = make()
    with torch.no_grad():
        broken.backend.model.head.weight.fill_(float('nan'))  # as overflowing float16 does
    with pytest.raises(ClassifierError, match='gives NaN for an answer in float32'):
        broken.warm_up()


@pytest.mark.parametrize('number', [float('inf'), float('nan')])
@pytest.mark.parametrize('where', [(3, 5), 3, slice(None)])
def test_an_answer_that_is_not_finite_is_a_failure_and_not_an_empty_one(make, rgb, where, number):
    broken = make()
    with torch.no_grad():
        broken.backend.model.head.weight[where] = number
    with pytest.raises(NotFiniteError, match='gave NaN for an answer at keep_ratio'):
        broken.classify(rgb)


def test_a_model_whose_memory_was_given_back_says_so(make, rgb):
    released = make()
    released.release()
    with pytest.raises(RuntimeError, match='loaded anew'):
        released.classify(rgb)


def test_classifying_leaves_the_picture_as_it_was(small, rgb):
    before = rgb.copy()
    small.classify(rgb)
    np.testing.assert_array_equal(rgb, before)


def test_warming_up_goes_once_down_the_ladder(make):
    warmed = []
    make(keep_ratios=(1.0, 0.5, 0.25)).warm_up(warmed.append)
    assert warmed == [1.0, 0.5, 0.25]


def test_a_model_that_the_device_cannot_run_is_told_in_a_sentence(make, monkeypatch):
    model = make(keep_ratios=(1.0,))

    def out_of_memory(*args):
        raise RuntimeError('out of memory')

    out_of_memory.name = 'eager'
    monkeypatch.setattr(model, 'backend', out_of_memory)
    with pytest.raises(ClassifierError, match='in float32 at keep_ratio 1.0: out of memory'):
        model.warm_up()


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that makes torch claim to see a GPU of a compute capability, or none."""
    def claim(available, capability=(8, 0)):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: available)
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda *args: capability)
        # What torch says of those that only emulate it, too
        monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda *args: True)
    return claim


def test_cuda_is_refused_where_there_is_none(gpu, make):
    gpu(available=False)
    with pytest.raises(ClassifierError, match='torch sees no CUDA device; use device:=cpu'):
        make(device='cuda')


def test_a_gpu_beyond_those_that_are_there_is_refused_with_how_many_there_are(gpu, monkeypatch):
    gpu(available=True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    assert opening.resolve_device('cuda:0') == torch.device('cuda', 0)
    with pytest.raises(ClassifierError, match='cuda:1 was asked for, but torch sees 1 CUDA dev'):
        opening.resolve_device('cuda:1')


def test_the_number_of_threads_holds_for_every_program_that_makes_a_classifier(make):
    before = torch.get_num_threads()
    try:
        make(num_threads=1)
        assert torch.get_num_threads() == 1
        make(num_threads=0)
        assert torch.get_num_threads() == 1  # 0 leaves them as they are
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize('available, device, precision', [
    (True, 'cuda', 'float16'), (False, 'cpu', 'float32')])
def test_auto_takes_the_gpu_in_half_precision_where_there_is_one(gpu, available, device,
                                                                  precision):
    gpu(available)
    assert opening.resolve_device('auto').type == device
    assert opening.resolve_precision('auto', torch.device(device)) == precision


@pytest.mark.parametrize('capability', [(7, 2), (7, 5)])
def test_bfloat16_is_refused_on_a_gpu_that_only_emulates_it(gpu, capability):
    gpu(True, capability)
    assert training_precision('auto', 'cuda') == 'float32'
    with pytest.raises(ClassifierError, match='no bfloat16.*precision:=float16'):
        opening.resolve_precision('bfloat16', torch.device('cuda'))


def test_bfloat16_is_allowed_on_a_gpu_that_computes_in_it(gpu):
    gpu(True, (9, 0))
    assert opening.resolve_precision('bfloat16', torch.device('cuda')) == 'bfloat16'
    assert training_precision('auto', 'cuda') == 'bfloat16'


def test_real_photos_are_classified_as_well_as_the_model_can(data, deit_tiny, device):
    model = Classifier(ClassifierConfig(keep_ratio=1.0, device=device.type, **deit_tiny))
    with open(data / 'photos500' / 'labels.csv') as file:
        rows = list(csv.DictReader(file))[::5]
    right = 0
    for row in rows:
        photo = cv2.imread(str(data / 'photos500' / row['file']))
        answer = model.classify(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), top_k=1)
        right += answer.class_ids[0] == int(row['class_index'])
    assert 79 <= 100 * right / len(rows) <= 90  # 86 % on all 500


def test_labels_may_come_through_a_pipe(make, tmp_path):
    pipe = tmp_path / 'labels'
    os.mkfifo(str(pipe))
    names = [f'name {index}' for index in range(len(make().labels))]
    writer = threading.Thread(target=pipe.write_text, args=('\n'.join(names),), daemon=True)
    writer.start()
    assert list(make(labels=str(pipe)).labels) == names
