# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The pruner inside real timm models: a contract test against the installed timm."""
import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from ltp_ros.model import vit
from ltp_ros.reduction.base import keep_indices
from ltp_ros.reduction.ltp import spatial_importance, srb_scores

SMALL = {'embed_dim': 48, 'depth': 2, 'num_heads': 3, 'num_classes': 7}
FAMILIES = {
    'plain class token': ('vit_tiny_patch16_224', {}),
    'distilled': ('deit_tiny_distilled_patch16_224', {}),
    'registers, no_embed_class': ('vit_small_patch16_224', {'reg_tokens': 4,
                                                            'no_embed_class': True}),
    'no_embed_class': ('deit3_small_patch16_224', {}),
    'average pooling (MAE)': ('vit_base_patch16_224.mae', {'global_pool': 'avg'}),
    'no class token': ('vit_base_patch16_siglip_gap_224', {}),
    'norm_pre': ('vit_base_patch16_clip_224', {}),
    'another input size': ('vit_tiny_patch16_224', {'img_size': (160, 224)}),
    'patch 32': ('vit_small_patch32_224', {}),
}


@pytest.fixture(params=FAMILIES, ids=lambda name: name)
def family(request):
    """Return (timm model name, arguments), small enough for a test."""
    name, args = FAMILIES[request.param]
    return name, {**SMALL, **args}


def stock_twin(name, args, model):
    """Return timm's own model with the weights of `model`."""
    twin = timm.create_model(name, pretrained=False, **args).eval()
    twin.load_state_dict(model.state_dict())
    return twin


def images_for(model, batch=2):
    return torch.randn(batch, 3, *model.patch_embed.img_size)


@torch.no_grad()
def test_ratio_one_gives_the_logits_of_stock_timm_bit_for_bit(family):
    name, args = family
    model = vit.create_vit(name, pretrained=False, keep_ratio=1.0, **args)
    images = images_for(model)
    assert torch.equal(model(images), stock_twin(name, args, model)(images))


@torch.no_grad()
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_pruning_feeds_the_blocks_the_prefix_and_the_kept_patches(
        family, dtype, needs_cpu_numbers):
    needs_cpu_numbers(dtype)
    name, args = family
    model = vit.create_vit(name, pretrained=False, keep_ratio=0.5, **args).to(dtype)
    lengths = []
    model.blocks[0].register_forward_hook(lambda m, inputs, out: lengths.append(out.shape[1]))
    logits = model(images_for(model).to(dtype))
    assert torch.isfinite(logits).all()
    assert lengths == [model.num_prefix_tokens + round(0.5 * model.patch_embed.num_patches)]


@torch.no_grad()
def test_tokens_are_scored_as_they_leave_the_patch_embedding(family):
    name, args = family
    model = vit.create_vit(name, pretrained=False, keep_ratio=0.5, **args).double()
    model.patch_drop.trace = True
    images = images_for(model).double()
    model(images)
    first = 0 if model.no_embed_class else model.num_prefix_tokens
    importance = spatial_importance(model.pos_embed[0, first:])
    scores = srb_scores(model.patch_embed(images), importance, 0.5)
    assert torch.equal(model.patch_drop.last_keep_indices,
                       keep_indices(scores, model.patch_drop.num_keep))


@torch.no_grad()
def test_fixed_sin_cos_positions_are_as_good_as_learned_ones():
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False, **SMALL)
    steps = torch.arange(197.0)[:, None] / 10000 ** (torch.arange(24.0) / 24)
    with torch.no_grad():
        model.pos_embed.copy_(torch.cat([steps.sin(), steps.cos()], dim=1).half())
    model.pos_embed.requires_grad_(False)
    pruner = vit.attach_pruner(model, keep_ratio=0.3)
    # every position has the same norm but for rounding: redundancy alone chooses
    assert model.pos_embed[0, 1:].norm(dim=-1).unique().numel() > 1
    assert not pruner.importance.any()
    assert torch.isfinite(model(images_for(model))).all()


@torch.no_grad()
def test_a_grey_frame_gives_finite_logits(family):
    name, args = family
    model = vit.create_vit(name, pretrained=False, keep_ratio=0.3, **args)
    assert torch.isfinite(model(torch.zeros(1, 3, *model.patch_embed.img_size))).all()


def test_the_state_dict_is_that_of_stock_timm(family):
    name, args = family
    model = vit.create_vit(name, pretrained=False, **args)
    assert list(model.state_dict()) == list(timm.create_model(name, **args).state_dict())


