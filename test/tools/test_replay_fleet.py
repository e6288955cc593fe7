# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay` with several bags: one that fails, or whose process dies, is not in their way."""
import json
import os
import signal
from multiprocessing import active_children
from pathlib import Path

import pytest
from replay_bags import CAMERA, FLAGS, count, pictures, write_bag

from ltp_ros.config import Config
from ltp_ros.tools.replay import build_parser, main
from ltp_ros.tools.support import replay_job, replay_processes
from ltp_ros.tools.support.replay_flags import jobs_of, names_of
from ltp_ros.tools.support.replay_processes import Failed, with_threads


@pytest.fixture
def bags(tmp_path):
    """Return a folder of three bags and one that is none."""
    for number in range(3):
        write_bag(tmp_path / 'bags' / f'drive{number}', {CAMERA: pictures(4 + number)})
    (tmp_path / 'bags' / 'broken.mcap').write_bytes(b'no bag')
    return tmp_path / 'bags'


def run(paths, output, *more):
    return main([*map(str, paths), '--output', str(output), '--format', 'csv', *FLAGS, *more])


def test_bags_are_replayed_in_processes_and_those_that_fail_are_listed(bags, tmp_path, capsys):
    output = tmp_path / 'answers'
    assert run([bags], output, '--jobs', '2', '--json', str(tmp_path / 'told.json')) == 1
    assert {path.name: count(path) for path in output.glob('*.csv')} == {
        f'drive{number}.csv': 4 + number for number in range(3)}
    told = capsys.readouterr()
    assert '1 of 4 bags have no output' in told.err and 'broken.mcap: ' in told.err
    rows = json.loads((tmp_path / 'told.json').read_text())['rows']
    assert [Path(row['bag']).name for row in rows if 'error' in row] == ['broken.mcap']


def test_a_process_that_is_killed_costs_one_bag_and_is_gone_on_with(bags, tmp_path):
    paths = sorted(bags.glob('drive*'))
    jobs = jobs_of(build_parser().parse_args([
        *map(str, paths), '--output', str(tmp_path / 'answers'), '--format', 'csv', *FLAGS]))
    (tmp_path / 'answers').mkdir()
    results, killed = [], []

    def kill_once(job, share):
        if not killed:
            killed.append(job)
            os.kill(active_children()[0].pid, signal.SIGKILL)

    replay_processes.run(jobs, 1, results.append, kill_once)
    failed = [result for result in results if isinstance(result, Failed)]
    assert [result.job.bag for result in failed] == [str(paths[0])]
    assert 'exit code -9' in failed[0].reason and len(results) == 3
    assert (tmp_path / 'answers' / 'drive0.csv.part').exists()
    notes = []
    replay_job.run(failed[0].job, notes.append)
    assert 'were done by an earlier run' in notes[0]
    assert count(tmp_path / 'answers' / 'drive0.csv') == 4
    assert not list((tmp_path / 'answers').glob('*.part'))


def test_outputs_of_bags_of_one_name_are_told_apart_by_their_folders():
    assert names_of([Path('/a/x/drive'), Path('/b/x/drive'), Path('/a/x/night.bag')]) == [
        'a_x_drive', 'b_x_drive', 'a_x_night']
    assert names_of([Path('/a/drive.mcap'), Path('/b/night.db3')]) == ['drive', 'night']
    assert names_of([Path('/run_2026.11.27')]) == ['run_2026.11.27']
    assert len(set(names_of([Path('/a/drive.mcap'), Path('/a/drive.db3')]))) == 2


@pytest.mark.parametrize('output, more, words', [
    ('a.csv', (), 'is a file, and there are 3 bags'), ('a', ('--plot', 'a.png'), 'goes with one')])
def test_what_does_not_go_with_several_bags_is_refused(output, more, words, bags, tmp_path,
                                                       capsys):
    assert run(sorted(bags.glob('drive*')), tmp_path / output, *more) == 2
    assert words in capsys.readouterr().err


def test_a_model_that_cannot_be_used_is_told_once(bags, tmp_path, capsys):
    assert run(sorted(bags.glob('drive*')), tmp_path / 'answers', '--checkpoint',
               '/nowhere.safetensors') == 2
    assert capsys.readouterr().err.count('/nowhere.safetensors') == 1


def test_the_cores_are_shared_unless_threads_are_given(bags, tmp_path):
    job = jobs_of(build_parser().parse_args([str(bags / 'drive0'), '--output', 'x']))[0]
    assert job.config.classifier.num_threads == Config().classifier.num_threads == 0
    assert with_threads(job, 3).config.classifier.num_threads == 3
    assert with_threads(with_threads(job, 2), 3).config.classifier.num_threads == 2
