# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark board`: one folder to send, with every level, the paper and the board."""
import io
import json

import numpy as np
import pytest
from rich.console import Console

from ltp_ros.research.benchmarks.board import PARTS, ladder, paper
from ltp_ros.research.benchmarks.board.ladder import Cell, agreement_of, cells_of
from ltp_ros.research.benchmarks.board.paper import PUBLISHED, beside_paper
from ltp_ros.research.benchmarks.board.settings import BoardSettings
from ltp_ros.research.benchmarks.board.state import State, Watch, model_of_board, read
from ltp_ros.research.benchmarks.gpu.parts import PASSED
from ltp_ros.research.benchmarks.methods import SAME_GMACS, SAME_RATIO
from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks.board import make_table, parse_run

XAVIER = {
    'sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq': '1190400',
    'sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq': '1907200',
    'sys/class/devfreq/17000000.gv11b/cur_freq': '1109250000',
    'sys/class/devfreq/15340000.vic/cur_freq': '115200000',
    'sys/class/thermal/thermal_zone0/type': 'CPU-therm',
    'sys/class/thermal/thermal_zone0/temp': '47500',
    'sys/class/thermal/thermal_zone1/type': 'GPU-therm',
    'sys/class/thermal/thermal_zone1/temp': '45000',
    'sys/class/thermal/thermal_zone2/type': 'PMIC-Die',
    'sys/class/thermal/thermal_zone2/temp': '100000',
    'sys/class/thermal/thermal_zone3/type': 'AUX-therm',  # asleep: without a readable number
    'sys/class/thermal/cooling_device0/type': 'pwm-fan',
    'sys/class/thermal/cooling_device0/cur_state': '3',
    'sys/class/thermal/cooling_device1/type': 'thermal-gpufreq-0',
    'sys/class/thermal/cooling_device1/cur_state': '0',
    'sys/class/thermal/cooling_device2/type': 'thermal-cpufreq-1',
    'sys/class/thermal/cooling_device2/cur_state': '2',
    'proc/meminfo': 'MemTotal: 7000000 kB\nMemAvailable:    4194304 kB\n',
    'proc/device-tree/model': 'NVIDIA Jetson Xavier NX Developer Kit\0',
    'etc/nv_tegra_release': '# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref\n',
}


@pytest.fixture
def xavier(tmp_path):
    """Return the root of a file system that has what a Xavier NX shows of itself."""
    for name, text in XAVIER.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_board_is_read_as_its_kernel_shows_it(xavier):
    state = read(xavier)
    assert (state.cpu_mhz, state.gpu_mhz, state.available_mib) == (1548.8, 1109.25, 4096.0)
    assert state.degrees == {'CPU-therm': 47.5, 'GPU-therm': 45.0}  # the PMIC's are not real
    assert state.brakes == {'thermal-cpufreq-1': 2}  # the fan takes nothing away
    assert model_of_board(xavier) == {'board': 'NVIDIA Jetson Xavier NX Developer Kit',
                                      'l4t': 'R35 (release), REVISION: 4.1'}


def test_a_machine_that_shows_nothing_has_unknown_numbers_not_zeros(tmp_path):
    assert read(tmp_path) == State()
    assert model_of_board(tmp_path) == {}
    watch = Watch(lambda: read(tmp_path))
    watch()
    assert watch.summary() == {
        'looks': 1, 'cpu_mhz_min': None, 'cpu_mhz_max': None, 'gpu_mhz_min': None,
        'gpu_mhz_max': None, 'available_mib_min': None, 'hottest_c': None, 'zone': '',
        'held_back_by': '', 'throttled': 0}


def test_the_board_is_looked_at_once_a_second_and_its_extremes_are_told():
    now_s, states = [0.0], iter([
        State(2000.0, 1100.0, {'cpu': 40.0}, {}, 5, 800.0),
        State(1200.0, 1100.0, {'cpu': 71.0}, {'cpufreq': 1}, 9, 600.0)])
    watch = Watch(lambda: next(states), lambda: now_s[0])
    for now_s[0] in (0.0, 0.4, 0.9, 1.0, 1.5):
        watch()
    assert watch.summary() == {
        'looks': 2, 'cpu_mhz_min': 1200.0, 'cpu_mhz_max': 2000.0, 'gpu_mhz_min': 1100.0,
        'gpu_mhz_max': 1100.0, 'available_mib_min': 600.0, 'hottest_c': 71.0, 'zone': 'cpu',
        'held_back_by': 'cpufreq', 'throttled': 4}


def test_each_method_has_each_level_and_the_unpruned_model_comes_first():
    settings = BoardSettings('cpu', methods=('none', 'ltp', 'tome'), keep_ratios=(1.0, 0.5, 0.25))
    assert cells_of(settings) == [
        Cell('none', 1.0), Cell('ltp', 0.5), Cell('ltp', 0.25), Cell('tome', 0.5),
        Cell('tome', 0.25)]


def test_agreement_is_with_all_tokens_on_photos_and_of_trained_weights_alone(tmp_path):
    import cv2
    for index in range(4):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((8, 8, 3), 60 * index, np.uint8))
    cells = [Cell('none', 1.0), Cell('ltp', 0.5)]

    def answer(cell, picture):
        return int(picture.mean() > 100) if cell.method == 'ltp' else int(picture.mean() > 130)

    trained = BoardSettings('cpu', model='demo', photos=str(tmp_path))
    assert agreement_of(trained, cells, answer) == {cells[0]: 1.0, cells[1]: 0.75}
    for without in (BoardSettings('cpu', photos=str(tmp_path)), BoardSettings('cpu', 'demo')):
        assert agreement_of(without, cells, answer) == dict.fromkeys(cells)


