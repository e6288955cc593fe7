# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Every backend gives the answers of plain torch; 'auto' takes the fastest that is there."""
import gc
import inspect
import itertools
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_graphs import FakeCuda
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from ltp_ros.backends import cache, choice, onnx_gpu
from ltp_ros.backends.cache import SEALS
from ltp_ros.backends.eager import EagerBackend, best_classes
from ltp_ros.backends.graph import RETRY_FRAMES, CaptureError, GraphBackend
from ltp_ros.backends.level_files import ladder_file, level_file, origin
from ltp_ros.backends.onnx import (
    BoundSession,
    OnnxBackend,
    choose_providers,
    open_session,
    session_options,
)
from ltp_ros.backends.onnx_export import _exporter, export_ladder, export_level
from ltp_ros.backends.onnx_gpu import (
    drop_stale,
    engine_folder,
    nodes_by_provider,
    provider_options,
)
from ltp_ros.backends.openvino import OpenvinoBackend
from ltp_ros.backends.summary import size_of
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import METHODS, ClassifierConfig
from ltp_ros.model import vit
from ltp_ros.model.data_config import DataConfig, ImageSizeError
from ltp_ros.model.preprocessing import Preprocessor
from ltp_ros.reduction.base import keep_indices
from ltp_ros.region import Region
from ltp_ros.research.benchmarks.runners import make

CPU = torch.device('cpu')
RGB = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
LEVELS = (1.0, 0.53, 0.25)
RUNTIMES = {'onnx': 'onnxruntime', 'openvino': 'openvino'}  # backend -> module
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')


@pytest.fixture(params=METHODS)
def model(request):
    """Return a small model that reduces its tokens by one of the methods."""
    torch.manual_seed(0)
    return vit.create_vit('vit_tiny_patch16_224', pretrained=False, method=request.param,
                          num_classes=7, img_size=96, depth=2)


def assert_same(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found[0], expected[0], atol=tolerance)
    assert found[1].tolist() == expected[1].tolist()
    assert found[2].tolist() == expected[2].tolist()


@pytest.mark.parametrize('name', RUNTIMES)
def test_another_runtime_gives_the_answers_of_torch(name, model, tmp_path):
    pytest.importorskip(RUNTIMES[name])
    data_config = vit.data_config(model)
    eager = choice.create('eager', 'float32', model, data_config, CPU, tmp_path)
    other = choice.create(name, 'float32', model, data_config, CPU, tmp_path)
    for keep_ratio in LEVELS:
        for rgb in (RGB, RGB[::-1], RGB[:, ::2]):
            assert_same(other(rgb, keep_ratio, 5), eager(rgb, keep_ratio, 5))
    kept = ([ladder_file(tmp_path)] if model.patch_drop.counts else
            [level_file(tmp_path, keep_ratio) for keep_ratio in LEVELS])
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / SEALS, *kept])


def test_openvino_with_a_fixed_size_for_one_level_gives_the_same_answers(model, tmp_path):
    pytest.importorskip('openvino')
    data_config = vit.data_config(model)
    eager = choice.create('eager', 'float32', model, data_config, CPU, tmp_path)
    for favourite in LEVELS:
        other = choice.create('openvino', 'float32', model, data_config, CPU, tmp_path,
                              favourite=favourite)
        for keep_ratio in LEVELS:
            assert_same(other(RGB, keep_ratio, 5), eager(RGB, keep_ratio, 5))
        sizes = model.patch_drop, favourite
        assert list(other._fixed) == [counts for counts in [size_of(*sizes).counts]
                                      if counts and all(counts)]


def test_a_large_model_has_no_size_fixed(model, tmp_path, monkeypatch):
    pytest.importorskip('openvino')
    monkeypatch.setattr('ltp_ros.backends.openvino.MAX_FIXED_FILE', 1000)
    other = choice.create('openvino', 'float32', model, vit.data_config(model), CPU, tmp_path,
                          favourite=0.53)
    other(RGB, 0.53, 5)
    assert not other._fixed


