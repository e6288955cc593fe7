# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark deadline`: what it makes of recorded answers, and what it refuses."""
import csv
import dataclasses
import io
import itertools
import json
import math
import sys

import pytest
from rich.console import Console

from ltp_ros.research.benchmarks import BenchmarkError, deadline
from ltp_ros.research.benchmarks.deadline import FrameRow, Phase, Run, best_level, right_from, rows
from ltp_ros.research.benchmarks.deadline_plot import draw
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks.deadline_report import make_table, write_frames
from ltp_ros.tools.benchmarks.deadline_runner import busy_core, check_arrivals, check_run

LADDER = (1.0, 0.7, 0.5, 0.3)
DEADLINE_MS = 50.0
LATE, ON_TIME = 60.0, 40.0
TARGET = 0.1


def frames(phase, keep_ratios, ages_ms, deadline_ms=DEADLINE_MS, first_index=0, dropped=0):
    """Return answers 0.1 s apart."""
    return [FrameRow(phase, 0.1 * index, index, keep_ratio, age_ms, age_ms / 2, dropped,
                     deadline_ms)
            for index, (keep_ratio, age_ms) in enumerate(
                zip(keep_ratios, itertools.cycle(ages_ms)), first_index)]


def fixed(phase, keep_ratio, late, **more):
    """Return 20 answers at one level, the first `late` of them late."""
    return frames(phase, [keep_ratio] * 20, [LATE] * late + [ON_TIME] * (20 - late), **more)


def fixed_runs(situation, **late):
    """Return a run of each level; `late` is, for each phase, how many are late at each level."""
    return [Run(situation, level, [
        frame for number, (phase, counts) in enumerate(late.items())
        for frame in fixed(phase, level, counts[index], first_index=20 * number)])
        for index, level in enumerate(LADDER)]


