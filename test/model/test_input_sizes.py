# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of other sizes than a model was trained with, and other networks than ViTs."""
import pytest
import timm
import torch
from safetensors.torch import save_file

from ltp_ros.model import input_sizes, vit
from ltp_ros.model.card import ModelError

TINY = 'vit_tiny_patch16_224'
SIZES = {'swin_tiny_patch4_window7_224': (160, 224), 'eva02_tiny_patch14_224': (154, 224)}
NETWORKS = ('mobilenetv4_conv_small', 'efficientnet_b0', 'convnext_atto', 'resnet18')


def created(model, **wanted):
    return vit.create_vit(model, method='resize', pretrained=False, **wanted)


@pytest.mark.parametrize('model', NETWORKS)
@pytest.mark.parametrize('size', [0, 96, (64, 128)])
def test_a_network_without_tokens_takes_images_of_any_size(model, size):
    network = created(model, input_size=size)
    sides = input_sizes.both(size) if size else (224, 224)
    assert vit.data_config(network).input_size == sides == input_sizes.sides_of(network)
    rows, columns = input_sizes.grid_of(network)
    pixels = torch.zeros(1, 3, *sides)
    with torch.inference_mode():
        assert network(pixels).shape == (1, 1000)
        assert network.forward_features(pixels).shape[-2:] == (rows, columns)
    assert network.patch_drop.num_patches == rows * columns
    assert set(network.state_dict()) == set(timm.create_model(model).state_dict())


@pytest.mark.parametrize('model', SIZES)
def test_another_transformer_is_resampled_once_its_weights_are_there(model, tmp_path):
    file = tmp_path / 'weights.safetensors'
    weights = timm.create_model(model, num_classes=9).state_dict()
    save_file({name: tensor.contiguous().clone() for name, tensor in weights.items()}, file)
    network = created(model, checkpoint=str(file), input_size=SIZES[model], num_classes=9)
    assert vit.data_config(network).input_size == SIZES[model]
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, *SIZES[model])).shape == (1, 9)


def test_a_vision_transformer_has_its_positions_resampled_to_a_shape():
    model = created(TINY, input_size=(96, 160))
    assert input_sizes.grid_of(model) == (6, 10) and input_sizes.step_of(model) == (16, 16)
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 96, 160)).shape == (1, 1000)


def test_positions_grow_stronger_with_the_patches_that_are_missing(deit_tiny):
    def positions(size):
        model = vit.create_vit(**deit_tiny, method='resize', input_size=size)
        theirs = timm.create_model('deit_tiny_patch16_224', img_size=size or 224)
        vit._load(theirs, vit.read_checkpoint(deit_tiny['checkpoint']).tensors, '')
        return model.pos_embed, theirs.pos_embed
    for size, gain in ((0, 1.0), (320, 1.0), (112, 1.0 + 0.75 * input_sizes.POSITION_GAIN)):
        ours, timms = positions(size)
        torch.testing.assert_close(ours[:, 1:], timms[:, 1:] * gain)
        torch.testing.assert_close(ours[:, :1], timms[:, :1])


def test_what_takes_one_size_alone_says_so():
    network = created('levit_128')
    assert input_sizes.fixed(network) and input_sizes.step_of(network) == (0, 0)
    with pytest.raises(ModelError, match='takes images of 224x224 pixels alone, not of 160x160'):
        created('levit_128', input_size=160)


def test_a_flexivit_has_patches_of_several_sizes():
    whole = created('flexivit_small')
    assert input_sizes.grid_of(whole) == (15, 15)
    assert {24, 16, 20} <= set(input_sizes.patch_sizes_of(whole))
    coarse = created('flexivit_small', patch_size=24)
    assert input_sizes.grid_of(coarse) == (10, 10)
    assert input_sizes.sides_of(coarse) == (240, 240)
    with torch.inference_mode():
        assert coarse(torch.zeros(1, 3, 240, 240)).shape == (1, 1000)
    with pytest.raises(ModelError, match='no patches of 17 pixels; it may have'):
        created('flexivit_small', patch_size=17)
    with pytest.raises(ModelError, match='only a FlexiViT has patches of several sizes'):
        created(TINY, patch_size=8)


def test_the_methods_that_drop_tokens_say_what_takes_any_network():
    with pytest.raises(ModelError, match='or the method resize, which takes any classifier'):
        vit.create_vit('resnet18', method='ltp', pretrained=False)