def test_openvino_computes_in_bfloat16_where_the_processor_does(tmp_path):
    openvino = pytest.importorskip('openvino')
    model = vit.create_vit('demo')
    data_config = vit.data_config(model)
    able = openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    if 'BF16' not in able:
        half = choice.create('openvino', 'bfloat16', model, data_config, CPU, tmp_path)
        with pytest.raises(RuntimeError, match='OpenVINO has no bfloat16 on this processor'):
            half(RGB, 1.0, 2)
        return
    eager = choice.create('eager', 'float32', model, data_config, CPU, tmp_path)
    half = choice.create('openvino', 'bfloat16', model, data_config, CPU, tmp_path)
    for rgb in pictures():
        exact, found = eager(rgb, 1.0, 2), half(rgb, 1.0, 2)
        np.testing.assert_allclose(found.scores, exact.scores, atol=0.1)
        assert not np.array_equal(found.scores, exact.scores)


def test_a_signal_after_two_openvino_backends_is_handled(tmp_path):
    pytest.importorskip('openvino')
    model, received = vit.create_vit('demo'), []
    before = signal.signal(signal.SIGUSR1, lambda *_: received.append(True))
    for _ in range(2):
        first, second = (choice.create('openvino', 'float32', model, vit.data_config(model), CPU,
                                       tmp_path) for _ in range(2))
        for backend in (first, second):
            backend(RGB, 0.5, 2)
        del first, backend
        gc.collect()
        del second
        gc.collect()
        os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    assert received == [True, True]


def test_openvino_is_for_the_processor(model, tmp_path):
    pytest.importorskip('openvino')
    with pytest.raises(RuntimeError, match='OpenVINO runs on the CPU here, not on meta'):
        OpenvinoBackend(model, vit.data_config(model), torch.device('meta'), 'float32', tmp_path,
                        print)


def test_int8_gives_nearly_the_answers_of_torch_in_less_room(tmp_path):
    pytest.importorskip('onnxruntime')
    model = vit.create_vit('demo')
    data_config = vit.data_config(model)
    eager = choice.create('eager', 'float32', model, data_config, CPU, tmp_path)
    onnx, int8 = (choice.create('onnx', precision, model, data_config, CPU, tmp_path)
                  for precision in ('float32', 'int8'))
    for keep_ratio in LEVELS:
        for rgb in pictures():
            scores, class_ids, kept, _ = eager(rgb, keep_ratio, 2)
            assert onnx(rgb, keep_ratio, 2)[1].tolist() == class_ids.tolist()
            answer = int8(rgb, keep_ratio, 2)
            np.testing.assert_allclose(answer[0], scores, atol=0.1)
            assert not np.array_equal(answer[0], scores)
            assert answer[2].tolist() == kept.tolist()  # the step before the blocks is float32
    small, large = (ladder_file(tmp_path, quantized).stat().st_size for quantized in (True, False))
    assert small < 0.6 * large


def pictures():
    generator = np.random.default_rng(2)
    yield RGB
    yield np.tile(generator.integers(0, 256, (1, 80, 3), dtype=np.uint8), (60, 1, 1))
    yield np.full((48, 64, 3), 90, np.uint8)


def test_onnx_keeps_the_lower_of_two_patches_that_score_alike(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')

    class Keep(torch.nn.Module):
        def forward(self, scores):
            return keep_indices(scores, 4)
    scores = torch.tensor([[0.0, 1.0, 0.5, 0.5, 0.0, 0.5, 1.0, 0.5], [0.0] * 8])
    path = str(tmp_path / 'keep.onnx')
    torch.onnx.export(Keep(), (scores,), path, input_names=['scores'], **_exporter())
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    kept = session.run(None, {'scores': scores.numpy()})[0].tolist()
    assert kept == keep_indices(scores, 4).tolist() == [[1, 2, 3, 6], [0, 1, 2, 3]]


def test_an_export_that_fails_leaves_no_file_and_the_model_as_it_was(tmp_path, monkeypatch):
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False, num_classes=7)

    def fail(module, args, path, **kwargs):
        open(path, 'w').write('half a model')
        raise RuntimeError('no')

    fail.__signature__ = inspect.signature(torch.onnx.export)
    monkeypatch.setattr(torch.onnx, 'export', fail)
    with pytest.raises(RuntimeError, match='no'):
        export_level(model, 0.5, tmp_path / 'x' / 'keep_0.5.onnx')
    assert not list((tmp_path / 'x').iterdir())
    assert (model.patch_drop.keep_ratio, model.patch_drop.trace) == (1.0, False)