def row_of(table, **wanted):
    """Return the only row with these values."""
    found = [row for row in table if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def test_the_best_level_is_the_highest_that_meets_the_target():
    phases = {level: fixed('a', level, late) for level, late in zip(LADDER, (20, 2, 0, 0))}
    assert best_level(phases, TARGET) == 0.7


def test_the_best_level_need_not_be_the_one_with_the_fewest_misses_nor_lie_above_a_bad_one():
    phases = {level: fixed('a', level, late) for level, late in zip(LADDER, (2, 5, 0, 0))}
    assert best_level(phases, TARGET) == 1.0


def test_where_no_level_meets_the_target_the_best_misses_least_often():
    phases = {level: fixed('a', level, late) for level, late in zip(LADDER, (20, 9, 5, 5))}
    assert best_level(phases, TARGET) == 0.5


def test_fewest_means_the_share_of_the_answers_not_their_number():
    few = fixed('a', 1.0, 5)[:6]  # a slow level gives fewer answers, and so fewer late ones
    assert best_level({1.0: few, 0.3: fixed('a', 0.3, 8)}, TARGET) == 0.3


@pytest.mark.parametrize('keep_ratios, expected', [
    ([0.5] * 10, 0), ([0.7] * 10, 0), ([0.3] * 10, 0), ([1.0] * 4 + [0.7, 0.5] * 5, 4),
    ([1.0] * 20, None), ([0.5] * 9, None), ([1.0] + [0.5] * 9, None),
    ([0.5] * 9 + [1.0] + [0.5] * 10, 10), ([], None)])
def test_the_right_level_is_within_one_of_the_oracles_for_ten_frames(keep_ratios, expected):
    assert right_from(keep_ratios, 0.5, LADDER) == expected


def test_neighbours_are_counted_on_the_ladder_in_whatever_order_it_comes():
    assert right_from([1.0] * 10, 0.7, (0.3, 1.0, 0.5, 0.7)) == 0


@pytest.mark.parametrize('keep_ratios, expected', [
    ([], 0), ([0.5], 0), ([0.5, 0.5], 0), ([0.5, 0.7, 0.7, 0.5], 2)])
def test_a_level_change_is_a_frame_at_another_level_than_the_one_before(keep_ratios, expected):
    assert deadline.level_changes(keep_ratios) == expected


def test_a_frame_at_the_deadline_is_not_late():
    assert not frames('a', [1.0], [DEADLINE_MS])[0].missed
    assert frames('a', [1.0], [DEADLINE_MS + 1e-9])[0].missed


def test_the_numbers_of_a_row():
    answers = frames('a', [1.0, 1.0, 0.5, 0.5], [10.0, 20.0, 30.0, 70.0], dropped=2)
    answers[3] = dataclasses.replace(answers[3], frame_index=5)  # two were not heard of
    table = rows([Run('s', None, answers)], LADDER, TARGET, {1.0: 100.0, 0.5: 70.0})
    assert table == [{
        'situation': 's', 'phase': 'a', 'policy': 'tuned', 'deadline_ms': 50.0, 'miss_rate': 0.25,
        'misses': 1, 'mean_keep_ratio': 0.75,
        'on_time_agreement': (100 + 100 + 70) / 12, 'level_changes': 1, 'age_p50_ms': 25.0,
        'age_p99_ms': pytest.approx(68.8), 'inference_p50_ms': 12.5, 'received': 14,
        'published': 6, 'dropped': 8, 'n': 4, 'frames_to_right_level': None,
        'seconds_to_right_level': None}]


def test_the_oracle_takes_the_best_level_of_each_phase():
    table = rows(fixed_runs('s', a=(0, 0, 0, 0), b=(20, 20, 1, 0)), LADDER, TARGET)
    assert row_of(table, phase='a', policy='oracle')['mean_keep_ratio'] == 1.0
    assert row_of(table, phase='b', policy='oracle')['mean_keep_ratio'] == 0.5
    together = row_of(table, phase='all', policy='oracle')
    assert (together['mean_keep_ratio'], together['misses'], together['level_changes']) == (
        0.75, 1, 0)


def test_there_is_no_oracle_without_every_level():
    table = rows(fixed_runs('s', a=(0, 0, 0, 0))[1:], LADDER, TARGET)
    assert {row['policy'] for row in table} == {'fixed 0.7', 'fixed 0.5', 'fixed 0.3'}


def test_the_tuner_is_timed_against_the_oracle_of_the_phase_and_no_other_policy_is():
    tuned = Run('s', None, frames('a', [1.0] * 20, [ON_TIME]) +
                frames('b', [1.0] * 3 + [0.5] * 17, [ON_TIME], first_index=20))
    table = rows([tuned, *fixed_runs('s', a=(0, 0, 0, 0), b=(20, 20, 1, 0))], LADDER, TARGET)
    assert row_of(table, phase='a', policy='tuned')['frames_to_right_level'] == 0
    moved = row_of(table, phase='b', policy='tuned')
    assert moved['frames_to_right_level'] == 3
    assert moved['seconds_to_right_level'] == pytest.approx(0.3)
    assert all(row['frames_to_right_level'] is None for row in table
               if row['policy'] != 'tuned' or row['phase'] == 'all')


def test_a_halved_deadline_is_judged_by_phase_and_not_named_for_both():
    run = Run('s', 0.5, fixed('a', 0.5, 0) + fixed('b', 0.5, 0, deadline_ms=30, first_index=20))
    table = rows([run], LADDER, TARGET)
    assert [row['deadline_ms'] for row in table] == [50, 30, None]
    assert [row['miss_rate'] for row in table] == [0.0, 1.0, 0.5]


def test_situations_are_summed_up_for_each_policy_but_not_counted_across():
    runs = [Run('s', 0.5, fixed('a', 0.5, 2)), Run('t', 0.5, fixed('a', 0.5, 4))]
    total = row_of(rows(runs, LADDER, TARGET), situation='all')
    assert (total['n'], total['misses'], total['published']) == (40, 6, 40)


def test_rows_are_plain_numbers_for_json():
    json.dumps(rows(fixed_runs('s', a=(0, 0, 0, 0)), LADDER, TARGET), allow_nan=False)


def test_a_phase_without_an_answer_is_no_measurement():
    with pytest.raises(BenchmarkError, match="no answer in the phase 'b'"):
        check_run(Run('s', 0.5, fixed('a', 0.5, 0)), [Phase('a'), Phase('b')])


def test_an_answer_of_unknown_age_is_no_measurement():
    with pytest.raises(BenchmarkError, match='NaN'):
        check_run(Run('s', None, frames('a', [0.5], [math.nan])), [Phase('a')])


def test_a_fixed_policy_that_moved_is_no_measurement():
    run = Run('s', 0.5, frames('a', [0.5, 0.7], [ON_TIME]))
    with pytest.raises(BenchmarkError, match=r"'fixed 0.5'.*ran at \[0.7\]"):
        check_run(run, [Phase('a')])


def test_a_phase_whose_images_were_lost_on_the_way_is_no_measurement():
    run = Run('s', None, frames('a', [0.5] * 20, [ON_TIME], dropped=1))  # 40 images reached it
    check_arrivals(run, [Phase('a')], seconds=40 / 30)
    with pytest.raises(BenchmarkError, match='40 of about 60 images reached the node'):
        check_arrivals(run, [Phase('a')], seconds=2.0)
    with pytest.raises(BenchmarkError, match='40 of about 80'):
        check_arrivals(run, [Phase('a', rate_factor=2.0)], seconds=40 / 30)


def test_the_table_fits_a_terminal_and_shows_what_was_asked_for():
    head = {'model': 'm', 'device': 'cpu', 'backend': 'eager', 'precision': 'float32',
            'deadline_ms': 50.0}
    table = rows(fixed_runs('halved', before=(20, 2, 0, 0), after=(20, 20, 20, 0)), LADDER, TARGET)
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(head, table, {'oracle', 'fixed 1'}))
    text = output.getvalue()
    assert '…' not in text
    lines = [line for line in text.splitlines() if '%' in line]
    assert len(lines) == 6
    assert sum('fixed 1 ' in line for line in lines) == sum('oracle' in line for line in lines)