def test_peers_are_held_against_the_papers_at_equal_work():
    def row(method, setting, batch, p50_ms):
        return {'method': method, 'setting': setting, 'batch': batch, 'backend': 'eager',
                'precision': 'float32', 'p50_ms': p50_ms, 'peak_mib': 1.0, 'prune_ms': 1.0}
    rows = [row('ltp', SAME_RATIO, 1, 10.0), row('papr', SAME_RATIO, 1, 11.0),
            row('papr', SAME_GMACS, 1, 12.0), row('papr', SAME_GMACS, 8, 13.0)]
    found = {(each['quantity'], each['method']): each for each in beside_paper(rows)}
    assert len(found) == sum(map(len, PUBLISHED.values()))
    assert found['p50_ms', 'ltp'] == {
        'of': 'Fig. 6', 'quantity': 'p50_ms', 'batch': 1, 'method': 'ltp',
        'paper, not ours': 25.82, 'here, eager float32': 10.0}
    assert found['p50_ms', 'papr']['here, eager float32'] == 12.0
    assert set(found['prune_ms', 'papr']) == {'of', 'quantity', 'batch', 'method',
                                              'paper, not ours'}  # 64 was not measured


def test_one_command_leaves_json_page_and_plots_in_one_folder(tmp_path, capsys):
    pytest.importorskip('matplotlib')
    folder = tmp_path / 'board'
    assert main(['board', '--quiet', '--device', 'cpu', '--model', 'vit_tiny_patch16_224',
                 '--run', 'eager:float32', 'graph:float32', '--methods', 'ltp', 'tome',
                 '--keep-ratios', '1.0', '0.5', '--batch', '1', '2', '--rounds', '3',
                 '--minutes', '5', '--parts', 'here', 'ladder', 'paper',
                 '--output', str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {
        'report.json', 'report.md', 'log.txt', 'ladder.png', 'figures_6_and_7.png'}
    report = json.loads((folder / 'report.json').read_text())
    assert report['program'] == 'ltp_benchmark board' and report['torch'] and report['started']
    parts = {part['name']: part for part in report['parts']}
    assert {part['status'] for part in parts.values()} == {PASSED}

    figures = parts['ladder']['figures']
    rows = figures['tables'][ladder.TABLE]
    assert [(row['method'], row['keep_ratio']) for row in rows] == [
        ('none', 1.0), ('ltp', 0.5), ('tome', 0.5)]
    for row in rows:
        assert row['n'] == 3 and 0 < row['p50_ms'] <= row['p95_ms'] <= row['p99_ms']
    assert rows[0]['of_unpruned'] == 1.0
    assert [note.split(':float32')[0] for note in figures['notes']] == ['graph']  # no GPU
    assert figures['tables']['the board meanwhile'][0]['looks'] >= 1

    batches = parts['paper']['figures']['tables'][paper.TABLE]
    assert {row['batch'] for row in batches} == {1, 2}
    assert paper.BESIDE not in parts['paper']['figures']['tables']  # not the paper's model
    page = (folder / 'report.md').read_text()
    assert page.startswith('# `ltp_benchmark board` on ')
    for name in ('ladder.png', 'figures_6_and_7.png'):
        assert f']({name})' in page
        assert (folder / name).read_bytes().startswith(b'\x89PNG')
    assert 'ltp' in capsys.readouterr().out


def test_the_table_fits_80_letters():
    rows = [{'method': method, 'keep_ratio': ratio, 'backend': backend, 'precision': precision,
             'p50_ms': 1234.5, 'of_unpruned': 0.5}
            for method in ('none', 'mixed') for ratio in (1.0, 0.53)
            for backend, precision in (('eager', 'float32'), ('eager', 'bfloat16'),
                                       ('onnx', 'float32'), ('onnx', 'int8'),
                                       ('openvino', 'float32'))]
    output = io.StringIO()
    Console(width=80, file=output).print(make_table({'model': 'm', 'hardware': 'h'}, rows))
    assert '…' not in output.getvalue() and '1234.5 0.50' in output.getvalue()


@pytest.mark.parametrize('argv, words', [
    (['--run', 'onnx:bfloat16'], 'onnx: float32, int8'), (['--parts', 'gpu'], 'ladder'),
    (['--batch', '0'], 'at least 1'), (['--keep-ratios', '2'], 'must be in (0, 1]')])
def test_what_is_not_allowed_is_refused_by_name(argv, words, capsys):
    with pytest.raises(SystemExit):
        main(['board', *argv])
    assert words in ' '.join(capsys.readouterr().err.split())


def test_photos_that_are_not_there_are_noticed_before_minutes_have_passed(tmp_path, capsys):
    assert main(['board', '--quiet', '--device', 'cpu', '--output', str(tmp_path),
                 '--photos', 'nowhere']) == 2
    assert "'nowhere' is not a folder" in capsys.readouterr().err


def test_tensorrt_is_measured_where_it_is_asked_for():
    assert parse_run('onnx:float16') == 'onnx:float16'
    assert {part.name for part in PARTS} >= {'here', 'ladder', 'paper', 'node'}