@pytest.mark.parametrize('name, reason', [
    ('vit_relpos_small_patch16_224', 'VisionTransformerRelPos'),
    ('resnet18', 'ResNet'),
    ('eva02_tiny_patch14_224', 'Eva'),
    ('swin_tiny_patch4_window7_224', 'SwinTransformer'),
])
def test_a_model_that_is_no_vision_transformer_is_refused_by_its_class(name, reason):
    with pytest.raises(vit.ModelError, match=f'{name} cannot be pruned by LTP: it is a {reason}'):
        vit.create_vit(name, pretrained=False)


def test_a_model_without_absolute_positions_is_refused():
    with pytest.raises(vit.ModelError, match='no absolute positional embedding'):
        vit.create_vit('vit_tiny_patch16_224', pretrained=False, pos_embed='none', **SMALL)


def test_dynamic_image_sizes_are_refused():
    with pytest.raises(vit.ModelError, match='dynamic_img_size'):
        vit.create_vit('vit_tiny_patch16_224', pretrained=False, dynamic_img_size=True, **SMALL)


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(vit.ModelError, match='no model.*did you mean.*vit_small_patch16_224'):
        vit.create_vit('vit_smal_patch16_224')


def test_weights_that_cannot_be_downloaded_name_the_three_ways_out(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError('name or service not known')
    monkeypatch.setattr(timm, 'create_model', offline)
    monkeypatch.setattr('ltp_ros.model.hub.fetch', lambda *args: '')
    with pytest.raises(vit.ModelError, match='checkpoint:=.*HF_HOME.*model:=demo'):
        vit.create_vit('vit_small_patch16_224.augreg_in21k_ft_in1k')


def small_checkpoint(folder, suffix='.safetensors', **args):
    """Save a small model's weights; return (the model, the file's path)."""
    model = timm.create_model('vit_tiny_patch16_224', **{**SMALL, **args})
    path = folder / f'weights{suffix}'
    if suffix == '.safetensors':
        save_file(model.state_dict(), path)
    else:
        torch.save({'model': model.state_dict()}, path)
    return model, str(path)


@pytest.mark.parametrize('suffix', ['.safetensors', '.pth'])
@torch.no_grad()
def test_a_checkpoint_brings_its_weights_and_its_number_of_classes(tmp_path, suffix):
    stock, path = small_checkpoint(tmp_path, suffix, num_classes=5)
    model = vit.create_vit('vit_tiny_patch16_224', path,
                           **{name: SMALL[name] for name in ('embed_dim', 'depth', 'num_heads')})
    images = images_for(model)
    assert torch.equal(model(images), stock.eval()(images))


@torch.no_grad()
def test_a_checkpoint_with_fc_norm_is_pooled_by_averaging(tmp_path):
    stock, path = small_checkpoint(tmp_path, global_pool='avg')
    model = vit.create_vit('vit_tiny_patch16_224', path, **SMALL)
    images = images_for(model)
    assert torch.equal(model(images), stock.eval()(images))


def test_positions_of_a_checkpoint_are_resampled_to_the_image_size(tmp_path):
    _, path = small_checkpoint(tmp_path)
    model = vit.create_vit('vit_tiny_patch16_224', path, img_size=96, **SMALL)
    assert model.patch_drop.num_patches == 36
    assert vit.data_config(model).input_size == (96, 96)


def test_a_pickle_with_code_in_it_is_refused(tmp_path):
    torch.save({'model': test_a_pickle_with_code_in_it_is_refused}, tmp_path / 'evil.pth')
    with pytest.raises(vit.ModelError, match='cannot be read as weights alone'):
        vit.create_vit('vit_tiny_patch16_224', str(tmp_path / 'evil.pth'))


@pytest.mark.parametrize('content, match', [
    (None, 'is not a file'), (b'', 'cannot be read'), (b'no tensors here', 'cannot be read')])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, content, match):
    path = tmp_path / 'broken.safetensors'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(vit.ModelError, match=f'broken.safetensors.*{match}'):
        vit.create_vit('vit_tiny_patch16_224', str(path))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    _, path = small_checkpoint(tmp_path)
    with pytest.raises(vit.ModelError, match='does not fit VisionTransformer'):
        vit.create_vit('vit_small_patch16_224', path)


def test_the_card_beside_a_checkpoint_names_architecture_labels_and_data_config(tmp_path):
    _, path = small_checkpoint(tmp_path, num_classes=2)
    (tmp_path / 'weights.json').write_text(json.dumps({
        'architecture': 'vit_tiny_patch16_224', 'label_names': ['left', 'right'],
        'model_args': {name: SMALL[name] for name in ('embed_dim', 'depth', 'num_heads')},
        'pretrained_cfg': {'mean': [0.1, 0.2, 0.3], 'crop_pct': 1.0}}))
    model = vit.create_vit('vit_small_patch16_224', path)
    assert vit.label_names(model, path) == ['left', 'right']
    assert vit.data_config(model).mean == (0.1, 0.2, 0.3)
    assert vit.data_config(model).crop_pct == 1.0


