# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a training run: images, dropped tokens, measured accuracy, optimisers, schedule."""
import random

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from ltp_ros.model.data_config import DataConfig
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.model.vit import attach_pruner, create_vit
from ltp_ros.research.training.built_model import TrainingPruner, draw_pruning, pruned_accuracy
from ltp_ros.research.training.images import (
    augment,
    before_crop,
    channel_statistics,
    epoch_order,
    hold_out,
    load_data,
    normalise,
    stack_inputs,
)
from ltp_ros.research.training.optim import make_optimizers, one_cycle, split_parameters


def small_vit():
    vit = create_vit('vit_demo', pretrained=False, num_classes=3)
    with torch.no_grad():
        vit.pos_embed.copy_(torch.randn_like(vit.pos_embed))
    return vit


@pytest.mark.parametrize('keep_ratio', [1.0, 0.53, 0.1])
def test_scored_dropping_keeps_what_inference_keeps(keep_ratio):
    vit, images = small_vit(), torch.randn(2, 3, 32, 32)
    attach_pruner(vit, keep_ratio=keep_ratio)
    expected = vit(images)
    pruner = vit.patch_drop = TrainingPruner(vit)
    pruner.keep_ratio, pruner.by_score = keep_ratio, True
    torch.testing.assert_close(vit(images), expected)


def test_dropping_by_chance_keeps_the_class_token_and_k_of_the_patches():
    pruner = TrainingPruner(small_vit())
    pruner.keep_ratio = 0.25
    tokens = torch.arange(65.0).view(1, 65, 1).expand(2, 65, 192)
    kept = pruner(tokens)[:, :, 0]
    assert kept.shape == (2, 1 + 16)
    assert kept[:, 0].tolist() == [0.0, 0.0]
    assert (kept[:, 1:].diff(dim=1) > 0).all()
    assert kept[0].tolist() != kept[1].tolist()


def test_dropping_adds_nothing_to_the_state_dict():
    vit = small_vit()
    names = set(vit.state_dict())
    vit.patch_drop = TrainingPruner(vit)
    assert set(vit.state_dict()) == names


def test_drawn_keep_ratios_cover_their_range_and_are_sometimes_one():
    rng = random.Random(0)
    drawn = [draw_pruning(rng, 0.25, share_full=0.2) for _ in range(2000)]
    ratios = [ratio for ratio, _ in drawn]
    assert min(ratios) >= 0.25
    assert 0.15 < sum(ratio == 1.0 for ratio in ratios) / 2000 < 0.25
    assert 0.4 < sum(by_score for _, by_score in drawn) / 2000 < 0.6


def test_measuring_accuracy_leaves_the_model_as_it_was():
    vit = small_vit().train()
    slot = vit.patch_drop = TrainingPruner(vit)
    before = {name: value.clone() for name, value in vit.state_dict().items()}
    plain = Preprocessor(DataConfig((32, 32), (0.5,) * 3, (0.25,) * 3))
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    pruned_accuracy(vit, pixels, torch.zeros(6, dtype=torch.long), plain, (1.0, 0.5))
    assert vit.training
    assert vit.patch_drop is slot
    assert all(torch.equal(value, before[name]) for name, value in vit.state_dict().items())


def test_accuracy_counts_the_right_answers():
    vit = small_vit()
    plain = Preprocessor(DataConfig((32, 32), (0.5,) * 3, (0.25,) * 3))
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    labels = vit(normalise(pixels, plain)).argmax(dim=1)
    labels[0] = (labels[0] + 1) % 3
    measured = pruned_accuracy(vit, pixels, labels, plain, (1.0,))
    assert measured == {'1': pytest.approx(100 * 5 / 6, abs=0.001)}


def test_augmented_images_are_mirrored_windows_of_the_padded_image():
    image = torch.randn(1, 3, 6, 6)
    padded = nn.functional.pad(image, (1, 1, 1, 1), 'reflect')
    windows = [padded[..., y:y + 6, x:x + 6] for y in range(3) for x in range(3)]
    windows += [window.flip(3) for window in windows]
    seen = set()
    for output in augment(image.expand(200, 3, 6, 6), pad=1):
        matches = [n for n, window in enumerate(windows) if torch.equal(window[0], output)]
        assert matches
        seen.add(matches[0])
    assert seen == set(range(18))