def test_an_export_leaves_the_model_in_eval_mode(tmp_path):
    pytest.importorskip('onnx')
    model = vit.create_vit('demo')
    export_level(model, 0.5, tmp_path / 'keep_0.5.onnx')
    assert not any(module.training for module in model.modules())


def test_an_export_does_without_the_attention_that_torch_2_0_cannot_export(
        model, tmp_path, monkeypatch):
    pytest.importorskip('onnx')
    fused = [block.attn.fused_attn for block in model.blocks]
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.functional, 'scaled_dot_product_attention',
                      lambda *args, **kwargs: pytest.fail('fused attention'))
        export_level(model, 0.53, tmp_path / 'level.onnx')
    assert any(fused) and fused == [block.attn.fused_attn for block in model.blocks]


def test_levels_that_were_exported_before_are_taken_as_they_are(tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    config = ClassifierConfig(model='demo', device='cpu', backend='onnx', cache=str(tmp_path),
                              keep_ratios=(1.0, 0.5))
    first = Classifier(config).classify(RGB, 0.5)
    monkeypatch.setattr('ltp_ros.backends.onnx_export.export_ladder',
                        lambda *args: pytest.fail('exported twice'))
    assert Classifier(config).classify(RGB, 0.5).scores == first.scores
    assert [path.name for path in tmp_path.rglob('*.onnx')] == ['ladder.onnx']


@pytest.mark.parametrize('damage', [
    lambda path: path.write_bytes(b'no model'),
    lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    lambda path: overwrite(path, path.stat().st_size // 2, bytes(4096)),  # that would be run
], ids=['nonsense', 'cut off', 'zeros'])
def test_a_damaged_level_is_told_and_exported_anew(tmp_path, damage):
    pytest.importorskip('onnxruntime')
    model, told = vit.create_vit('demo'), []
    first, again = (OnnxBackend(model, vit.data_config(model), CPU, 'float32', tmp_path,
                                told.append) for _ in range(2))
    expected = first(RGB, 0.5, 5)
    damage(ladder_file(tmp_path))
    assert_same(again(RGB, 0.5, 5), expected)
    assert [line for line in told if 'ladder.onnx is damaged: it is made anew' in line]


def overwrite(path, at, content):
    data = bytearray(path.read_bytes())
    data[at:at + len(content)] = content
    path.write_bytes(data)


def test_a_provider_that_does_not_start_is_an_error_and_not_the_cpu(tmp_path):
    pytest.importorskip('onnxruntime')
    export_level(vit.create_vit('demo'), 0.5, tmp_path / 'level.onnx')
    with pytest.raises(RuntimeError, match='could not start CUDAExecutionProvider'):
        open_session(tmp_path / 'level.onnx', needed=['CUDAExecutionProvider'])


def test_what_onnxruntime_raises_in_a_run_is_caught_like_what_torch_raises(tmp_path):
    pytest.importorskip('onnxruntime')
    model = vit.create_vit('demo')
    cache.ensure(ladder_file(tmp_path), origin(False), lambda path: export_ladder(
        vit.create_vit('demo', img_size=64), path), print)
    with pytest.raises(RuntimeError, match='cannot run this level'):
        OnnxBackend(model, vit.data_config(model), CPU, 'float32', tmp_path, print)(RGB, 0.5, 1)


def test_auto_does_without_onnx_where_nothing_can_be_written(tmp_path):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'file').write_text('')
    told = []
    classifier = Classifier(ClassifierConfig(
        model='demo', device='cpu', precision='float32', cache=str(tmp_path / 'file')),
        told.append)
    assert classifier.backend.name == 'eager'
    assert any(line.startswith('onnx float32 is unavailable') for line in told)


def test_folders_of_different_models_and_methods_differ():
    asked = itertools.product(('a', 'b'), ('0' * 64, 'f' * 64), ('ltp', 'tome'),
                              ('srb', 'spatial'), (0.5, 0.7))
    folders = {choice.model_folder('cache', *what) for what in asked}
    assert len(folders) == 2 * 2 * (2 * 2 + 1)  # score and alpha are LTP's alone


@pytest.mark.parametrize('backend, precision, device, expected', [
    ('auto', 'auto', 'cpu', [('eager', 'float32'), ('eager', 'bfloat16'), ('onnx', 'float32'),
                             ('openvino', 'float32'), ('openvino', 'bfloat16')]),
    ('auto', 'float32', 'cpu', [('eager', 'float32'), ('onnx', 'float32'),
                                ('openvino', 'float32')]),
    ('openvino', 'auto', 'cpu', [('openvino', 'float32'), ('openvino', 'bfloat16')]),
    ('eager', 'auto', 'cpu', [('eager', 'float32'), ('eager', 'bfloat16')]),
    ('onnx', 'auto', 'cpu', [('onnx', 'float32')]),
    ('auto', 'int8', 'cpu', [('onnx', 'int8'), ('openvino', 'int8')]),
    ('eager', 'bfloat16', 'cpu', [('eager', 'bfloat16')]),
    ('auto', 'auto', 'cuda', [('graph', 'float16'), ('eager', 'float16')]),
    ('onnx', 'float32', 'cuda', [('onnx', 'float32')])])
def test_auto_stands_for_what_may_be_fastest(backend, precision, device, expected):
    assert choice.candidates(backend, precision, torch.device(device)) == expected


@pytest.mark.parametrize('providers, precision', [
    (['TensorrtExecutionProvider', 'CUDAExecutionProvider'], 'float16'),
    (['CUDAExecutionProvider'], 'float32')])
def test_auto_has_tensorrt_build_its_engines_in_one_number_format(monkeypatch, providers,
                                                                  precision):
    monkeypatch.setitem(sys.modules, 'onnxruntime', SimpleNamespace(
        get_available_providers=lambda: [*providers, 'CPUExecutionProvider']))
    assert choice.candidates('onnx', 'auto', torch.device('cuda')) == [('onnx', precision)]


class Clock:
    """Backends that take a given time each, on a clock of their own."""

    def __init__(self, monkeypatch, **times_s):
        self.now, self.times_s, self.runs = 0.0, times_s, []
        monkeypatch.setattr('time.perf_counter', lambda: self.now)

    def make(self, name, precision):
        if self.times_s[name] is None:
            raise ImportError(f'no {name} here')

        def run(rgb, keep_ratio, top_k):
            self.runs.append((name, keep_ratio))
            self.now += self.times_s[name]
        return type('Fake', (), {'name': name, 'precision': precision,
                                 '__call__': lambda self, *args: run(*args)})()


def test_the_fastest_is_taken_and_the_others_are_told(monkeypatch):
    clock, told = Clock(monkeypatch, eager=0.05, onnx=0.02, graph=None), []
    pairs = [('eager', 'float32'), ('graph', 'float16'), ('onnx', 'float32')]
    best = choice.fastest(pairs, clock.make, RGB, 0.53, told.append)
    assert best.name == 'onnx'
    assert told == ['graph float16 is unavailable: no graph here',
                    'eager float32 50.0 ms, onnx float32 20.0 ms at keep_ratio 0.53']
    timed = [name for name, _ in clock.runs[2:]]
    assert timed == ['eager', 'onnx'] * choice.TRIAL_RUNS  # in turns


def test_one_that_is_asked_for_by_name_is_not_timed(monkeypatch):
    clock = Clock(monkeypatch, eager=0.05)
    assert choice.fastest([('eager', 'float32')], clock.make, RGB, 0.53, print).name == 'eager'
    assert not clock.runs


def test_the_first_reason_is_told_where_none_can_be_had(monkeypatch):
    clock = Clock(monkeypatch, eager=None, onnx=None)
    with pytest.raises(ImportError, match='no eager here'):
        choice.fastest([('eager', 'a'), ('onnx', 'b')], clock.make, RGB, 0.53, str)


def test_what_is_not_taken_leaves_nothing_behind(monkeypatch):
    made = {}

    class Backend:
        def __init__(self, name, precision):
            self.name, self.precision, self.itself = name, precision, self  # only gc frees it
            made[name] = weakref.ref(self)
            assert 'broken' not in made or name == 'broken' or made['broken']() is None

        def __call__(self, rgb, keep_ratio, top_k):
            clock[0] += {'slow': 2.0, 'fast': 1.0}.get(self.name, 0.0)
            if self.name == 'broken':
                raise RuntimeError('out of memory') from ValueError('its cause')

    clock = [0.0]
    monkeypatch.setattr('time.perf_counter', lambda: clock[0])
    best = choice.fastest([(name, 'float32') for name in ('broken', 'slow', 'fast')], Backend,
                            RGB, 0.53, print)
    assert best.name == 'fast'
    assert {name for name, backend in made.items() if backend() is not None} == {'fast'}


@pytest.mark.parametrize('changes, words', [
    ({'backend': 'graph'}, 'CUDA graphs need a CUDA device; use backend:=eager'),
    ({'backend': 'eager', 'precision': 'int8'},
     'int8 comes with ONNX Runtime and OpenVINO; use backend:=onnx or backend:=openvino'),
    ({'backend': 'onnx', 'precision': 'bfloat16'}, 'ONNX Runtime has no bfloat16 here')])
def test_what_cannot_be_had_here_is_refused_with_a_way_out(changes, words, tmp_path):
    if changes['backend'] == 'onnx':
        pytest.importorskip('onnxruntime')
    with pytest.raises(ClassifierError, match=f"backend {changes['backend']} cannot run demo: "
                                              f'.*{words}'):
        Classifier(ClassifierConfig(model='demo', device='cpu', cache=str(tmp_path), **changes))


def test_without_onnxruntime_auto_does_without_and_onnx_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    told = []
    config = ClassifierConfig(model='demo', device='cpu', cache=str(tmp_path))
    assert Classifier(config, told.append).backend.name != 'onnx'
    assert any('onnx float32 is unavailable' in line for line in told)
    with pytest.raises(ClassifierError, match='backend onnx cannot run demo'):
        Classifier(ClassifierConfig(model='demo', device='cpu', backend='onnx'))


@pytest.mark.parametrize('method', METHODS)
def test_every_method_goes_down_its_ladder(method, monkeypatch, tmp_path):
    create = vit.create  # MobileOne's weights are on the hub
    monkeypatch.setattr(vit, 'create', lambda model, pretrained, *args, **kwargs: create(
        model, False, *args, **kwargs))
    classifier = Classifier(ClassifierConfig(
        model='demo', device='cpu', backend='eager', precision='float32', method=method,
        cache=str(tmp_path)))
    found = [classifier.classify(RGB, keep_ratio) for keep_ratio in classifier.config.levels]
    left = [prediction.num_keep for prediction in found]
    assert left == sorted(left, reverse=True) and left[0] == classifier.num_patches
    assert method == 'none' or left[-1] <= 0.25 * classifier.num_patches
    assert found[0].scores == Classifier(ClassifierConfig(
        model='demo', device='cpu', backend='eager', precision='float32',
        method='none')).classify(RGB).scores


@pytest.fixture
def fake_cuda(monkeypatch):
    """Return `torch.cuda` as far as the backend graph knows it, on the CPU."""
    return FakeCuda(monkeypatch)


def graph_and_eager(model, tell=print):
    return (choice.create(name, 'float32', model, vit.data_config(model), CPU, None, tell)
            for name in ('graph', 'eager'))


def assert_identical(found, expected):
    assert all(np.array_equal(mine, other) for mine, other in zip(found, expected))


def test_a_graph_that_is_launched_again_answers_as_eager_whatever_came_before(model, fake_cuda):
    graph, eager = graph_and_eager(model)
    generator = np.random.default_rng(3)
    for _ in range(12):
        keep_ratio, side = generator.choice(LEVELS), generator.integers(1, 120)
        rgb = generator.integers(0, 256, (side, 60, 3), dtype=np.uint8)
        assert_identical(graph(rgb, keep_ratio, 7), eager(rgb, keep_ratio, 7))
    assert fake_cuda.captures == len(LEVELS)  # and none for a camera size


def test_a_capture_that_fails_later_on_costs_no_answer(fake_cuda):
    told = []
    graph, eager = graph_and_eager(vit.create_vit('demo'), told.append)
    graph(RGB, 1.0, 5)
    fake_cuda.failures = [RuntimeError('operation not permitted')]
    for keep_ratio in (0.53, 0.53, 1.0):
        assert_identical(graph(RGB, keep_ratio, 5), eager(RGB, keep_ratio, 5))
    assert fake_cuda.captures == 2
    assert told == ['keep_ratio 0.53 could not be captured: operation not permitted; going on '
                    f'without CUDA graphs for {RETRY_FRAMES} images']
    graph._plain_frames = 0
    assert_identical(graph(RGB, 0.53, 5), eager(RGB, 0.53, 5))
    assert fake_cuda.captures == 3


def test_graphs_that_never_worked_are_an_error_so_that_auto_does_without(fake_cuda):
    graph, _ = graph_and_eager(vit.create_vit('demo'))
    fake_cuda.failures = [RuntimeError('operation not permitted')]
    with pytest.raises(CaptureError, match='keep_ratio 0.53 could not be captured: operation'):
        graph(RGB, 0.53, 5)


def test_the_stream_of_a_backend_that_is_gone_is_used_again(fake_cuda, monkeypatch):
    made = []
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: made.append(SimpleNamespace(
        synchronize=lambda: None)) or made[-1])
    monkeypatch.setattr('ltp_ros.backends.graph._IDLE_STREAMS', {CPU: []})
    model = vit.create_vit('demo')
    for _ in range(3):
        graph, _ = graph_and_eager(model)
        del graph
    assert len(made) == 1


