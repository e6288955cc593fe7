# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Mixed resolution: which quads become one token, and what that token is."""
import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ltp_ros.model.vit import ModelError, create_vit
from ltp_ros.reduction.mixed import POSITION_GAIN, QuadMerger, detail, quads, split_quads

VIT = {'img_size': 64, 'embed_dim': 32, 'depth': 2, 'num_heads': 2, 'pretrained': False,
       'num_classes': 5}


def vit(keep_ratio=0.5, **more):
    model = create_vit('vit_tiny_patch16_224', method='mixed', keep_ratio=keep_ratio,
                       **{**VIT, **more})
    with torch.no_grad():
        model.pos_embed.normal_()
    return model


def tokens_into_blocks(model, pixels):
    """Return what the first block is given."""
    seen = []
    hook = model.blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(pixels)
    hook.remove()
    return seen[0]


def test_quads_are_the_four_patches_of_each_2x2_field_row_by_row():
    patches = torch.arange(4 * 6).view(1, 24, 1)
    found = quads(patches, (4, 6))[0, :, :, 0].tolist()
    assert found == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11],
                     [12, 13, 18, 19], [14, 15, 20, 21], [16, 17, 22, 23]]


@given(side=st.integers(1, 20), keep_ratio=st.floats(0.001, 1.0))
def test_at_most_as_many_tokens_are_left_as_asked_for_and_few_fewer(side, keep_ratio):
    num_patches = 4 * side * side
    fine, coarse = split_quads(num_patches, keep_ratio)
    num_keep = max(1, round(keep_ratio * num_patches))
    assert 0 <= num_keep - (4 * fine + coarse) < 3
    assert fine + coarse == min(num_patches // 4, num_keep)


def test_from_a_quarter_of_the_tokens_on_no_part_of_the_image_goes_unseen():
    for keep_ratio in (0.25, 0.53, 0.9):
        assert sum(split_quads(196, keep_ratio)) == 49


def test_at_keep_ratio_1_the_model_is_the_unpruned_one_bit_by_bit():
    pixels = torch.randn(2, 3, 64, 64)
    model = vit(keep_ratio=1.0)
    plain = create_vit('vit_tiny_patch16_224', method='none', **VIT)
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(pixels), plain(pixels))


def test_detail_is_the_squared_distance_to_the_one_token():
    fine, coarse = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 5)
    found = detail(fine, coarse)
    for image in range(2):
        for quad in range(3):
            lost = sum(float(((token - coarse[image, quad]) ** 2).sum())
                       for token in fine[image, quad])
            assert float(found[image, quad]) == pytest.approx(lost, rel=1e-5)


def test_flat_quads_are_merged_and_the_others_stay_as_they_are():
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[..., :32, 32:] = torch.randn(3, 32, 32)  # the second of four quads
    model = vit(keep_ratio=7 / 16)
    model.patch_drop.trace = True
    with torch.no_grad():
        model.pos_embed.zero_()  # so that only the image decides
    model.patch_drop.coarse_pos_embed.zero_()
    got = tokens_into_blocks(model, pixels)
    assert got.shape[1] == 1 + 4 + 3
    assert model.patch_drop.last_keep_indices.tolist() == [[2, 3, 6, 7]]
    patches = model.patch_embed(pixels)
    torch.testing.assert_close(got[:, 1:5], patches[:, [2, 3, 6, 7]])


def test_a_merged_quad_is_embedded_at_half_its_resolution_at_its_own_place():
    pixels = torch.randn(1, 3, 64, 64)
    model = vit(keep_ratio=0.25)  # every quad is merged
    got = tokens_into_blocks(model, pixels)[0, 1:]
    small = pixels.view(1, 3, 32, 2, 32, 2).mean(dim=(3, 5))
    with torch.no_grad():
        expected = model.patch_embed.proj(small).flatten(2)[0].T
    order = [int((got - model.patch_drop.coarse_pos_embed[quad] - expected[quad]).square()
                 .sum(dim=1).argmin()) for quad in range(4)]
    assert sorted(order) == [0, 1, 2, 3]
    torch.testing.assert_close(got[order] - model.patch_drop.coarse_pos_embed, expected,
                               rtol=1e-4, atol=1e-5)


def test_its_position_is_the_mean_of_the_four_made_stronger():
    positions = torch.randn(16, 8)
    merger = QuadMerger(positions, (4, 4))
    expected = POSITION_GAIN * positions[[2, 3, 6, 7]].mean(dim=0)
    torch.testing.assert_close(merger.coarse_pos_embed[1], expected)


def test_an_image_does_not_depend_on_its_batch_mates():
    pixels = torch.randn(3, 3, 64, 64)
    model = vit(keep_ratio=0.6)
    with torch.no_grad():
        torch.testing.assert_close(model(pixels)[1:2], model(pixels[1:2]))


def test_a_grey_image_gives_an_answer():
    with torch.no_grad():
        assert torch.isfinite(vit()(torch.zeros(1, 3, 64, 64))).all()


