# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark methods`: equal work, fair pairs, and numbers that mean what they say."""
import io
import json

import pytest
import torch
from rich.console import Console

from ltp_ros.config import REDUCTIONS
from ltp_ros.model.vit import create_vit
from ltp_ros.research.benchmarks import methods
from ltp_ros.research.benchmarks.batches import baselines
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.methods import (
    LTP,
    NO_REDUCTION,
    SAME_GMACS,
    SAME_RATIO,
    Contender,
)
from ltp_ros.research.benchmarks.methods_plot import draw
from ltp_ros.research.benchmarks.runners import PruningStep, interleave, make, peak_mib
from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks.methods import make_table

PIXELS = torch.zeros(1, 3, 224, 224)


def make_models(name='vit_tiny_patch16_224', **model_args):
    return {method: create_vit(name, pretrained=False, method=method, **model_args)
            for method in REDUCTIONS}


@pytest.fixture(scope='module')
def tiny():
    """Return one model for each method."""
    return make_models()


@pytest.mark.parametrize('name, unpruned, pruned', [
    ('vit_small_patch16_224', 4.24, 2.34), ('vit_base_patch16_224', 16.85, 8.89)])
def test_gmacs_are_those_of_the_papers_table(name, unpruned, pruned):
    model = create_vit(name, pretrained=False)
    assert methods.gmacs_at(model, 1.0, PIXELS) == pytest.approx(unpruned, rel=0.01)
    keep_ratio = methods.paper_keep_ratio(name, model, PIXELS)
    assert keep_ratio == pytest.approx(0.53, abs=0.02)
    assert methods.gmacs_at(model, keep_ratio, PIXELS) == pytest.approx(pruned, rel=0.01)


def test_gmacs_are_those_of_one_image_whatever_the_batch(tiny):
    one, four = (methods.gmacs_at(tiny[LTP], 0.5, torch.zeros(batch, 3, 224, 224))
                 for batch in (1, 4))
    assert one == pytest.approx(four)


def test_other_models_are_cut_by_45_percent(tiny):
    keep_ratio = methods.paper_keep_ratio('vit_tiny_patch16_224', tiny[LTP], PIXELS)
    cut = methods.gmacs_at(tiny[LTP], keep_ratio, PIXELS) / methods.gmacs_at(tiny[LTP], 1.0,
                                                                             PIXELS)
    assert cut == pytest.approx(0.55, rel=0.01)


def test_peers_run_at_the_same_ratio_and_at_the_same_work(tiny):
    contenders = methods.contenders_of(tiny, [0.53], PIXELS)
    assert contenders[0].method == NO_REDUCTION and contenders[0].keep_ratio == 1.0
    target = next(contender.gmacs for contender in contenders if contender.method == LTP)
    by_setting = {setting: {each.method: each for each in contenders if each.setting == setting}
                  for setting in (SAME_RATIO, SAME_GMACS)}
    assert set(by_setting[SAME_RATIO]) == set(REDUCTIONS)
    assert set(by_setting[SAME_GMACS]) == {'mixed', 'papr', 'tome'}
    for contender in by_setting[SAME_GMACS].values():
        assert contender.gmacs == pytest.approx(target, rel=0.02)
    assert by_setting[SAME_RATIO]['papr'].gmacs > 1.05 * target  # the ConvNet is not free
    assert by_setting[SAME_RATIO]['tome'].gmacs == pytest.approx(target, rel=0.03)


def test_ratios_are_taken_within_a_round():
    # The machine is ten times slower in the second round: medians of each would say 5.5 / 3
    assert methods.pairwise([2.0, 20.0, 2.0], [1.0, 10.0, 4.0]) == 2.0


def test_everything_runs_in_turns_after_a_warm_up():
    order = []
    times = interleave([lambda: order.append('a'), lambda: order.append('b')], rounds=3, warm_up=1)
    assert order == ['a', 'b'] * 4
    assert [len(each) for each in times] == [3, 3]


def test_a_row_compares_with_the_unpruned_model_of_its_own_backend():
    unpruned, pruned, equal = (Contender(NO_REDUCTION, 1.0, SAME_RATIO, 1.0),
                               Contender(LTP, 0.5, SAME_RATIO, 0.5),
                               Contender('papr', 0.45, SAME_GMACS, 0.5))
    times = {(pair, contender): [scale * contender.keep_ratio] * 3
             for pair, scale in (('eager:float32', 8.0), ('onnx:float32', 2.0))
             for contender in (unpruned, pruned, equal)}
    row = methods.row(equal, 4, 'onnx', 'float32', times['onnx:float32', equal],
                      baselines(times, 'onnx:float32', equal))
    assert row['ratio_to_unpruned'] == pytest.approx(0.45)
    assert row['ratio_to_ltp'] == pytest.approx(0.9)
    assert row['ratio_to_eager_float32'] == pytest.approx(0.9 / 8)
    assert row['images_per_s'] == pytest.approx(4000 / 0.9)


