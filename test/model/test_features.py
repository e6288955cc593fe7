# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a model sees beside its classes."""
import pytest
import timm
import torch

from ltp_ros.model import vit
from ltp_ros.model.features import logits_and_features, num_features
from ltp_ros.reduction.base import TokenReducer

TINY = {'img_size': 32, 'patch_size': 8, 'embed_dim': 24, 'depth': 2, 'num_heads': 2,
        'num_classes': 5}


@pytest.mark.parametrize('args, size', [
    ({'global_pool': 'token'}, 48), ({'global_pool': 'avg', 'class_token': False}, 24),
    ({'global_pool': 'avg'}, 24), ({'global_pool': 'map', 'class_token': False}, 24)])
def test_every_way_to_pool_has_features_and_the_logits_stay_as_they_were(args, size):
    torch.manual_seed(0)
    model = timm.models.vision_transformer.VisionTransformer(**TINY, **args).eval()
    model.patch_drop = TokenReducer(16)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        logits, features = logits_and_features(model, pixels)
        assert torch.equal(logits, model(pixels))
    assert features.shape == (2, size) and num_features(model) == size
    parts = features.view(2, -1, 24).norm(dim=-1)
    torch.testing.assert_close(parts, torch.ones_like(parts))


@pytest.mark.parametrize('method', ['ltp', 'tome'])
def test_beside_the_class_token_stands_the_mean_of_the_patches_that_the_last_attention_reads(
        method):
    model = vit.create_vit('deit_tiny_distilled_patch16_224', pretrained=False, keep_ratio=0.25,
                           method=method, depth=3)
    with torch.inference_mode():
        pixels = torch.randn(1, 3, 224, 224)
        _, features = logits_and_features(model, pixels)
        tokens = model.patch_drop(model._pos_embed(model.patch_embed(pixels)))
        tokens = model.blocks[-1].norm1(model.blocks[:-1](tokens))
        read = model.forward_head(model.forward_features(pixels), pre_logits=True)[0]
    mean = tokens[0, 2:].mean(dim=0)  # the distillation token is not a patch
    torch.testing.assert_close(features[0, 192:], mean / mean.norm())
    torch.testing.assert_close(features[0, :192], read / read.norm())
    assert not model.blocks[-1].norm1._forward_hooks


def test_a_last_block_of_another_kind_has_the_patches_behind_it_for_features():
    torch.manual_seed(0)
    model = timm.create_model('vit_small_patch16_18x2_224', num_classes=3, depth=2).eval()
    pixels = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        _, features = logits_and_features(model, pixels)
        mean = model.forward_features(pixels)[0, 1:].mean(dim=0)
    torch.testing.assert_close(features[0, 384:], mean / mean.norm())


@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', 'deit_tiny_distilled_patch16_224',
                                  'vit_medium_patch16_reg4_gap_256', 'vit_base_patch16_rpn_224',
                                  'vit_base_patch16_gap_224', 'vit_base_patch16_siglip_224'])
def test_an_export_has_the_same_features(name, monkeypatch):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3).eval()
    pixels = torch.randn(2, 3, *model.patch_embed.img_size)
    with torch.inference_mode():
        _, expected = logits_and_features(model, pixels)
        monkeypatch.setattr(torch.onnx, 'is_in_onnx_export', lambda: True)
        _, found = logits_and_features(model, pixels)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