def test_an_image_that_the_device_has_no_memory_for_is_refused_like_one_of_no_size(monkeypatch):
    _, eager = (None, choice.create('eager', 'float32', vit.create_vit('demo'),
                                      vit.data_config(vit.create_vit('demo')), CPU, None))

    def run_out(*args):
        raise torch.cuda.OutOfMemoryError('tried to allocate 20 GiB')
    monkeypatch.setattr(eager.transfer, 'upload', run_out)
    with pytest.raises(ImageSizeError, match='80x60 pixels does not fit in the memory'):
        eager(RGB, 0.53, 5)


def test_classes_that_score_alike_come_in_the_order_of_their_ids():
    logits = np.array([0.0, 2.0, 1.0, 2.0, 1.0, 1.0], np.float32)
    scores, class_ids = best_classes(logits, 4)
    assert class_ids.tolist() == [1, 3, 2, 4]
    expected = torch.from_numpy(logits).softmax(0).numpy()
    np.testing.assert_allclose(scores, expected[class_ids], rtol=1e-6)


@needs_gpu
def test_graph_gives_the_answers_of_eager_on_every_level_and_camera_size(model):
    device, data_config = torch.device('cuda'), vit.data_config(model)
    graph, eager = (choice.create(name, 'float16', model, data_config, device, None)
                    for name in ('graph', 'eager'))
    rgb = np.random.default_rng(1).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    for keep_ratio in LEVELS:
        for image in (RGB, rgb, RGB[::-1]):
            (scores, class_ids, kept), (expected, ids, expected_kept) = (
                backend(image, keep_ratio, 7) for backend in (graph, eager))
            # By class: ToMe adds in any order, so two that are alike may change places
            np.testing.assert_allclose(scores[class_ids.argsort()], expected[ids.argsort()],
                                       atol=1e-2)
            assert kept.tolist() == expected_kept.tolist()