@pytest.mark.parametrize('method', ['ltp', 'mixed', 'papr', 'tome'])
def test_the_pruning_step_alone_makes_the_tokens_that_the_model_goes_on_with(tiny, method):
    model = tiny[method]
    model.patch_drop.keep_ratio = 0.5
    seen = []
    first, last = model.blocks[0], model.blocks[-1]
    hook = (last.mlp if method == 'tome' else first).register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0]))
    pixels = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        step = PruningStep(model, pixels)
        found = step(*step.inputs.values())
    hook.remove()
    assert found.shape == seen[-1].shape
    if method != 'tome':
        assert torch.equal(found, seen[-1])


@pytest.mark.parametrize('method', REDUCTIONS)
def test_every_method_runs_in_every_backend(tiny, method, tmp_path):
    pytest.importorskip('onnxruntime')
    pixels = torch.randn(2, 3, 224, 224)
    for backend, precision in (('eager', 'float32'), ('eager', 'bfloat16'),
                               ('onnx', 'float32'), ('onnx', 'int8')):
        run, step, model = make(backend, precision, tiny[method], 0.5, pixels, 'cpu',
                                tmp_path / f'{backend}_{precision}')
        run()
        assert (step is None) == (backend == 'onnx' and method in ('tome', 'none'))
        if step:
            step()


def test_pruning_takes_memory_off_the_forward_pass(tiny):
    pixels = torch.randn(4, 3, 224, 224)
    tiny[LTP].patch_drop.keep_ratio = 0.5
    unpruned = peak_mib(tiny[NO_REDUCTION], pixels)
    # At least the MLP's hidden layer: 4 images, 197 tokens, 768 float32
    assert unpruned > 4 * 197 * 768 * 4 / 2 ** 20
    assert peak_mib(tiny[LTP], pixels) < 0.75 * unpruned


def test_program_writes_a_row_for_every_method_and_batch(tmp_path, capsys, monkeypatch):
    pytest.importorskip('matplotlib')
    monkeypatch.chdir(tmp_path)
    assert main(['methods', '--model', 'vit_tiny_patch16_224', '--batch', '1', '2', '--rounds',
                 '1', '--run', 'eager:float32', '--device', 'cpu', '--quiet', '--json', 'r.json',
                 '--plot', 'p.png']) == 0
    result = json.loads((tmp_path / 'r.json').read_text())
    assert len(result['rows']) == 2 * (len(REDUCTIONS) + 3)  # three others at equal GMACs too
    for row in result['rows']:
        assert row['n'] >= 5 and 0 < row['p50_ms'] <= row['p95_ms'] <= row['p99_ms']
        assert (row['prune_ms'] is None) == (row['method'] == NO_REDUCTION)
    assert (tmp_path / 'p.png').read_bytes().startswith(b'\x89PNG')
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(result, result['rows']))
    assert '…' not in output.getvalue() and 'papr*' in output.getvalue()


def test_one_batch_size_is_drawn_as_bars(tmp_path):
    pytest.importorskip('matplotlib')
    rows = [{'backend': 'eager', 'precision': 'float32', 'method': method, 'setting': SAME_RATIO,
             'batch': 1, 'keep_ratio': 0.5, 'p50_ms': 5.0, 'prune_ms': None, 'peak_mib': 2.0}
            for method in REDUCTIONS]
    figure = new_figure(str(tmp_path / 'p.png'), 12, 4)
    draw(figure, {'model': 'm', 'hardware': 'h', 'rows': rows})
    assert [len(axes.patches) for axes in figure.axes] == [len(REDUCTIONS), 0, len(REDUCTIONS)]
    figure.savefig(str(tmp_path / 'p.png'))


@pytest.mark.parametrize('argv, words', [
    (['--run', 'onnx:float16'], 'onnx: float32, int8'), (['--methods', 'evit'], 'evit'),
    (['--batch', '0'], 'at least 1'), (['--keep-ratios', '-1'], 'must be in (0, 1]')])
def test_what_is_not_allowed_is_refused_by_name(argv, words, capsys):
    with pytest.raises(SystemExit):
        main(['methods', *argv])
    assert words in ' '.join(capsys.readouterr().err.split())


def test_graphs_without_a_gpu_are_refused_with_a_way_out(capsys):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    assert main(['methods', '--model', 'vit_tiny_patch16_224', '--run', 'graph:float32',
                 '--device', 'cpu', '--quiet']) == 2
    assert 'choose others with --run' in ' '.join(capsys.readouterr().err.split())