def test_held_out_images_are_not_trained_on():
    train_indices, held = hold_out(50, 0.1, seed=3)
    assert len(held) == 5
    assert sorted(train_indices.tolist() + held.tolist()) == list(range(50))


def test_an_epoch_sees_every_image_in_an_order_of_its_own():
    first, second = epoch_order(40, 0, seed=0), epoch_order(40, 1, seed=0)
    assert sorted(first.tolist()) == list(range(40))
    assert first.tolist() != second.tolist()
    assert first.tolist() == epoch_order(40, 0, seed=0).tolist()


def test_channel_statistics_are_those_of_numpy():
    pixels = torch.randint(0, 256, (5, 3, 7, 9), dtype=torch.uint8)
    scaled = pixels.numpy() / 255.0
    mean, std = channel_statistics(pixels)
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(std, scaled.std(axis=(0, 2, 3)), atol=1e-4)


def test_a_muon_step_is_as_long_as_an_adam_step_of_the_same_rate():
    convolution = nn.Conv2d(32, 64, 3)
    before = {name: param.detach().clone() for name, param in convolution.named_parameters()}
    for param in convolution.parameters():
        param.grad = torch.randn_like(param)
    for optimizer in make_optimizers(convolution, lr=0.1, weight_decay=0.0):
        optimizer.step()
    steps = {name: (param - before[name]).square().mean().sqrt().item()
             for name, param in convolution.named_parameters()}
    assert steps['bias'] == pytest.approx(0.1, rel=0.01)  # AdamW's first step
    assert steps['weight'] == pytest.approx(0.1 * 0.2, rel=0.25)


def test_every_trainable_parameter_has_one_optimiser():
    vit = small_vit()
    vit.patch_embed.whiten.weight.requires_grad_(False)
    matrices, rest = split_parameters(vit)
    assert not set(matrices) & set(rest)
    trainable = {name for name, param in vit.named_parameters() if param.requires_grad}
    assert set(matrices) | set(rest) == trainable
    assert {'pos_embed', 'cls_token', 'head.weight'} <= set(rest)
    assert 'blocks.0.attn.qkv.weight' in matrices


def test_the_learning_rate_rises_once_and_falls_to_nothing():
    rates = [one_cycle(share / 100) for share in range(101)]
    peak = rates.index(max(rates))
    assert rates[:peak + 1] == sorted(rates[:peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == 0.0


def test_classes_without_images_and_pictures_that_are_not_read_are_told(tmp_path):
    for name in ('cat', 'dog', 'emu'):
        (tmp_path / name).mkdir()
    for name in ('cat', 'dog'):
        cv2.imwrite(str(tmp_path / name / 'a.png'), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / 'cat' / 'b.HEIC').touch()
    told = []
    data = load_data(str(tmp_path), img_size=8, note=told.append)
    assert data.class_names == ['cat', 'dog', 'emu']
    assert told[0] == 'without images, so never an answer: emu'
    assert told[1].startswith('left out: 1 .heic, which are not read')


@pytest.mark.parametrize('size', [(168, 299), (299, 168), (299, 299), (40, 30)])
@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
def test_the_middle_of_what_is_trained_on_is_what_the_node_sees(crop_mode, size):
    config = DataConfig((224, 224), (0.48, 0.45, 0.40), (0.27, 0.26, 0.25), crop_pct=0.9,
                        crop_mode=crop_mode)
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    preprocessor = Preprocessor(config)
    seen = preprocessor.crop(preprocessor.resize(torch.from_numpy(rgb).permute(2, 0, 1)[None]))
    trained = preprocessor.crop(stack_inputs([rgb], before_crop(config)))
    # The halves of an odd number of pixels may be rounded the other way: shifted by one
    assert any(torch.equal(seen[..., 1:-1, 1:-1], trained.roll((down, right), (-2, -1))[
        ..., 1:-1, 1:-1]) for down in (-1, 0, 1) for right in (-1, 0, 1))
