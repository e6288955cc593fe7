# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Ladders whose levels differ in more than a keep ratio: resize, and those in a file."""
import dataclasses

import numpy as np
import pytest
import timm
from safetensors.torch import save_file

from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import level_costs, machine_of
from ltp_ros.parameter import ConfigError
from ltp_ros.tuner import ladder_file
from ltp_ros.tuner.ladder_file import Ladder, Level
from ltp_ros.tuner.levels import LevelCost

RGB = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
DEMO = {'model': 'demo', 'device': 'cpu', 'backend': 'eager', 'precision': 'float32'}


def opened(path=None, log=None, **wanted):
    return Classifier(ClassifierConfig(**{**DEMO, **({'ladder': str(path)} if path else {}),
                                          **wanted}), log)


def written(folder, *levels, **more):
    path = folder / 'ladder.yaml'
    ladder_file.write(path, Ladder(levels, **more))
    return path


@pytest.mark.parametrize('backend', ['eager', 'onnx', 'openvino'])
def test_resize_gives_the_model_smaller_images(backend):
    if backend != 'eager':
        pytest.importorskip({'onnx': 'onnxruntime'}.get(backend, backend))
    classifier = opened(method='resize', backend=backend, keep_ratios=(1.0, 0.6, 0.25))
    found = [classifier.classify(RGB, ratio) for ratio in (1.0, 0.6, 0.25)]
    assert [each.data_config.input_size for each in found] == [(32, 32), (24, 24), (16, 16)]
    assert [(each.num_keep, each.num_patches) for each in found] == [(64, 64), (36, 36), (16, 16)]
    assert [each.grid_size for each in found] == [(8, 8), (6, 6), (4, 4)]
    assert [len(each.keep_indices) for each in found] == [64, 36, 16]
    assert [each.keep_ratio for each in found] == [1.0, 0.6, 0.25]
    plain = opened(method='none', input_size=24).classify(RGB)
    assert found[1].class_ids == plain.class_ids
    assert found[1].scores == pytest.approx(plain.scores, abs=1e-4)


def test_a_model_of_a_ladder_can_be_opened_by_itself():
    classifier = opened(method='resize', keep_ratios=(1.0, 0.25))
    small = Classifier(classifier.model_configs[1])
    assert small.data_config.input_size == (16, 16)
    assert small.classify(RGB).scores == classifier.classify(RGB, 0.25).scores


def test_levels_of_one_size_share_a_model():
    told = []
    classifier = opened(log=told.append, method='resize', keep_ratios=(1.0, 0.97, 0.25, 0.24))
    assert '4 levels in 2 models' in told[-1] and 'MiB' in told[-1]
    assert classifier.classify(RGB, 0.97).class_ids == classifier.classify(RGB, 1.0).class_ids


def test_a_ladder_has_models_methods_and_sizes_of_its_own(tmp_path):
    path = written(tmp_path, Level(1.0, method='ltp', input_size=(48, 48), keep_ratio=0.5),
                   Level(0.6, method='none'), Level(0.3, method='mixed', keep_ratio=0.4),
                   Level(0.2, method='mixed', keep_ratio=0.3),
                   Level(0.1, method='none', input_size=(16, 28)))
    classifier = opened(path)
    assert classifier.config.levels == (1.0, 0.6, 0.3, 0.2, 0.1)
    found = {name: classifier.classify(RGB, name) for name in classifier.config.levels}
    assert [(each.num_keep, each.num_patches) for each in found.values()] == [
        (72, 144), (64, 64), (25, 64), (19, 64), (28, 28)]
    assert found[0.1].grid_size == (4, 7)
    # Each as the same level by itself
    alone = opened(method='mixed', keep_ratios=(0.4, 0.3)).classify(RGB, 0.3)
    assert found[0.2].scores == alone.scores
    np.testing.assert_array_equal(found[0.2].keep_indices, alone.keep_indices)
    closer = opened(method='ltp', input_size=48, keep_ratios=(0.5,)).classify(RGB)
    assert found[1.0].scores == closer.scores
    # The name that is nearest counts
    assert classifier.classify(RGB, 0.55).keep_ratio == 0.6


def test_a_parameter_that_is_given_counts_more_than_the_file(tmp_path):
    pytest.importorskip('openvino')
    path = written(tmp_path, Level(1.0, backend='openvino'), Level(0.5, method='resize'))
    assert opened(path, backend='auto', precision='auto').backend.name == 'openvino'
    assert opened(path).backend.name == 'eager'


def other_model(folder, labels):
    """Return the files of a small ConvNet with as many classes as there are labels."""
    checkpoint, names = folder / 'net.safetensors', folder / 'names.txt'
    save_file({name: tensor.contiguous().clone() for name, tensor in timm.create_model(
        'mobilenetv4_conv_small', num_classes=len(labels)).state_dict().items()}, checkpoint)
    checkpoint.with_suffix('.json').write_text(
        f'{{"architecture": "mobilenetv4_conv_small", "model_args": '
        f'{{"num_classes": {len(labels)}}}}}')
    names.write_text('\n'.join(labels))
    return {'checkpoint': str(checkpoint), 'model': 'mobilenetv4_conv_small'}, names