def test_every_answer_is_written_as_csv(tmp_path):
    run = Run('s', None, fixed('a', 0.5, 3))
    write_frames(str(tmp_path / 'frames.csv'), [run])
    with (tmp_path / 'frames.csv').open(newline='') as file:
        written = list(csv.DictReader(file))
    assert [float(row['age_ms']) for row in written] == [frame.age_ms for frame in run.frames]
    assert {(row['situation'], row['policy'], row['phase']) for row in written} == {
        ('s', 'tuned', 'a')}


def test_the_time_line_has_a_panel_for_each_situation(tmp_path):
    pytest.importorskip('matplotlib')
    runs = [*fixed_runs('s', a=(0, 0, 0, 0), b=(5, 0, 0, 0)), *fixed_runs('t', a=(0, 0, 0, 0)),
            Run('s', None, fixed('a', 0.5, 3)), Run('t', None, fixed('a', 0.5, 3))]
    path = tmp_path / 'line.png'
    figure = new_figure(str(path), 8, 6)
    draw(figure, runs, [None, 1.0])
    figure.savefig(str(path))
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ['s', 't']
    shown = [line.get_label() for line in figure.axes[0].get_lines()]
    assert shown[:3] == ['fixed 1', 'tuned', 'deadline']
    assert path.read_bytes().startswith(b'\x89PNG')


def refusal(capsys, *argv):
    """Run the program, which must refuse its command line; return what it says."""
    with pytest.raises(SystemExit) as stop:
        main(list(argv))
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize('argv, words', [
    ([], 'COMMAND'), (['nonsense'], 'nonsense'),
    (['deadline', '--policies', 'fast'],
     "'fast' is not a valid policy; expected 'tuned' or a level"),
    (['deadline', '--policies', '0.5'], '1, 0.9, 0.8, 0.7, 0.6, 0.53'),
    (['deadline', '--policies', 'nan'], "'nan' is not a valid policy"),
    (['deadline', '--situations', 'calm'], 'steady'),
    (['deadline', '--seconds', '0'], '0 is not allowed; it must be above 0'),
    (['deadline', '--deadline-ms', 'nan'], 'nan is not allowed'),
    (['deadline', '--deadline-ms', '-5'], '-5 is not allowed')])
def test_a_command_line_that_is_not_allowed_is_refused_by_name(argv, words, capsys):
    assert words in ' '.join(refusal(capsys, *argv).split())


@pytest.mark.parametrize('argv, words', [
    (['--plot', 'x.nonsense'], 'nonsense'), (['--json', 'nowhere/x.json'], 'nowhere/x.json'),
    (['--frames', 'nowhere/x.csv'], 'nowhere/x.csv')])
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(argv, words, capsys):
    pytest.importorskip('matplotlib')
    assert main(['deadline', *argv]) == 2
    assert words in capsys.readouterr().err


def test_without_matplotlib_a_plot_is_refused_with_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    assert main(['deadline', '--plot', 'x.png']) == 2
    assert 'pip install matplotlib' in capsys.readouterr().err


def test_the_competing_process_runs_for_its_phase_alone():
    with busy_core() as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_node_camera_and_benchmark_measure_every_policy(forked, small_model, tmp_path):
    path = tmp_path / 'result.json'
    assert main(['deadline', '--checkpoint', small_model, '--device', 'cpu',
                 '--deadline-ms', '200', '--seconds', '1', '--situations', 'halved',
                 '--policies', 'tuned', '0.53', '--no-oracle', '--quiet',
                 '--json', str(path)]) == 0
    result = json.loads(path.read_text())
    assert result['order'] == ['tuned', 'fixed 0.53']
    assert result['conserved'] is True
    for policy in result['order']:
        deadlines = [row['deadline_ms'] for row in result['rows'] if row['policy'] == policy]
        assert deadlines == [200, 100, None]
    assert row_of(result['rows'], policy='fixed 0.53', phase='all')['mean_keep_ratio'] == 0.53
