# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The stem keeps the contract of timm's PatchEmbed, in whose place it stands."""
import pytest
import torch
from timm.layers import PatchEmbed
from torch import nn

from ltp_ros.model.conv_stem import VIT_DEMO, ConvStem, whitening_filters
from ltp_ros.model.vit import create_vit


def make_stem(**arguments):
    return ConvStem(**{'embed_dim': 24, 'widths': (8, 16, 16), **arguments}).eval()


@pytest.mark.parametrize('img_size', [32, (32, 64)])
def test_describes_its_token_grid_as_patch_embed_does(img_size):
    ours, theirs = make_stem(img_size=img_size), PatchEmbed(img_size, 4, embed_dim=24)
    for name in ('img_size', 'patch_size', 'grid_size', 'num_patches', 'strict_img_size',
                 'dynamic_img_pad', 'flatten'):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.feat_ratio() == theirs.feat_ratio()
    assert ours.feat_ratio(as_scalar=False) == theirs.feat_ratio(as_scalar=False)
    assert ours.dynamic_feat_size((34, 41)) == theirs.dynamic_feat_size((34, 41))


def test_returns_one_token_a_patch():
    assert make_stem(img_size=(32, 48))(torch.rand(2, 3, 32, 48)).shape == (2, 8 * 12, 24)


def test_layout_nhwc_holds_the_same_tokens_row_by_row():
    flat = make_stem()
    grid = make_stem(output_fmt='NHWC')
    grid.load_state_dict(flat.state_dict())
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(grid(image).reshape(1, 64, 24), flat(image))


def test_refuses_an_image_of_another_size():
    with pytest.raises(ValueError, match='40x32 does not match the model, 32x32'):
        make_stem()(torch.rand(1, 3, 40, 32))


def test_takes_any_size_when_not_strict():
    assert make_stem(strict_img_size=False)(torch.rand(1, 3, 40, 32)).shape == (1, 80, 24)


def test_pads_to_whole_patches_when_asked():
    stem = make_stem(strict_img_size=False, dynamic_img_pad=True)
    rows, columns = stem.dynamic_feat_size((30, 33))
    assert stem(torch.rand(1, 3, 30, 33)).shape == (1, rows * columns, 24)


def test_refuses_a_patch_size_its_stages_do_not_reach():
    with pytest.raises(ValueError, match='patch_size 16 .* reduce by 4'):
        make_stem(patch_size=16)


def test_input_size_none_leaves_the_grid_and_another_patch_size_is_refused():
    stem = make_stem(img_size=64)
    stem.set_input_size(None)
    assert stem.grid_size == (16, 16)
    with pytest.raises(ValueError, match='patch_size 8 is not possible'):
        stem.set_input_size(patch_size=8)


def test_normalises_tokens_when_asked():
    tokens = make_stem(norm_layer=nn.LayerNorm)(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, 64), atol=1e-5, rtol=0)


def test_an_image_gets_the_same_tokens_in_any_batch_once_in_eval():
    stem = make_stem()
    images = torch.rand(4, 3, 32, 32)
    stem.train()(images)  # moves the running statistics away from their start
    stem.eval()
    torch.testing.assert_close(stem(images)[1:2], stem(images[1:2]), atol=1e-5, rtol=1e-5)


def test_whitening_filters_decorrelate_the_patches_they_were_made_from():
    images = nn.functional.avg_pool2d(torch.randn(64, 3, 34, 34), 3, 1)  # neighbours correlate
    filters = whitening_filters(images, 16)
    outputs = nn.functional.conv2d(images, filters[:8]).permute(1, 0, 2, 3).reshape(8, -1)
    second_moment = outputs @ outputs.T / outputs.shape[1]
    torch.testing.assert_close(second_moment, torch.eye(8), atol=0.05, rtol=0)
    assert torch.equal(filters[8:], -filters[:8])


def test_whitening_is_frozen():
    stem = make_stem()
    stem.init_whitening(torch.randn(8, 3, 32, 32))
    assert [name for name, param in stem.named_parameters() if not param.requires_grad] == [
        'whiten.weight']


def test_the_demo_architecture_fits_its_file():
    vit = create_vit('vit_demo', pretrained=False, num_classes=10)
    assert isinstance(vit.patch_embed, ConvStem)
    assert vit.patch_embed.num_patches == 64
    assert vit.embed_dim == VIT_DEMO['embed_dim']
    assert sum(4 * value.numel() for value in vit.state_dict().values()) < 8e6


def test_timm_can_change_its_image_size():
    vit = create_vit('vit_demo', pretrained=False, num_classes=10)
    vit.set_input_size(img_size=48)
    assert vit.patch_embed.grid_size == (12, 12)
    assert vit.pos_embed.shape[1] == 1 + 144
