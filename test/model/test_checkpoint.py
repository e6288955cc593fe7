# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as people have them: wrapped, prefixed, of another size, without a head."""
import argparse
import json
import threading

import pytest
import timm
import torch
from safetensors.torch import save_file

from ltp_ros.model import vit
from ltp_ros.model.card import ModelError
from ltp_ros.model.checkpoint import read_checkpoint
from ltp_ros.model.labels import names_shared

SMALL = {'embed_dim': 48, 'depth': 2, 'num_heads': 3}


def make_model(**args):
    torch.manual_seed(0)
    return timm.create_model('vit_tiny_patch16_224', **{'num_classes': 7, 'img_size': 64, **SMALL,
                                                        **args}).eval()


def logits_of(path, **args):
    model = vit.create_vit('vit_tiny_patch16_224', str(path), **{**SMALL, **args})
    with torch.no_grad():
        return model(torch.ones(1, 3, *model.patch_embed.img_size))


@pytest.fixture
def expected():
    """Return the logits of the model whose weights are saved in all these ways."""
    with torch.no_grad():
        return make_model()(torch.ones(1, 3, 64, 64))


@pytest.mark.parametrize('prefix', ['', 'model.', 'net.', 'module.', 'module.model.', '_orig_mod.',
                                    'backbone.vit.'])
@pytest.mark.parametrize('container', [None, 'state_dict', 'model', 'model_state_dict', 'net',
                                       'anything'])
def test_weights_are_found_in_whatever_a_training_program_wraps_them(
        tmp_path, expected, prefix, container):
    state = {prefix + name: value for name, value in make_model().state_dict().items()}
    torch.save({container: state, 'epoch': 3, 'optimizer': {'state': {}}} if container else state,
               tmp_path / 'model.pth')
    torch.testing.assert_close(logits_of(tmp_path / 'model.pth'), expected)


@pytest.mark.parametrize('wrap', [
    lambda state: {'epoch': 3, 'model_state_dict': state, 'loss': torch.tensor(0.5),
                   'optimizer_state_dict': {'state': {0: {'step': torch.tensor(1.0)}}}},
    lambda state: {'net': state, 'best_acc': torch.tensor(0.9)},
    lambda state: {'optimizer': {str(index): torch.zeros(1) for index in range(200)},
                   'network': state},
    lambda state: {'opt': {'state': {0: {'step': torch.zeros(1), 'exp_avg': torch.zeros(1)}}},
                   'network': state},
    lambda state: {'model': 'deit_tiny', 'model_state_dict': state},
    lambda state: {'state_dict': None, 'model_ema': {}, 'weights': state},
    lambda state: {'model_ema': state, 'model': {name: 0 * value for name, value in
                                                 state.items()}},
    lambda state: {'state_dict': state, 'args': argparse.Namespace(lr=0.1), 7: torch.zeros(1)}])
def test_weights_are_found_beside_whatever_else_a_training_program_saves(tmp_path, expected, wrap):
    torch.save(wrap(make_model().state_dict()), tmp_path / 'model.pth')
    torch.testing.assert_close(logits_of(tmp_path / 'model.pth'), expected)


