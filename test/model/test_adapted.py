# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Adapted levels: small checkpoints beside the base that their card names."""
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ltp_ros.model import adapted
from ltp_ros.model.card import ModelError
from ltp_ros.model.vit import create_vit

PIXELS = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)


def write_level(path, base, tensors, **entries):
    """Write an adapted level of the checkpoint `base`, whose entry in the card may be changed."""
    card = json.loads(Path(base).with_suffix('.json').read_text())
    card['model_args']['num_classes'] = 7
    entry = adapted.base_of('vit_tiny_patch16_224', base, path.parent)
    save_file(tensors, str(path))
    path.with_suffix('.json').write_text(json.dumps({**card, 'base': {**entry, **entries}}))
    return str(path)


@pytest.fixture
def changed():
    """Return the tensors of a level that differ from those of the base."""
    return {'norm.bias': torch.linspace(-1, 1, 48), 'blocks.0.norm1.weight': 2 * torch.ones(48)}


def logits(checkpoint, pixels=PIXELS, **more):
    with torch.no_grad():
        return create_vit('', checkpoint, **more)(pixels)


def test_a_level_is_its_base_with_the_changed_tensors(small_model, changed, tmp_path):
    found = create_vit('', write_level(tmp_path / 'level.safetensors', small_model, changed))
    expected = {**create_vit('', small_model).state_dict(), **changed}
    assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())


def test_the_base_stays_as_it_was(small_model, changed, tmp_path):
    file, before = Path(small_model).read_bytes(), logits(small_model)
    create_vit('', write_level(tmp_path / 'level.safetensors', small_model, changed))
    assert Path(small_model).read_bytes() == file
    assert torch.equal(logits(small_model), before)


def test_a_level_may_have_another_input_size(small_model, changed, tmp_path):
    level = write_level(tmp_path / 'level.safetensors', small_model, changed)
    card = json.loads((tmp_path / 'level.json').read_text())
    card['model_args']['img_size'] = 96
    (tmp_path / 'level.json').write_text(json.dumps(card))
    model = create_vit('', level, method='none')
    assert model.patch_embed.img_size == (96, 96)
    assert torch.equal(model.pos_embed, create_vit('', small_model, input_size=96).pos_embed)


def test_the_base_is_found_from_the_folder_of_the_level(small_model, changed, tmp_path,
                                                        monkeypatch):
    whole = load_file(small_model)
    (tmp_path / 'levels').mkdir()
    save_file(whole, str(tmp_path / 'base.safetensors'))
    (tmp_path / 'base.json').write_text(Path(small_model).with_suffix('.json').read_text())
    level = write_level(tmp_path / 'levels' / 'level.safetensors',
                        str(tmp_path / 'base.safetensors'), changed)
    card = json.loads((tmp_path / 'levels' / 'level.json').read_text())
    assert card['base']['checkpoint'] == '../base.safetensors'
    monkeypatch.chdir('/')
    assert torch.isfinite(logits(level)).all()


def test_the_packaged_model_can_be_a_base(changed, tmp_path):
    entry = adapted.base_of('demo', '', tmp_path)
    assert entry['checkpoint'] == 'demo'
    own = create_vit('demo')
    save_file({'norm.bias': own.norm.bias + 1.0}, str(tmp_path / 'level.safetensors'))
    (tmp_path / 'level.json').write_text(json.dumps({
        'architecture': 'vit_demo', 'model_args': {'num_classes': own.num_classes,
                                                   'img_size': 32}, 'base': entry}))
    level = create_vit('', str(tmp_path / 'level.safetensors'))
    assert torch.equal(level.norm.bias, own.norm.bias + 1.0)
    assert torch.equal(level.head.weight, own.head.weight)


