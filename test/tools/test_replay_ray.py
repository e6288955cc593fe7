# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay --ray`: ten bags on a cluster of two machines, one of which dies half-way."""
import json
import os
import time
from pathlib import Path

import pytest
from replay_bags import CAMERA, FLAGS, count, pictures, write_bag

import ltp_ros
from ltp_ros.tools.replay import build_parser, main
from ltp_ros.tools.support import replay_ray
from ltp_ros.tools.support.replay_flags import jobs_of
from ltp_ros.tools.support.replay_job import Done

BAGS, COUNT = 10, 80
ray = pytest.importorskip('ray', reason='ray is not installed: pip install ray')


@pytest.fixture
def cluster(monkeypatch):
    """Return a cluster of two machines, each of one core."""
    from ray.cluster_utils import Cluster
    monkeypatch.setenv('RAY_memory_monitor_refresh_ms', '0')  # that of this machine is its own
    monkeypatch.setenv('RAY_health_check_initial_delay_ms', '0')
    monkeypatch.setenv('RAY_health_check_period_ms', '500')
    monkeypatch.setenv('RAY_USAGE_STATS_ENABLED', '0')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, [
        str(Path(ltp_ros.__file__).parents[1]), os.environ.get('PYTHONPATH', '')])))
    options = {'num_cpus': 1, 'object_store_memory': 80 * 2 ** 20, 'include_dashboard': False}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    cluster.second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2 ** 20)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def alive():
    return sum(node['Alive'] for node in ray.nodes())


def is_begun(part):
    try:
        return part.read_bytes().count(b'\n') > 5
    except FileNotFoundError:  # done meanwhile
        return False


def wait_until(condition, patience_s=60.0):
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.002)


def test_ten_bags_are_all_there_once_though_a_machine_dies_half_way(cluster, tmp_path):
    bags = [write_bag(tmp_path / 'bags' / f'drive{number}', {CAMERA: pictures(COUNT)})
            for number in range(BAGS)]
    output = tmp_path / 'answers'
    command = [str(tmp_path / 'bags'), '--output', str(output), '--format', 'csv', *FLAGS]
    jobs = jobs_of(build_parser().parse_args(command))
    output.mkdir()
    results = []

    def on_end(result):
        results.append(result)
        if len(results) == 3:
            assert alive() == 2
            # Each machine works on one bag at a time
            wait_until(lambda: sum(is_begun(path) for path in output.glob('*.part')) == 2)
            cluster.remove_node(cluster.second, allow_graceful=False)

    replay_ray.run(jobs, cluster.address, on_end)
    wait_until(lambda: alive() == 1)
    assert all(isinstance(result, Done) for result in results), results
    assert sorted(result.job.bag for result in results) == [str(bag) for bag in bags]
    assert any('were done by an earlier run' in note for result in results
               for note in result.notes)  # that of the machine which died
    assert sorted(path.name for path in output.iterdir()) == sorted(
        f'drive{number}.csv{more}' for number in range(BAGS) for more in ('', '.replay.json'))
    contents = {path.read_bytes() for path in output.glob('*.csv')}
    assert len(contents) == 1 and count(output / 'drive0.csv') == COUNT
    # The same command finds them all, and does nothing
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    assert main([*command, '--ray', cluster.address, '--json', str(tmp_path / 'told.json')]) == 0
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    assert len(json.loads((tmp_path / 'told.json').read_text())['rows']) == BAGS


@pytest.mark.parametrize('address, words', [
    ('nonsense', '--ray nonsense'), ('127.0.0.1:1', '--ray 127.0.0.1:1: [Errno 111]')])
def test_a_cluster_that_is_not_there_is_told(address, words, tmp_path, capsys):
    bag = write_bag(tmp_path / 'drive', {CAMERA: pictures(1)})
    assert main([str(bag), '--output', str(tmp_path / 'a.csv'), '--ray', address, *FLAGS]) == 2
    told = capsys.readouterr().err
    assert words in told and 'Start a cluster with `ray start --head`' in told