@pytest.mark.parametrize('content, words', [
    ({'x': {0: torch.zeros(1)}}, 'holds no weights, but x;'),
    (torch.zeros(1), 'holds no weights, but Tensor;'), ([1, 2], 'holds no weights, but list;'),
    ({'model': threading.Thread}, 'as weights alone: .*threading.Thread.*. Save the state dict')])
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path, content, words):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ModelError, match=words) as refused:
        read_checkpoint(str(tmp_path / 'x.pth'))
    assert '\n' not in str(refused.value) and len(str(refused.value)) < 400


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('percent', range(0, 100, 7))
def test_a_file_that_was_cut_off_is_refused(tmp_path, zipped, percent):
    torch.save({'head.weight': torch.zeros(1)}, tmp_path / 'x.pth',
               _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / 'x.pth').read_bytes()
    (tmp_path / 'x.pth').write_bytes(whole[:len(whole) * percent // 100])
    with pytest.raises(ModelError, match='cannot be read as weights alone'):
        read_checkpoint(str(tmp_path / 'x.pth'))


@pytest.mark.parametrize('img_size', [96, 160, 224])
@pytest.mark.parametrize('tokens', [
    {}, {'reg_tokens': 4}, {'reg_tokens': 2, 'no_embed_class': True},
    {'class_token': False, 'global_pool': 'avg'}])
def test_the_size_is_that_of_the_training(tmp_path, img_size, tokens):
    save_file(make_model(img_size=img_size, **tokens).state_dict(), tmp_path / 'x.safetensors')
    model = vit.create_vit('vit_tiny_patch16_224', str(tmp_path / 'x.safetensors'), **SMALL,
                           **tokens)
    assert model.patch_embed.img_size == (img_size, img_size)


def test_images_that_were_not_square_are_told_by_the_card(tmp_path):
    save_file(make_model(img_size=(128, 64)).state_dict(), tmp_path / 'x.safetensors')
    with pytest.raises(ModelError, match='x.safetensors.*not square.*"img_size": .HEIGHT, WIDTH'):
        logits_of(tmp_path / 'x.safetensors')
    (tmp_path / 'x.json').write_text('{"model_args": {"img_size": [128, 64]}}')
    model = vit.create_vit('vit_tiny_patch16_224', str(tmp_path / 'x.safetensors'), **SMALL)
    assert model.patch_embed.img_size == vit.data_config(model).input_size == (128, 64)


@pytest.mark.parametrize('model, args', [
    ('demo', {}), ('vit_tiny_patch16_224', {'pretrained': False}),
    ('vit_tiny_patch16_224', SMALL)])
def test_images_smaller_than_a_patch_are_refused(tmp_path, model, args):
    checkpoint = str(tmp_path / 'x.safetensors') if args is SMALL else ''
    save_file(make_model().state_dict(), tmp_path / 'x.safetensors')
    with pytest.raises(ModelError, match=f'{model}.* of 2 pixels a side.*larger input_size'):
        vit.create_vit(model, checkpoint, input_size=2, **args)


def test_another_size_can_be_asked_for(tmp_path):
    save_file(make_model(img_size=96).state_dict(), tmp_path / 'x.safetensors')
    model = vit.create_vit('vit_tiny_patch16_224', str(tmp_path / 'x.safetensors'), input_size=64,
                           **SMALL)
    assert model.patch_embed.img_size == (64, 64) and model.pos_embed.shape[1] == 17


def test_one_output_is_refused_since_its_softmax_is_always_one(tmp_path):
    save_file(make_model(num_classes=1).state_dict(), tmp_path / 'one.safetensors')
    with pytest.raises(ModelError, match='one.safetensors.*has one output.*two for yes and no'):
        logits_of(tmp_path / 'one.safetensors')


def test_a_head_for_several_labels_at_once_is_refused(tmp_path):
    save_file(make_model(num_classes=5).state_dict(), tmp_path / 'tags.safetensors')
    (tmp_path / 'tags.json').write_text('{"problem_type": "multi_label_classification"}')
    with pytest.raises(ModelError, match='tags.safetensors.*several classes at once'):
        logits_of(tmp_path / 'tags.safetensors')


def test_a_backbone_without_a_head_is_refused_with_what_to_do(tmp_path):
    save_file(make_model(num_classes=0).state_dict(), tmp_path / 'bare.safetensors')
    with pytest.raises(ModelError, match='bare.safetensors.*has no classes.*ltp_train'):
        logits_of(tmp_path / 'bare.safetensors')
    with pytest.raises(ModelError, match="'vit_small_patch14_dinov2.lvd142m' has no classes"):
        vit.create_vit('vit_small_patch14_dinov2.lvd142m', pretrained=False)


@pytest.mark.parametrize('model', [
    'vit_base_patch32_clip_224.openai', 'vit_xsmall_patch16_clip_224', 'vit_base_mci_224'])
def test_an_embedding_is_refused_as_no_classes(model):
    with pytest.raises(ModelError, match=f"'{model}' has no classes: CLIP .* 512 numbers.*_ft_"):
        vit.create_vit(model, pretrained=False, depth=1)


@pytest.mark.parametrize('model, args', [
    ('vit_base_patch32_clip_224.openai_ft_in1k', {}),
    ('vit_base_patch32_clip_224.openai', {'num_classes': 5}),
    ('vit_base_patch32_clip_224.openai', {'any_head': True})])
def test_a_model_fine_tuned_from_an_embedding_is_taken(model, args):
    assert vit.create_vit(model, pretrained=False, depth=1, **args).num_classes > 1


def test_weights_that_do_not_fit_are_told_in_a_sentence(tmp_path):
    state = make_model(depth=3).state_dict()
    state['head.bias'] = torch.zeros(8)
    state['extra.weight'] = torch.zeros(1)
    save_file(state, tmp_path / 'other.safetensors')
    with pytest.raises(ModelError) as refused:
        logits_of(tmp_path / 'other.safetensors')
    message = str(refused.value)
    assert len(message) < 600
    assert '13 are unknown: blocks.2.attn.proj.bias, blocks.2.attn.proj.weight, ' in message
    assert 'and 10 more; 1 has another shape: head.bias [8] instead of [7]' in message


def test_a_file_without_weights_is_told_by_what_it_has(tmp_path):
    torch.save({'epoch': 3, 'loss': 0.5}, tmp_path / 'log.pth')
    with pytest.raises(ModelError, match='holds no weights, but epoch, loss'):
        read_checkpoint(str(tmp_path / 'log.pth'))


def test_a_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch, expected):
    save_file(make_model().state_dict(), tmp_path / 'model.safetensors')
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.testing.assert_close(logits_of('~/model.safetensors'), expected)


def test_a_card_with_a_byte_order_mark_is_read(tmp_path):
    save_file(make_model().state_dict(), tmp_path / 'model.safetensors')
    (tmp_path / 'model.json').write_text('{"label_names": ["a"]}', encoding='utf-8-sig')
    assert read_checkpoint(str(tmp_path / 'model.safetensors')).card == {'label_names': ['a']}


@pytest.mark.parametrize('card', [
    '{"model_args": "x"}', '{"pretrained_cfg": []}', '{"architecture": 7}',
    '{"model_args": null}'])
def test_a_card_with_a_value_of_another_type_is_refused(tmp_path, card):
    save_file(make_model().state_dict(), tmp_path / 'model.safetensors')
    (tmp_path / 'model.json').write_text(card)
    key = card.split('"')[1]
    with pytest.raises(ModelError, match=f'model.json is not a model card: {key} is .*; expected'):
        logits_of(tmp_path / 'model.safetensors')


def test_a_card_in_another_encoding_is_refused_with_what_to_do(tmp_path):
    save_file(make_model().state_dict(), tmp_path / 'model.safetensors')
    (tmp_path / 'model.json').write_text('{"label_names": ["a"]}', encoding='utf-16')
    with pytest.raises(ModelError, match='model.json is not valid JSON.*; save it as UTF-8'):
        read_checkpoint(str(tmp_path / 'model.safetensors'))


def test_a_model_of_the_hub_is_passed_on_to_timm(monkeypatch):
    asked, model = [], make_model()
    monkeypatch.setattr('ltp_ros.model.hub.fetch', lambda *args: '')
    monkeypatch.setattr('timm.create_model', lambda name, **args: asked.append(name) or model)
    assert vit.create_vit('hf_hub:user/name').num_classes == 7
    assert asked == 2 * ['hf_hub:user/name']  # its outline, then itself


def test_a_repository_of_transformers_is_refused_as_not_of_timm(tmp_path):
    (tmp_path / 'config.json').write_text('{"model_type": "vit"}')
    with pytest.raises(ModelError, match="is not a timm model: its config.json has no 'archit"):
        vit.create_vit(f'local-dir:{tmp_path}')


def test_a_model_in_a_folder_is_loaded_and_may_begin_with_a_tilde(tmp_path, monkeypatch, expected):
    (tmp_path / 'config.json').write_text(json.dumps({
        'architecture': 'vit_tiny_patch16_224', 'num_classes': 7,
        'model_args': {'img_size': 64, **SMALL}, 'pretrained_cfg': {'input_size': [3, 64, 64]}}))
    save_file(make_model().state_dict(), tmp_path / 'model.safetensors')
    monkeypatch.setenv('HOME', str(tmp_path.parent))
    model = vit.create_vit(f'local-dir:~/{tmp_path.name}')
    with torch.no_grad():
        torch.testing.assert_close(model(torch.ones(1, 3, 64, 64)), expected)


def test_a_folder_that_holds_no_model_is_told_as_such(tmp_path):
    with pytest.raises(ModelError, match="'.*/nowhere' is not a folder; expected a folder with"):
        vit.create_vit(f'local-dir:{tmp_path}/nowhere')
    with pytest.raises(ModelError, match='has no config.json; expected'):
        vit.create_vit(f'local-dir:{tmp_path}')


def test_names_that_several_classes_share_are_found():
    assert names_shared(['crane', 'cat', 'crane', 'dog']) == {'crane': [0, 2]}
    assert not names_shared(['a', 'b'])