def test_the_names_in_a_card_may_be_an_object_from_id_to_name(tmp_path):
    model, path = small_checkpoint(tmp_path, num_classes=2)
    (tmp_path / 'weights.json').write_text('{"label_names": {"1": "right", "0": "left"}}')
    assert vit.label_names(model, path) == ['left', 'right']


@pytest.mark.parametrize('names', ['"lr"', '[0, 1]', '{"0": "left", "2": "right"}', '7'])
def test_names_in_a_card_that_are_no_names_are_refused(tmp_path, names):
    model, path = small_checkpoint(tmp_path, num_classes=2)
    (tmp_path / 'weights.json').write_text(f'{{"label_names": {names}}}')
    with pytest.raises(vit.ModelError, match='label_names in the card of .*weights.safetensors'):
        vit.label_names(model, path)


@pytest.mark.parametrize('config, expected', [
    ({'label_names': ['left', 'right']}, ['left', 'right']),
    ({'label_names': {'1': 'right', '0': 'left'}}, ['left', 'right']),
    ({'label_names': ['n1', 'n2'], 'label_descriptions': {'n1': 'left'}}, ['left', 'n2']),
    ({'label_names': ['of', 'another', 'head']}, ['class 0', 'class 1']),
    ({}, ['class 0', 'class 1'])])
def test_a_model_in_the_format_of_the_hub_brings_its_names(tmp_path, config, expected):
    _, path = small_checkpoint(tmp_path, num_classes=2)
    shutil.move(path, tmp_path / 'model.safetensors')
    (tmp_path / 'config.json').write_text(json.dumps({
        'architecture': 'vit_tiny_patch16_224', 'num_classes': 2,
        'model_args': {name: SMALL[name] for name in SMALL if name != 'num_classes'},
        'pretrained_cfg': {'num_classes': 2, **config}}))
    model = vit.create_vit(f'local-dir:{tmp_path}')
    assert vit.label_names(model) == expected


def test_labels_are_imagenet_names_for_a_thousand_classes():
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False,
                           **{**SMALL, 'num_classes': 1000})
    assert vit.label_names(model)[281].startswith('tabby')


def test_a_label_file_must_have_one_name_a_class(tmp_path):
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False, **SMALL)
    path = tmp_path / 'labels.txt'
    path.write_text('\n'.join('abcdefg'))
    assert vit.label_names(model, labels=str(path)) == list('abcdefg')
    path.write_text('one\ntwo\n')
    with pytest.raises(vit.ModelError, match='has 2 labels but the model has 7 classes'):
        vit.label_names(model, labels=str(path))


@pytest.mark.parametrize('card', [
    {'pretrained_cfg': {'interpolation': 'lanczos'}}, {'pretrained_cfg': {'crop_mode': 'random'}},
    {'model_args': {'nonsense': 3}}, ['no card'], {'model_args': {'img_size': 'large'}}])
def test_a_card_that_does_not_fit_is_refused(small_model, tmp_path, card):
    path = shutil.copy(small_model, tmp_path / 'small.safetensors')
    if isinstance(card, dict):
        good = json.loads(Path(small_model).with_suffix('.json').read_text())
        card = {**good, **{key: {**good.get(key, {}), **value} for key, value in card.items()}}
    (tmp_path / 'small.json').write_text(json.dumps(card))
    with pytest.raises(vit.ModelError):
        vit.data_config(vit.create_vit('vit_tiny_patch16_224', str(path)))


def test_a_tag_that_timm_does_not_know_is_refused(small_model, tmp_path):
    path = shutil.copy(small_model, tmp_path / 'small.safetensors')  # without its card
    with pytest.raises(vit.ModelError, match='bogus'):
        vit.create_vit('vit_tiny_patch16_224.bogus', str(path), img_size=64, embed_dim=48, depth=2,
                       num_heads=3)


@pytest.mark.parametrize('checkpoint', ['.', '/'])
def test_a_folder_given_as_checkpoint_is_refused(checkpoint):
    with pytest.raises(vit.ModelError, match='is not a file'):
        vit.create_vit('vit_tiny_patch16_224', checkpoint)


@pytest.mark.parametrize('asked, used', [
    ('auto', 'squash'), ('center', 'center'), ('squash', 'squash'), ('border', 'border')])
def test_the_crop_mode_is_that_of_the_model_unless_another_is_asked_for(asked, used):
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False, **SMALL)
    model.pretrained_cfg = {**model.pretrained_cfg, 'crop_mode': 'squash', 'crop_pct': 0.9}
    config = vit.data_config(model, asked)
    assert (config.crop_mode, config.crop_pct) == (used, 0.9)
