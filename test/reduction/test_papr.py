# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""PaPr: which patches the ConvNet's last feature map keeps."""
import pytest
import torch
from torch import nn

from ltp_ros.model.vit import ModelError, create_vit
from ltp_ros.reduction.papr import PaPrPruner

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class BrightnessNet(nn.Module):
    """A ConvNet whose two channels average to the brightness of a 4x4 field."""

    def forward_features(self, pixels):
        brightness = nn.functional.adaptive_avg_pool2d(pixels.mean(dim=1, keepdim=True), 4)
        return torch.cat([2 * brightness, torch.zeros_like(brightness)], dim=1)


def pruner(statistics=HALF, keep_ratio=0.25, grid=(4, 4)):
    return PaPrPruner(BrightnessNet(), grid, HALF, statistics, 1, keep_ratio)


def test_bright_patches_are_kept_where_brightness_is_what_counts():
    papr = pruner()
    papr.trace = True
    pixels = torch.zeros(2, 3, 64, 64)
    pixels[0, :, :16] = 1.0   # the first row of patches
    pixels[1, :, :, 48:] = 1.0  # the last column
    embed = nn.Identity()
    papr.attach(embed)
    tokens = torch.randn(2, 17, 8)
    embed(pixels)
    kept = papr(tokens)
    assert papr.last_keep_indices.tolist() == [[0, 1, 2, 3], [3, 7, 11, 15]]
    assert torch.equal(kept[0, 1:], tokens[0, 1:5]) and torch.equal(kept[:, 0], tokens[:, 0])


def test_the_map_is_resized_to_the_grid_of_patches():
    significance = pruner(grid=(8, 8)).significance(torch.randn(1, 3, 64, 64))
    assert significance.shape == (1, 64)


def test_the_convnet_sees_the_image_as_it_was_normalised_for_itself():
    seen = []
    papr = pruner(IMAGENET)
    papr.conv_net.forward_features = lambda pixels: seen.append(pixels) or pixels
    image = torch.rand(1, 3, 8, 8)
    papr.significance((image - 0.5) / 0.5)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in IMAGENET)
    torch.testing.assert_close(seen[0], (image - mean) / std)


def test_tokens_of_an_image_that_was_not_seen_are_refused():
    with pytest.raises(RuntimeError, match='has seen no image'):
        pruner()(torch.randn(1, 17, 8))


def test_mobileone_of_timm_is_fused_and_asked_once_an_image():
    vit = create_vit('vit_tiny_patch16_224', pretrained=False, method='papr', num_classes=10)
    conv_net = vit.patch_drop.conv_net
    calls, forward_features = [], conv_net.forward_features
    conv_net.forward_features = lambda pixels: calls.append(1) or forward_features(pixels)
    assert not [name for name, _ in conv_net.named_modules() if 'conv_kxk' in name]
    with torch.inference_mode():
        for keep_ratio, num_calls in ((1.0, 0), (0.53, 1), (0.25, 2)):
            vit.patch_drop.keep_ratio = keep_ratio
            assert vit(torch.randn(1, 3, 224, 224)).shape == (1, 10)
            assert len(calls) == num_calls


def test_without_its_weights_the_error_names_the_ways_out(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError('no network')
    monkeypatch.setattr('timm.models._builder.load_pretrained', offline)
    monkeypatch.setattr('ltp_ros.model.hub.fetch', lambda *args: '')
    with pytest.raises(ModelError, match="weights of 'mobileone_s0' could not be downloaded .*"
                       'papr_checkpoint:=FILE, in a program with --papr-checkpoint FILE'):
        create_vit('demo', method='papr')


def test_an_unknown_method_is_refused():
    expected = "'best' is not a method; expected one of ltp, mixed, papr, tome, resize, none"
    with pytest.raises(ModelError, match=expected):
        create_vit('vit_tiny_patch16_224', pretrained=False, method='best')