@needs_gpu
def test_a_timed_graph_needs_nobody_to_keep_its_model(model, tmp_path):
    pixels = torch.randn(1, 3, 96, 96)
    cells = [make('graph', 'float16', model, keep_ratio, pixels, 'cuda', tmp_path)[:2]
             for keep_ratio in LEVELS]
    torch.cuda.empty_cache()
    for run, step in cells:
        run()
        if step is not None:
            step()
    torch.cuda.synchronize()


@needs_gpu
def test_nothing_leaves_or_enters_the_device_between_the_image_and_the_answer(model):
    from torch.profiler import ProfilerActivity, profile
    graph = GraphBackend(model, vit.data_config(model), torch.device('cuda'), 'float16', print)
    graph(RGB, 0.53, 5)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        graph(RGB, 0.53, 5)
    events = [event.name for event in profiler.events()]
    assert sum('Memcpy HtoD' in name for name in events) == 1
    assert sum('Memcpy DtoH' in name for name in events) == 1
    # The profiler itself waits for the whole device when it stops
    assert sum('StreamSynchronize' in name for name in events) == 1
    assert sum('GraphLaunch' in name for name in events) == 1


class Touched(TorchDispatchMode):
    """Note the devices that the operators touch."""

    def __init__(self):
        super().__init__()
        self.devices = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.devices |= {leaf.device.type for leaf in tree_flatten((args, kwargs, result))[0]
                         if isinstance(leaf, torch.Tensor)}
        return result


