# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The last block for the tokens alone that are read: the same logits, by fewer products."""
import copy

import pytest
import timm
import torch
from fake_graphs import FakeCuda
from timm.models.vision_transformer import Block

from ltp_ros.backends import choice
from ltp_ros.config import METHODS
from ltp_ros.model import vit
from ltp_ros.model.features import logits_and_features
from ltp_ros.model.last_block import LastBlock, attach, attention_of_first
from ltp_ros.reduction.tome import attention

CPU = torch.device('cpu')
LEVELS = (1.0, 0.7, 0.53, 0.25)
VITS = [method for method in METHODS if method != 'resize']


def make(name='vit_tiny_patch16_224', method='ltp', **model_args):
    """Return a small model, whose parameters are all random, and one with a `LastBlock`."""
    torch.manual_seed(0)
    model = vit.create_vit(name, pretrained=False, method=method, num_classes=7, img_size=96,
                           depth=3, **model_args)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    attached = copy.deepcopy(model)
    attach(attached)
    return model, attached


@pytest.mark.parametrize('method', VITS)
@pytest.mark.parametrize('name, model_args', [
    ('vit_tiny_patch16_224', {}), ('vit_tiny_patch16_224', {'qk_norm': True}),
    ('vit_tiny_patch16_224', {'qkv_bias': False, 'reg_tokens': 2}),
    ('vit_tiny_patch16_224', {'scale_attn_norm': True}),
    ('deit_tiny_distilled_patch16_224', {}), ('deit3_small_patch16_224', {})],
    ids=['plain', 'qk norm', 'registers', 'scale norm', 'distilled', 'layer scale'])
def test_logits_and_features_are_those_of_the_whole_block(name, model_args, method):
    model, attached = make(name, method, **model_args)
    model, attached = model.double(), attached.double()
    assert isinstance(attached.blocks[-1], LastBlock)
    pixels = torch.randn(2, 3, 96, 96, dtype=torch.float64)
    for keep_ratio in LEVELS:
        model.patch_drop.keep_ratio = attached.patch_drop.keep_ratio = keep_ratio
        with torch.inference_mode():
            for found, expected in zip(logits_and_features(attached, pixels),
                                       logits_and_features(model, pixels)):
                torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
            torch.testing.assert_close(attached(pixels), model(pixels), atol=1e-10, rtol=0)


def test_the_tokens_that_are_read_are_asked_of_tokens_of_every_size():
    model, _ = make()
    attn, x = model.blocks[0].attn.double(), torch.randn(2, 9, 192, dtype=torch.float64)
    sizes = torch.randint(1, 9, (2, 9, 1)).double()
    with torch.inference_mode():
        torch.testing.assert_close(attention_of_first(attn, x, 2, sizes),
                                   attention(attn, x, sizes)[0][:, :2], atol=1e-10, rtol=0)


def test_tome_merges_in_the_last_block_where_nobody_reads_and_is_not_asked_to():
    model, attached = make(method='tome')
    attached.patch_drop.keep_ratio = 0.25
    assert attached.patch_drop.schedule[-1] > 0
    merged, merge_tokens = [], attached.patch_drop.merge_tokens
    attached.patch_drop.merge_tokens = lambda *args: merged.append(args) or merge_tokens(*args)
    with torch.inference_mode():
        attached(torch.randn(1, 3, 96, 96))
    assert len(merged) == 2
    assert attached.blocks[-1].merger is attached.patch_drop is not model.patch_drop


@pytest.mark.parametrize('method', VITS)
def test_the_state_dict_stays_as_it_is(method):
    model, attached = make(method=method)
    assert list(attached.state_dict()) == list(model.state_dict())
    attached.load_state_dict(model.state_dict())


def test_only_tokens_that_the_head_reads_are_left_and_computed():
    for name, left in [('vit_tiny_patch16_224', 1), ('deit_tiny_distilled_patch16_224', 2)]:
        _, attached = make(name)
        seen = []
        attached.blocks[-1].mlp.register_forward_pre_hook(
            lambda module, inputs, seen=seen: seen.append(inputs[0].shape[1]))
        with torch.inference_mode():
            assert attached.forward_features(torch.randn(1, 3, 96, 96)).shape[1] == left
        assert seen == [left]


@pytest.mark.parametrize('name, model_args', [
    ('vit_small_patch16_18x2_224', {}), ('vit_tiny_patch16_224', {'attn_layer': 'diff'}),
    ('vit_tiny_patch16_224', {'global_pool': 'avg'}),
    ('vit_base_patch16_siglip_224', {'embed_dim': 48, 'num_heads': 2})])
def test_blocks_of_another_kind_and_heads_that_read_all_tokens_are_left_as_they_are(
        name, model_args):
    model = timm.create_model(name, num_classes=3, depth=2, **model_args)
    before = model.blocks[-1]
    attach(model)
    assert model.blocks[-1] is before


def test_attaching_twice_and_a_copy_of_it_are_no_different():
    model, attached = make(method='tome')
    again = copy.deepcopy(attached)
    attach(again)
    again.patch_drop.keep_ratio = attached.patch_drop.keep_ratio = 0.5
    pixels = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        assert torch.equal(again(pixels), attached(pixels))
    assert again.blocks[-1].merger is again.patch_drop


@pytest.mark.parametrize('name', ['eager', 'graph', 'onnx', 'openvino'])
def test_every_backend_has_it_and_leaves_the_model_given_as_it_is(name, tmp_path, monkeypatch):
    pytest.importorskip({'onnx': 'onnxruntime', 'openvino': 'openvino'}.get(name, 'torch'))
    FakeCuda(monkeypatch)
    model, _ = make()
    seen = []
    monkeypatch.setattr(LastBlock, 'forward', lambda block, x, forward=LastBlock.forward: (
        seen.append(x.shape), forward(block, x))[1])
    backend = choice.create(name, 'float32', model, vit.data_config(model), CPU, tmp_path)
    backend(torch.zeros(96, 96, 3, dtype=torch.uint8).numpy(), 0.53, 1)
    assert seen and type(model.blocks[-1]) is Block


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_as_near_as_that_of_the_whole_block(dtype):
    model, attached = make()
    pixels = torch.randn(8, 3, 96, 96)
    with torch.inference_mode():
        exact = model(pixels)
        whole, found = (each.to(dtype)(pixels.to(dtype)).float() for each in (model, attached))
    assert (found - exact).square().mean() < 1.5 * (whole - exact).square().mean() + 1e-6
