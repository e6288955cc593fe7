# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are truncated, empty, binary or hostile are refused by name, and not executed."""
import os
import pickle
import struct
from pathlib import Path

import pytest

from ltp_ros.classifier import ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.frames.startup import prepare
from ltp_ros.model.card import ModelError

DEEP = 50_000  # levels of nesting, beyond any stack


class Evil:
    """Makes a folder if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


TEXTS = {
    'empty': b'',
    'truncated': b'["thing 0", "thing',
    'binary': bytes(range(256)) * 8,
    'nested lists': b'[' * DEEP,
    'nested objects': b'{"a":' * DEEP,
    'a long number': b'{"a": ' + b'9' * 5000 + b'}',
    'a tag': b'!!python/object/apply:os.mkdir ["executed"]\n',
    'a bomb': b'a: &a [x,x]\n' + b''.join(
        b'%c: &%c [%s]\n' % (c, c, b','.join([b'*%c' % (c - 1)] * 9)) for c in range(98, 120)),
}


def header(text, body=b''):
    """Return the start of a .safetensors file."""
    return struct.pack('<Q', len(text)) + text + body


def weights(whole, folder):
    """Return damaged checkpoints by name."""
    return {
        'empty': b'', 'truncated': whole[:len(whole) // 2], 'zeros': bytes(4096),
        'binary': bytes(range(256)) * 8, 'a pickle': pickle.dumps(Evil(folder / 'executed')),
        'a huge header': struct.pack('<Q', 2 ** 62) + b'{}',
        'a nested header': header(b'{"a":' * DEEP),
        'a huge shape': header(b'{"x":{"dtype":"F32","shape":[1000000000000,4],'
                               b'"data_offsets":[0,16]}}', bytes(16))}


@pytest.fixture
def refused(tmp_path, small_model, monkeypatch):
    """Return a function that damages one file of a start; it must be refused, by its name."""
    monkeypatch.chdir(tmp_path)

    def check(content, path, error, **changes):
        path.write_bytes(content)
        given = {'checkpoint': small_model, 'device': 'cpu', 'backend': 'eager',
                 'precision': 'float32', 'keep_ratios': (1.0,), **changes}
        with pytest.raises(error) as refusal:
            prepare(ClassifierConfig(**given), print, print, lambda: True)
        assert str(path) in str(refusal.value) and ': .' not in str(refusal.value)
        assert not Path('executed').exists()
    return check


@pytest.mark.parametrize('damage', weights(b'', Path()))
@pytest.mark.parametrize('suffix', ['.safetensors', '.pth'])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, small_model, refused, suffix, damage):
    content = weights(Path(small_model).read_bytes(), tmp_path)[damage]
    path = tmp_path / f'model{suffix}'
    refused(content, path, ModelError, checkpoint=str(path))


@pytest.mark.parametrize('damage', TEXTS)
def test_a_damaged_card_is_refused_by_name(tmp_path, small_model, refused, damage):
    path = tmp_path / 'model.json'
    (tmp_path / 'model.safetensors').write_bytes(Path(small_model).read_bytes())
    refused(TEXTS[damage], path, ModelError, checkpoint=str(tmp_path / 'model.safetensors'))


@pytest.mark.parametrize('damage', TEXTS)
def test_damaged_labels_are_refused_by_name(tmp_path, refused, damage):
    path = tmp_path / 'labels.txt'
    refused(TEXTS[damage], path, ModelError, labels=str(path))


@pytest.mark.parametrize('damage', TEXTS)
def test_a_damaged_profile_is_refused_by_name(tmp_path, refused, damage):
    path = tmp_path / 'profile.yaml'
    refused(TEXTS[damage], path, ClassifierError, profile=str(path))