def on_a_gpu_of_no_substance(mode, module):
    """Put a module's tensors on a CUDA device that computes shapes and devices alone."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    fake = mode.from_tensor(tensor.detach())
                    with mode:
                        fake = fake.to('cuda')
                    tensors[name] = torch.nn.Parameter(fake, False) if isinstance(
                        tensor, torch.nn.Parameter) else fake
    return module


@pytest.fixture
def mode():
    """Return torch's mode of fake tensors, which have a GPU; skip where it must be a real one."""
    mode = FakeTensorMode()
    try:
        with mode:
            torch.empty(1, device='cuda')
    except RuntimeError:
        pytest.skip('this torch wants a driver even for fake tensors')
    return mode


@pytest.mark.parametrize('keep_ratio', LEVELS)
def test_from_the_image_to_the_answer_nothing_needs_the_host(mode, model, keep_ratio):
    # No size that depends on values, no number read, no tensor of the CPU's: torch's fake tensors
    # refuse the first two, so what passes here can be captured in a CUDA graph
    backend = EagerBackend(model, vit.data_config(model), CPU, 'float32')
    on_a_gpu_of_no_substance(mode, backend.model)
    preprocessor = on_a_gpu_of_no_substance(mode, backend.transfer.preprocessor)
    with mode, torch.inference_mode():
        image = torch.empty(480, 640, 3, dtype=torch.uint8, device='cuda')
        with Touched() as touched:  # the first image of its size, and a box where none was yet
            preprocessor(image)
            answer = backend.run(preprocessor(image, box=Region(31, 47, 260, 260)), keep_ratio)
    assert touched.devices == {'cuda'} and answer.device.type == 'cuda'