def test_a_copy_embeds_with_its_own_weights():
    model = vit()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.patch_embed.proj.weight.add_(1.0)
        pixels = torch.randn(1, 3, 64, 64)
        before = model(pixels)
        other(pixels)
        assert torch.equal(model(pixels), before)
        assert other.patch_drop._embed[0] is other.patch_embed


def test_the_state_dict_is_that_of_the_plain_model():
    plain = create_vit('vit_tiny_patch16_224', method='none', **VIT)
    assert set(vit().state_dict()) == set(plain.state_dict())


def test_an_image_is_embedded_once_and_forgotten():
    model = vit()
    model(torch.randn(1, 3, 64, 64))
    with pytest.raises(RuntimeError, match='no image was seen'):
        model.patch_drop(torch.randn(1, 17, 32))


def test_half_precision_runs(needs_cpu_numbers):
    needs_cpu_numbers(torch.bfloat16)
    with torch.no_grad():
        answer = vit().bfloat16()(torch.randn(1, 3, 64, 64, dtype=torch.bfloat16))
    assert torch.isfinite(answer.float()).all()


def test_the_model_in_the_package_can_be_mixed_too():
    model = create_vit('demo', method='mixed', keep_ratio=0.53)
    with torch.no_grad():
        assert torch.isfinite(model(torch.randn(1, 3, 32, 32))).all()


def test_an_odd_grid_is_refused_with_its_sides():
    with pytest.raises(ModelError, match='3x3 patches do not form quads'):
        vit(img_size=48)


def test_an_embedding_that_takes_one_size_only_is_refused():
    model = vit()
    model.patch_embed = nn.Identity()
    model.patch_embed.grid_size = (4, 4)
    from ltp_ros.model.vit import check_supported
    with pytest.raises(ModelError, match='takes no smaller images'):
        check_supported(model, method='mixed')


def fused(keep_ratio=0.5, weight=None):
    model = vit(keep_ratio)
    model.patch_drop.add_fuse(weight)
    return model


@pytest.mark.parametrize('keep_ratio', [0.2, 0.25, 0.5])
def test_a_layer_of_zeros_changes_nothing(keep_ratio):
    pixels = torch.randn(2, 3, 64, 64)
    model, plain = fused(keep_ratio), vit(keep_ratio)
    plain.load_state_dict(model.state_dict(), strict=False)
    plain.patch_drop.coarse_pos_embed.copy_(model.patch_drop.coarse_pos_embed)
    with torch.no_grad():
        assert torch.equal(model(pixels), plain(pixels))


def test_the_layer_adds_a_map_of_the_four_to_the_token_that_replaces_them():
    pixels, weight = torch.randn(1, 3, 64, 64), torch.randn(32, 128)
    model = fused(0.25, torch.zeros(32, 128))
    model.patch_drop.trace = True
    before = tokens_into_blocks(model, pixels)
    model.patch_drop.add_fuse(weight)
    added = (tokens_into_blocks(model, pixels) - before)[0, 1:]
    with torch.no_grad():
        fine = model.patch_embed(pixels) + model.pos_embed[:, 1:]
    for token, quad in zip(added, model.patch_drop.last_merged[0]):
        four = fine[0, model.patch_drop.patches_of_quad[quad]]
        torch.testing.assert_close(token, weight @ four.flatten(), rtol=1e-3, atol=1e-3)


def test_without_it_there_is_nothing_more_in_the_state_dict():
    assert set(fused().state_dict()) - set(vit().state_dict()) == {'patch_drop.fuse.weight'}


def test_the_layer_follows_the_model_in_a_copy():
    model = copy.deepcopy(fused(0.5, torch.randn(32, 128))).half()
    assert model.patch_drop.fuse.weight.dtype == torch.float16


@pytest.mark.parametrize('whole_ladder', [False, True])
def test_the_layer_is_exported(tmp_path, whole_ladder):
    onnxruntime = pytest.importorskip('onnxruntime')
    from ltp_ros.backends.onnx_export import export_ladder, export_level
    model, pixels = fused(0.5, 0.1 * torch.randn(32, 128)), torch.randn(1, 3, 64, 64)
    if whole_ladder:
        export_ladder(model, tmp_path / 'level.onnx')
    else:
        export_level(model, 0.5, tmp_path / 'level.onnx')
    session = onnxruntime.InferenceSession(str(tmp_path / 'level.onnx'))
    given = {'pixels': pixels.numpy(), **{
        f'slot_{index}': torch.zeros(count).numpy() for index, count in enumerate(
            model.patch_drop.counts if whole_ladder else ())}}
    with torch.no_grad():
        expected = model(pixels).softmax(dim=-1).sort(descending=True).values
    torch.testing.assert_close(torch.from_numpy(session.run(['scores'], given)[0]), expected,
                               rtol=1e-3, atol=1e-4)