def test_weights_of_timm_can_be_a_base(changed, tmp_path, monkeypatch):
    whole = create_vit('vit_tiny_patch16_224', pretrained=False, method='none', img_size=64,
                       embed_dim=48, depth=2, num_heads=3, num_classes=7)
    monkeypatch.setattr(adapted, 'create', lambda *args: whole)
    entry = adapted.base_of('vit_tiny_patch16_224', '', tmp_path)
    assert entry['checkpoint'] == ''
    save_file(changed, str(tmp_path / 'level.safetensors'))
    (tmp_path / 'level.json').write_text(json.dumps({
        'architecture': 'vit_tiny_patch16_224', 'base': entry, 'model_args': {
            'img_size': 64, 'embed_dim': 48, 'depth': 2, 'num_heads': 3, 'num_classes': 7}}))
    level = create_vit('', str(tmp_path / 'level.safetensors'))
    assert torch.equal(level.norm.bias, changed['norm.bias'])
    assert torch.equal(level.head.weight, whole.head.weight)


def test_an_adapted_level_is_refused_as_a_base(small_model, changed, tmp_path):
    first = write_level(tmp_path / 'first.safetensors', small_model, changed)
    with pytest.raises(ModelError, match='first.safetensors.* cannot be the base of another'):
        adapted.base_of('', first, tmp_path)


@pytest.mark.parametrize('tensors', [
    {'norm.bias': torch.zeros(7)}, {'nothing.weight': torch.zeros(48)}])
def test_tensors_that_do_not_fit_are_named(small_model, tensors, tmp_path):
    level = write_level(tmp_path / 'level.safetensors', small_model, tensors)
    with pytest.raises(ModelError, match=f'does not fit its base: {list(tensors)[0]}'):
        create_vit('', level)


def test_at_another_size_than_its_own_a_level_is_refused(small_model, tmp_path):
    positions = create_vit('', small_model).pos_embed.detach().clone()
    level = write_level(tmp_path / 'level.safetensors', small_model, {'pos_embed': positions})
    with pytest.raises(ModelError, match='pos_embed. It was adapted at input_size'):
        create_vit('', level, input_size=96)


@pytest.mark.parametrize('entries, words', [
    ({'checkpoint': 'nowhere.safetensors'}, "its base '.*nowhere.safetensors' is not a file"),
    ({'checkpoint': 'level.safetensors'}, 'cannot be the base of another'),
    ({'hash': 'another'}, 'was adapted from other weights.*hashes differ'),
    ({'hash': 7}, '"base" must be an object'), ({'checkpoint': None}, '"base" must be an object')])
def test_a_base_that_is_missing_or_another_one_is_refused(small_model, changed, tmp_path, entries,
                                                          words):
    level = write_level(tmp_path / 'level.safetensors', small_model, changed, **entries)
    with pytest.raises(ModelError, match=words):
        create_vit('', level)


def test_a_base_whose_weights_have_changed_is_refused(small_model, changed, tmp_path):
    whole = load_file(small_model)
    base = tmp_path / 'base.safetensors'
    save_file(whole, str(base))
    base.with_suffix('.json').write_text(Path(small_model).with_suffix('.json').read_text())
    level = write_level(tmp_path / 'level.safetensors', str(base), changed)
    save_file({**whole, 'head.bias': whole['head.bias'] + 1e-6}, str(base))
    with pytest.raises(ModelError, match='was adapted from other weights'):
        create_vit('', level)


def fused(small_model, changed, tmp_path, weight):
    return write_level(tmp_path / 'level.safetensors', small_model,
                       {**changed, adapted.FUSE: weight})


def test_the_layer_of_mixed_comes_with_the_level(small_model, changed, tmp_path):
    level = fused(small_model, changed, tmp_path, torch.ones(48, 192))
    model = create_vit('', level, method='mixed', keep_ratio=0.5)
    assert torch.equal(model.patch_drop.fuse.weight, torch.ones(48, 192))
    assert adapted.FUSE in model.state_dict()
    torch.testing.assert_close(logits(level, method='mixed'), logits(level, method='none'))


def test_a_layer_for_another_method_or_model_is_refused(small_model, changed, tmp_path):
    level = fused(small_model, changed, tmp_path, torch.ones(48, 192))
    with pytest.raises(ModelError, match='adapted for the method mixed alone'):
        create_vit('', level, method='ltp')
    level = fused(small_model, changed, tmp_path, torch.ones(48, 7))
    with pytest.raises(ModelError, match=r'\[48, 7\] instead of \[48, 192\]'):
        create_vit('', level, method='mixed')
