# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""A hub of our own on this machine: what is asked of it, in which order, and what is told."""
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import timm
from huggingface_hub import constants
from safetensors.torch import save

from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig
from ltp_ros.model import hub
from ltp_ros.model.card import ModelError
from ltp_ros.model.vit import create_vit

SMALL = {'img_size': 64, 'embed_dim': 48, 'depth': 2, 'num_heads': 3}
COMMIT = 40 * '0'


class Hub:
    """Repositories by name, each with files by name; `asked` are those whose content was sent."""

    def __init__(self):
        self.files, self.asked = {}, []
        self.etags = {}  # that are not the hash of the content
        self.go_on = threading.Event()  # sends the second half of weights
        self.go_on.set()
        hub_itself = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(send=False)

            def do_GET(self):
                self.answer(send=True)

            def answer(self, send):
                repo, _, file = self.path[1:].partition('/resolve/')
                name = file.partition('/')[2]
                content = hub_itself.files.get((repo, name))
                self.send_response(200 if content is not None else 404)
                self.send_header('X-Repo-Commit', COMMIT)
                if content is None:
                    self.send_header('X-Error-Code', 'EntryNotFound')
                self.send_header('Content-Length', str(len(content or b'')))
                self.send_header('ETag', hub_itself.etags.get(
                    name, hashlib.sha256(content or b'').hexdigest()))
                self.end_headers()
                if send and content is not None:
                    hub_itself.asked.append(f'{repo}/{name}')
                    half = len(content) // 2
                    self.wfile.write(content[:half])
                    self.wfile.flush()
                    if name.endswith('.safetensors'):
                        hub_itself.go_on.wait(60)
                    self.wfile.write(content[half:])

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True

    def has(self, repo, architecture, weights=None, **config):
        """Have a repository of timm, with these weights."""
        self.files[repo, 'config.json'] = json.dumps(
            {'architecture': architecture, 'pretrained_cfg': {}, **config}).encode()
        if weights is not None:
            self.files[repo, 'model.safetensors'] = weights

    def has_small(self, repo='user/small', **config):
        """Have a repository of a small Vision Transformer with 7 classes."""
        model = timm.create_model('vit_tiny_patch16_224', num_classes=7, **SMALL)
        self.has(repo, 'vit_tiny_patch16_224', save(model.state_dict()),
                 **{'num_classes': 7, 'model_args': SMALL, **config})


@pytest.fixture
def our_hub(monkeypatch, tmp_path):
    """Return a `Hub` that the client takes for the only one, with an empty cache."""
    ours = Hub()
    endpoint = f'http://127.0.0.1:{ours.server.server_port}'
    monkeypatch.setattr(constants, 'ENDPOINT', endpoint)
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE',
                        endpoint + '/{repo_id}/resolve/{revision}/{filename}')
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    monkeypatch.setattr(hub, 'getproxies', dict)
    threading.Thread(target=ours.server.serve_forever, daemon=True).start()
    yield ours
    ours.go_on.set()
    ours.server.shutdown()
    ours.server.server_close()


def test_the_weights_of_a_repository_come_after_its_config(our_hub):
    our_hub.has_small()
    assert create_vit('hf_hub:user/small').num_classes == 7
    assert our_hub.asked == ['user/small/config.json', 'user/small/model.safetensors']


def cached_weights(folder):
    return next(folder.glob('*/blobs/*'), None) and max(
        folder.glob('*/blobs/*'), key=lambda path: path.stat().st_size)


def test_weights_that_are_not_those_that_the_hub_promised_are_refused(our_hub):
    our_hub.has_small()
    our_hub.etags['model.safetensors'] = 64 * 'a'
    with pytest.raises(ModelError, match=f'{64 * "a"}|model.safetensors is damaged: its SHA-256'):
        create_vit('hf_hub:user/small')


def test_a_mirror_whose_tags_are_no_hashes_is_believed(our_hub):
    our_hub.has_small()
    our_hub.etags['model.safetensors'] = 'W-17'
    assert create_vit('hf_hub:user/small').num_classes == 7


def test_damaged_weights_in_the_cache_are_told_and_fetched_anew(our_hub, tmp_path):
    our_hub.has_small()
    create_vit('hf_hub:user/small')
    whole = cached_weights(tmp_path).read_bytes()
    cached_weights(tmp_path).write_bytes(whole[:-8] + b'damaged!')
    told = []
    create_vit('hf_hub:user/small', log=told.append)
    assert cached_weights(tmp_path).read_bytes() == whole
    assert sum('is damaged: it is downloaded anew' in line for line in told) == 1


def test_damaged_weights_in_the_cache_are_refused_where_none_can_be_fetched(
        our_hub, tmp_path, monkeypatch):
    our_hub.has_small()
    create_vit('hf_hub:user/small')
    whole = cached_weights(tmp_path).read_bytes()
    cached_weights(tmp_path).write_bytes(whole[:-8] + b'damaged!')
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    with pytest.raises(ModelError, match='is damaged: .*HF_HUB_OFFLINE is set.*; delete it'):
        create_vit('hf_hub:user/small')
    cached_weights(tmp_path).write_bytes(whole)
    assert create_vit('hf_hub:user/small').num_classes == 7


