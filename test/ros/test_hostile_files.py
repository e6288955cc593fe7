# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files from elsewhere, written by somebody who wants code to run: none does, each is refused."""
import contextlib
import io
import json
import os
import pickle
import struct
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rclpy.parameter import Parameter
from ros_helpers import DEADLINE_S
from safetensors.torch import save_file

from ltp_ros.config import Config
from ltp_ros.model.card import ModelError
from ltp_ros.model.checkpoint import read_checkpoint
from ltp_ros.model.labels import read_labels
from ltp_ros.model.vit import create_vit
from ltp_ros.parameter import ConfigError
from ltp_ros.research.datasets import DatasetError, open_image_set
from ltp_ros.ros import arguments, parameters
from ltp_ros.tuner import ladder_profile


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def trap(tmp_path):
    """Return a `Trap` that works, and must not have been sprung at the end."""
    proof = Trap(tmp_path / 'proof')
    pickle.loads(pickle.dumps(proof))
    assert proof.path.is_dir()
    trap = Trap(tmp_path / 'sprung')
    yield trap
    assert not trap.path.exists()


def config_of(folder):
    (folder / 'config.json').write_text(json.dumps({
        'architecture': 'vit_tiny_patch16_224', 'num_classes': 7, 'pretrained_cfg': {},
        'model_args': {'depth': 1, 'embed_dim': 48, 'num_heads': 3, 'img_size': 32}}))


def save_tar(trap, path):
    """Write a file as torch did before 1.0."""
    with tarfile.open(path, 'w') as tar:
        for name, content in (('storages', (0, [])), ('tensors', (0,)), ('pickle', (trap,))):
            data = b''.join(pickle.dumps(part, 2) for part in content)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize('save', [
    lambda trap, path: path.write_bytes(pickle.dumps({'model': trap})),
    lambda trap, path: torch.save({'model': trap}, path),
    lambda trap, path: torch.save({'model': trap}, path, _use_new_zipfile_serialization=False),
    lambda trap, path: save_tar(trap, path)])
@pytest.mark.parametrize('name', ['x.pth', 'x.pt', 'x.bin', 'x.safetensors', 'x'])
def test_a_checkpoint_with_code_is_refused(trap, tmp_path, save, name):
    save(trap, tmp_path / name)
    with pytest.raises(ModelError, match='cannot be read as weights alone'):
        read_checkpoint(str(tmp_path / name))


@pytest.mark.parametrize('name', ['pytorch_model.bin', 'model.pth', 'other.pth.tar',
                                  'model.safetensors'])
def test_a_folder_of_timm_with_code_is_refused(trap, tmp_path, name):
    config_of(tmp_path)
    torch.save({'state_dict': trap}, tmp_path / name)
    with pytest.raises(ModelError, match='timm cannot make'):
        create_vit(f'local-dir:{tmp_path}')


def test_what_timm_reads_is_weights_alone_even_where_it_asks_for_all(trap, tmp_path, monkeypatch):
    torch.save({'state_dict': trap}, tmp_path / 'x.pth')
    monkeypatch.setattr('timm.create_model', lambda *args, **kwargs: torch.load(
        tmp_path / 'x.pth', weights_only=False))  # as timm 1.0.21
    with pytest.raises(ModelError, match='timm cannot make.*eights.only'):
        create_vit('vit_tiny_patch16_224', pretrained=False)
    deadline = time.monotonic() + DEADLINE_S  # a thread that a test left may still make a model
    while 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' in os.environ and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


@pytest.mark.parametrize('content', [
    struct.pack('<Q', 2 ** 63), struct.pack('<Q', 2 ** 40) + b'{}', b'', b'{}',
    struct.pack('<Q', 10 ** 8) + b'{' * 1000,
    struct.pack('<Q', 60) + b'{"x":{"dtype":"F32","shape":[9223372036854775807],"data_offset',
    struct.pack('<Q', 65) + b'{"x":{"dtype":"F32","shape":[99999],"data_offsets":[0,399996]}}'])
def test_a_safetensors_file_that_promises_what_it_has_not_is_refused(tmp_path, content):
    (tmp_path / 'x.safetensors').write_bytes(content)
    with pytest.raises(ModelError, match='cannot be read as weights alone'):
        read_checkpoint(str(tmp_path / 'x.safetensors'))
    config_of(tmp_path)
    with pytest.raises(ModelError, match='timm cannot make'):
        create_vit(f'local-dir:{tmp_path}')