@pytest.mark.parametrize('crop_mode', ['center', 'squash', 'border'])
@pytest.mark.parametrize('size', [(480, 640), (9, 700), (700, 9)])
def test_in_every_crop_mode_the_input_is_made_on_the_device(mode, crop_mode, size):
    config = DataConfig((96, 96), (0.5,) * 3, (0.5,) * 3, crop_mode=crop_mode)
    preprocessor = on_a_gpu_of_no_substance(mode, Preprocessor(config, torch.float16))
    with mode, torch.inference_mode():
        image = torch.empty(*size, 3, dtype=torch.uint8, device='cuda')
        with Touched() as touched:
            pixels = preprocessor(image)
    assert touched.devices == {'cuda'} and pixels.shape == (1, 3, 96, 96)


@pytest.mark.parametrize('name', ['eager', 'graph', 'onnx', 'openvino'])
def test_a_part_of_an_image_is_answered_as_a_copy_of_it(name, fake_cuda, tmp_path):
    if name in RUNTIMES:
        pytest.importorskip(RUNTIMES[name])
    model = vit.create_vit('vit_tiny_patch16_224', pretrained=False, num_classes=7, img_size=96,
                           depth=2)
    backend = choice.create(name, 'float32', model, vit.data_config(model, 'border'), CPU,
                            tmp_path)
    for part in (RGB[10:50, 20:60], RGB[::2, 5:], RGB[-1:, :7]):
        assert_identical(backend(part, 0.53, 7), backend(part.copy(), 0.53, 7))