def test_models_of_several_kinds_are_one_ladder(tmp_path):
    labels = opened().labels
    net, names = other_model(tmp_path, labels)
    path = written(tmp_path, Level(1.0, method='ltp'),
                   Level(0.2, **net, method='resize', input_size=(64, 64)))
    classifier = opened(path, labels=str(names))
    assert classifier.classify(RGB, 0.2).model == 'mobilenetv4_conv_small'
    assert classifier.classify(RGB, 1.0).model == 'demo'
    assert classifier.classify(RGB, 0.2).labels[0] in labels
    # Features of each are of its own length, and classes can be taught at every level
    features = classifier.features(RGB)
    assert features[0.2].shape != features[1.0].shape
    assert len(classifier.backbone['other_levels']) == 1
    assert 'other_levels' not in opened().backbone


def test_models_of_other_classes_are_no_ladder(tmp_path):
    net, _ = other_model(tmp_path, ['a', 'b', 'c'])
    path = written(tmp_path, Level(1.0), Level(0.2, **net, method='resize'))
    with pytest.raises(ClassifierError, match='must have the same classes, but demo has 10'):
        opened(path)


def test_levels_may_zoom_each_for_itself(tmp_path):
    path = written(tmp_path, Level(1.0, zoom=True), Level(0.5, zoom=False), Level(0.2))
    for wanted, expected in ((False, [True, False, False]), (True, [True, False, True])):
        classifier = opened(path, zoom=wanted)
        assert classifier.may_zoom(wanted)
        assert [classifier.zooms(name, wanted) for name in (1.0, 0.5, 0.2)] == expected
    assert not opened().may_zoom(False)


def test_the_times_of_a_ladder_count_on_its_machine(tmp_path):
    machine = machine_of(opened())
    levels = Level(1.0, p50_ms=9.0, p99_ms=11.0), Level(0.4, method='none', p50_ms=3.0, p99_ms=4.0)
    here = opened(written(tmp_path, *levels, machine=machine))
    assert level_costs(here, pytest.fail, pytest.fail, lambda: None) == [
        LevelCost(1.0, 9.0, 11.0), LevelCost(0.4, 3.0, 4.0)]
    warned = []
    elsewhere = opened(written(tmp_path, *levels, machine=dataclasses.replace(
        machine, hardware='Another')))
    costs = level_costs(elsewhere, lambda text: None, warned.append, lambda: None)
    assert [cost.keep_ratio for cost in costs] == [1.0, 0.4] and costs[0].median_ms != 9.0
    assert 'was timed on' in warned[0] and 'Another' in warned[0]


def test_what_two_levels_run_is_timed_once_a_turn(tmp_path, monkeypatch):
    classifier = opened(written(tmp_path, Level(1.0, zoom=True), Level(0.9, zoom=False),
                                Level(0.5, keep_ratio=0.5)))
    asked, answer = [], classifier.backend
    monkeypatch.setattr(classifier, '_backends', [
        lambda rgb, keep_ratio, *more: asked.append(keep_ratio) or answer(rgb, keep_ratio, *more)])
    times_ms = classifier.time_levels(3)
    assert asked == 3 * [1.0, 0.5]
    assert times_ms[1.0] == times_ms[0.9] != times_ms[0.5]


def test_what_was_timed_is_known_at_the_next_start(tmp_path):
    pytest.importorskip('onnxruntime')
    wanted = {'method': 'resize', 'backend': 'onnx', 'keep_ratios': (1.0, 0.5), 'cache':
              str(tmp_path)}
    first = opened(**wanted)
    first.warm_up()
    costs = [LevelCost(1.0, 2.0, 3.0), LevelCost(0.5, 1.0, 1.5)]
    assert first.kept_costs == []
    first.keep_choice(costs)
    assert opened(**wanted).kept_costs == costs


def test_a_ladder_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='cannot be read'):
        opened(tmp_path / 'missing.yaml')
    path = written(tmp_path, Level(1.0, method='shrink'))
    with pytest.raises(ConfigError, match="method 'shrink' is not allowed"):
        opened(path)
    written(tmp_path, Level(1.0))
    with pytest.raises(ConfigError, match='if it was changed, set ladder again'):
        opened(path, keep_ratios=(1.0, 0.5))


def test_released_models_answer_no_more():
    classifier = opened(method='resize', keep_ratios=(1.0, 0.25))
    classifier.release()
    for ratio in (1.0, 0.25):
        with pytest.raises(RuntimeError, match='loaded anew'):
            classifier.classify(RGB, ratio)