@pytest.mark.parametrize('arrays', [
    {'jpeg': None, 'offsets': [0], 'labels': [], 'class_names': []},
    {'jpeg': np.zeros(1, np.uint8), 'offsets': [0, 1], 'labels': [0], 'class_names': None}])
def test_arrays_with_code_are_refused(trap, tmp_path, arrays):
    held = np.array([trap], dtype=object)
    np.savez(tmp_path / 'x.npz', **{name: held if value is None else value
                                    for name, value in arrays.items()})
    with pytest.raises(DatasetError, match='cannot be used: .*allow_pickle'):
        open_image_set(tmp_path / 'x.npz')


def tags(path):
    """Return documents that make the folder `path` if YAML's tags are obeyed."""
    return [f'!!python/object/apply:os.mkdir [{path}]',
            f'x: !!python/object/apply:os.mkdir [{path}]',
            f'- !!python/object/new:os.mkdir\n  args: [{path}]',
            f'/**: {{ros__parameters: {{x: !!python/object/apply:os.mkdir [{path}]}}}}']


def test_the_documents_are_dangerous(tmp_path):
    for number, document in enumerate(tags(tmp_path / 'made')):
        yaml.unsafe_load(document)
        (tmp_path / 'made').rename(tmp_path / str(number))


@pytest.mark.parametrize('which', range(4))
def test_code_in_yaml_does_not_run(trap, tmp_path, which):
    path, document = tmp_path / 'x.yaml', tags(trap.path)[which]
    path.write_text(document)
    with pytest.raises(ladder_profile.ProfileError):
        ladder_profile.read(path)
    with contextlib.suppress(ConfigError):  # rcl passes over the tag
        arguments.check_arguments(['', '--ros-args', '--params-file', str(path)], str(tmp_path))
    parameters.change(Config(), [Parameter('roi', value='[0, 0, 1, 1]')], False)
    with pytest.raises(ConfigError, match='roi .* is not a list'):
        parameters.change(Config(), [Parameter('roi', value=f'[{document}]')], False)


LAUGHS = 'a: &a [x,x,x,x,x,x,x,x,x]\n' + ''.join(
    f'{b}: &{b} [{",".join(9 * ["*" + a])}]\n' for a, b in zip('abcdefgh', 'bcdefghi'))
BOMBS = {
    'deep list': 2_000 * '[', 'deep object': 2_000 * '{"a":',
    'deep and whole': 2_000 * '[' + 2_000 * ']', 'signs': '[' + 2_000 * '-' + '1]',
    'laughs': LAUGHS + 'levels: *i\ndevice: *i\n',
    'laughs in parameters': f'/**: {{ros__parameters: {{{LAUGHS.replace(chr(10), ",")} j: 1}}}}',
    'a day that there is none': '/**: {ros__parameters: {x: [2001-13-01, 1]}}',
    'a long number': '[' + 10_000 * '9' + ']', 'a long hexadecimal number':
    'device: 0x' + 10_000 * 'f', 'itself': 'device: &a [*a]', 'no truth': 'device: !!bool x',
    'a long name': '{"device": [], "' + 1_000_000 * 'x' + '": 0}',
    'a long value': '{"model_args": "' + 1_000_000 * 'x' + '"}',
    'a list of a long value': '["' + 1_000_000 * 'x' + '", 1]'}


@pytest.mark.parametrize('bomb', BOMBS)
@pytest.mark.parametrize('read', [
    ladder_profile.read, read_labels,
    lambda path: read_checkpoint(path.replace('.json', '.safetensors')),
    lambda path: arguments.check_arguments(['', '--ros-args', '--params-file', path], '/tmp'),
    lambda path: parameters.change(
        Config(), [Parameter('roi', value=Path(path).read_text())], False)],
    ids=['profile', 'labels', 'card', 'params_file', 'parameter'])
def test_a_text_that_wants_to_grow_is_taken_or_refused_in_a_short_sentence(tmp_path, bomb, read):
    save_file({'head.weight': torch.zeros(1)}, tmp_path / 'x.safetensors')
    (tmp_path / 'x.json').write_text(BOMBS[bomb])
    try:
        read(str(tmp_path / 'x.json'))
    except (ladder_profile.ProfileError, ModelError, ConfigError) as error:
        assert len(str(error)) < 2000