def test_a_level_has_nothing_that_the_tensorrt_of_a_jetson_takes_wrongly_or_not_at_all(
        model, tmp_path):
    onnx = pytest.importorskip('onnx')
    for keep_ratio in LEVELS:
        export_level(model, keep_ratio, tmp_path / 'level.onnx')
        graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / 'level.onnx')).graph
        types = {value.name: value.type.tensor_type.elem_type
                 for value in (*graph.value_info, *graph.input, *graph.output)}
        sorts = [node for node in graph.node if node.op_type == 'TopK']
        assert sorts and all(types[node.input[0]] == onnx.TensorProto.FLOAT for node in sorts)
        # The one it does not know; of the other it overwrites where it should add
        assert not {node.op_type for node in graph.node} & {'LayerNormalization',
                                                            'ScatterElements'}


@pytest.fixture
def with_tensorrt(monkeypatch):
    """Make onnxruntime claim to have TensorRT."""
    names = ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setitem(sys.modules, 'onnxruntime',
                        SimpleNamespace(get_available_providers=lambda: names))


def test_tensorrt_comes_first_where_it_is_there(with_tensorrt):
    assert choose_providers('cuda', 'float16') == [
        'TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']


def test_tensorrt_keeps_its_engines_by_the_content_of_a_level(tmp_path):
    device, path, folders = torch.device('cuda', 1), tmp_path / 'keep_0.5.onnx', set()
    for content in (b'one', b'another'):
        path.write_bytes(content)
        folders.add(engine_folder(path))
        options = provider_options('TensorrtExecutionProvider', device, 'float16',
                                   engine_folder(path))
        assert options['trt_fp16_enable'] and options['device_id'] == 1
        assert options['trt_layer_norm_fp32_fallback'] and options['trt_timing_cache_enable']
        assert options['trt_engine_cache_path'] == str(engine_folder(path))
    assert len(folders) == 2 and all(tmp_path in folder.parents for folder in folders)


def test_engines_of_another_jetpack_are_thrown_away(tmp_path, monkeypatch):
    release = tmp_path / 'nv_tegra_release'
    monkeypatch.setattr(onnx_gpu, 'L4T', release)
    levels = [tmp_path / f'keep_{ratio}.onnx' for ratio in (0.5, 0.7)]
    for path in levels:
        path.write_text(path.name)
    release.write_text('# R35 (release), REVISION: 3.1')
    before = [engine_folder(path) for path in levels]
    for folder in before:
        folder.mkdir()
    told = []
    drop_stale(engine_folder(levels[0]), told.append)
    assert before[0].is_dir() and not told
    release.write_text('# R35 (release), REVISION: 4.1')
    drop_stale(engine_folder(levels[0]), told.append)
    assert [folder.is_dir() for folder in before] == [False, True] and len(told) == 1


def test_nodes_are_counted_by_the_provider_that_ran_them(tmp_path):
    pytest.importorskip('onnxruntime')
    export_level(vit.create_vit('demo'), 0.5, tmp_path / 'level.onnx')
    options = session_options()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / 'run')
    session = open_session(tmp_path / 'level.onnx', options=options)
    BoundSession(session, np.zeros((1, 3, 32, 32), np.float32)).run()
    counts = nodes_by_provider(Path(session.end_profiling()))
    assert list(counts) == ['CPU'] and counts['CPU'] > 20


def test_openvino_reports_to_nobody():
    pytest.importorskip('openvino')
    code = ("import sys\nfrom ltp_ros.backends.openvino import runtime\nruntime().Core()\n"
            "print([name for name in sys.modules if 'telemetry' in name and sys.modules[name]])")
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert 'openvino_telemetry' not in found.stdout


@pytest.mark.parametrize('method', ['ltp', 'mixed', 'tome', 'none'])  # papr needs the hub
def test_the_features_are_those_of_torch_in_every_runtime(method, tmp_path):
    def backend(name):
        model = vit.create_vit('demo', method=method)
        return choice.create(name, 'float32', model, vit.data_config(model), CPU, tmp_path)

    eager, *others = map(backend, ('eager', 'onnx', 'openvino'))
    for keep_ratio in (1.0, 0.53) if method != 'none' else (1.0,):
        features = eager(RGB, keep_ratio, 1).features
        assert features.dtype == np.float32 and np.linalg.norm(features) == pytest.approx(2 ** 0.5)
        for other in others:
            np.testing.assert_allclose(other(RGB, keep_ratio, 1).features, features, atol=1e-3)