def test_weights_that_lie_elsewhere_than_on_the_hub_are_not_fetched(our_hub, monkeypatch):
    monkeypatch.setattr('socket.getaddrinfo', pytest.fail)
    with pytest.raises(ModelError, match='are not on the hub, but at https://dl.fbai.*checkpoint'):
        create_vit('vit_giant_patch16_gap_224.in22k_ijepa', any_head=True)
    assert our_hub.asked == []


@pytest.mark.parametrize('architecture, args, reason', [
    ('resnet18', {}, 'it is a ResNet, not a timm VisionTransformer'),
    ('vit_tiny_patch16_224', {'num_classes': 0}, 'has no classes'),
    ('vit_tiny_patch16_224', {'num_classes': 1}, 'has one output'),
    ('vit_tiny_patch16_224', {'model_args': {**SMALL, 'pos_embed': 'none'}}, 'no absolute posit'),
    ('vit_tiny_patch16_224', {'model_args': {'depth': 'two'}}, 'timm cannot make')])
def test_a_repository_is_judged_by_its_config_alone(our_hub, architecture, args, reason):
    our_hub.has('user/other', architecture, b'', **args)
    with pytest.raises(ModelError, match=reason):
        create_vit('hf_hub:user/other')
    assert our_hub.asked == ['user/other/config.json']


@pytest.mark.parametrize('model, args, reason', [
    ('resnet18', {}, 'it is a ResNet'),
    ('swin_tiny_patch4_window7_224', {}, 'it is a SwinTransformer'),
    ('vit_small_patch14_dinov2.lvd142m', {}, 'has no classes'),
    ('vit_base_patch16_clip_224.openai', {}, 'CLIP was trained to embed'),
    ('vit_tiny_patch16_224', {'input_size': 8}, 'smaller than one patch'),
    ('vit_tiny_patch16_224', {'input_size': 208, 'method': 'mixed'}, 'do not form quads'),
    ('vit_tiny_patch16_224', {'labels': 'nowhere.txt'}, 'nowhere.txt'),
    ('vit_tiny_patch16_224', {'method': 'papr', 'papr_checkpoint': 'nowhere.pth'},
     'is not a file')])
def test_what_can_be_refused_is_refused_before_the_hub_is_asked(our_hub, model, args, reason):
    with pytest.raises(ModelError, match=reason):
        create_vit(model, **args)
    assert our_hub.asked == []


def test_a_method_is_refused_before_papr_s_own_weights_are_fetched(our_hub):
    with pytest.raises(ModelError, match='cannot be pruned by PAPR'):
        create_vit('resnet18', method='papr')
    assert our_hub.asked == []


def test_labels_that_do_not_fit_are_refused_before_the_weights(our_hub, tmp_path):
    our_hub.has_small()
    (tmp_path / 'two.txt').write_text('cat\ndog\n')
    with pytest.raises(ModelError, match='has 2 labels but the model has 7 classes'):
        Classifier(ClassifierConfig(model='hf_hub:user/small', device='cpu',
                                    labels=str(tmp_path / 'two.txt')))
    assert our_hub.asked == ['user/small/config.json']


def test_a_download_says_how_far_it_is_until_it_is_done(our_hub, monkeypatch):
    our_hub.has_small()
    monkeypatch.setattr(hub, 'MB', 1.0)  # it is a small one
    monkeypatch.setattr(constants, 'DOWNLOAD_CHUNK_SIZE', 1000)
    monkeypatch.setattr(hub, 'TELL_EVERY_S', 0.0)
    size, told = len(our_hub.files['user/small', 'model.safetensors']), []

    def log(text):
        told.append(int(re.fullmatch(
            fr'downloading user/small: (\d+) of {size} MB', text).group(1)))
        if told[-1] > size // 3:  # half of it has been sent
            our_hub.go_on.set()
    our_hub.go_on.clear()
    create_vit('hf_hub:user/small', log=log)
    assert any(size // 3 < done <= size // 2 for done in told) and told == sorted(told)


def test_a_download_may_be_ended_in_its_middle(our_hub, monkeypatch):
    our_hub.has_small()
    our_hub.go_on.clear()

    def stop():
        if 'user/small/model.safetensors' in our_hub.asked:
            raise RuntimeError('stopped')
    with pytest.raises(RuntimeError, match='stopped'):
        create_vit('hf_hub:user/small', progress=stop)


def test_weights_in_the_cache_are_not_called_a_download(our_hub):
    our_hub.has_small()
    create_vit('hf_hub:user/small')
    our_hub.asked.clear()
    create_vit('hf_hub:user/small', log=pytest.fail)
    assert our_hub.asked == []


def test_without_a_log_a_bar_is_shown_where_there_is_no_terminal_too(our_hub, capfd):
    our_hub.has_small()
    create_vit('hf_hub:user/small')
    assert 'model.safetensors: 100%' in capfd.readouterr().err


def test_a_connection_that_breaks_in_a_new_way_is_a_reason_too(our_hub, monkeypatch):
    class ReadError(Exception):
        """Of the client's own, as in huggingface_hub 2."""

    def break_off(*args, **kwargs):
        raise ReadError('reset by peer')

    monkeypatch.setattr(hub, 'hf_hub_download', break_off)
    assert hub.fetch('user/small', lambda: None) == 'reset by peer'
