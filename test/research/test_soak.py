# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark soak` without ROS: the plan, and what a run must show."""
import io
import json
import math
import mmap
import os
import threading

import pytest
from rich.console import Console

from ltp_ros.frames.mailbox import DROP_REASONS, Counts
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.process_usage import Usage, usage
from ltp_ros.research.benchmarks.soak import (
    FIRST,
    LAST,
    LEAST_S,
    MIX,
    NOTHING,
    STEADY,
    WARM_UP,
    Answer,
    Phase,
    Record,
    Sample,
    Step,
    checks,
    counts_of,
    difference,
    plan,
    since,
    unaccounted,
)
from ltp_ros.research.benchmarks.soak_plot import draw
from ltp_ros.research.benchmarks.soak_report import as_dict, make_table, markdown, phase_rows

SIZE = 2 ** 25  # bytes
LOADS, EVENTS = ('steady', 'fast', 'odd'), ('a', 'b', 'c', 'd', 'e', 'f')  # a common divisor
MEMORY, THREADS, DESCRIPTORS, DRIFT = range(3, 7)  # among the checks


def counts(received=10, published=6, **dropped):
    return Counts(received, published, {**dict.fromkeys(DROP_REASONS, 0), **dropped})


def record(last_usage=(), last_age_ms=20.0, seconds=300.0, **more):
    """Return a run of two steady stages, alike but for what is given."""
    usages = Usage(1000.0, 600.0, 20.0, 40.0, 20, 26, 0.0)
    samples, phases = [], []
    for index, (stage, held, age_ms) in enumerate((
            (FIRST, usages, 20.0), (LAST, usages._replace(**dict(last_usage)), last_age_ms))):
        begin = index * seconds
        samples += [Sample(begin + second, stage, held._replace(waited_s=0.1 * second))
                    for second in range(0, int(seconds), 2)]
        phases.append(Phase(Step(stage, STEADY, NOTHING, seconds), begin, begin + seconds,
                            counts(), 0.2, tuple((begin, age_ms) for _ in range(100))))
    return Record(samples, phases, num_reports=600, compared=5000, **more)


def test_a_run_is_steady_first_and_last_and_as_long_as_was_asked():
    steps = plan(1800, LOADS, EVENTS, 0)
    assert [step.stage for step in steps if step.event == NOTHING] == [FIRST, LAST]
    assert steps[-1].stage == LAST and {step.stage for step in steps[:6]} == {WARM_UP}
    assert sum(step.seconds for step in steps) == pytest.approx(1800)
    assert [step.seconds for step in steps if step.event == NOTHING] == [300, 300]


@pytest.mark.parametrize('loads, events', [(LOADS, EVENTS), (LOADS, EVENTS[:5]), (EVENTS, LOADS)])
def test_a_long_run_brings_every_load_with_every_event(loads, events):
    mixed = [(step.load, step.event) for step in plan(1800, loads, events, 3) if step.stage == MIX]
    assert len(set(mixed[:len(loads) * len(events)])) == len(loads) * len(events)


@pytest.mark.parametrize('seconds', [60, 300])
def test_a_shorter_run_brings_each_of_them_once(seconds):
    mixed = [step for step in plan(seconds, LOADS, EVENTS, 1) if step.stage == MIX]
    assert {step.load for step in mixed} == set(LOADS)
    assert {step.event for step in mixed} == set(EVENTS)


def test_the_shortest_run_has_a_phase_of_everything_that_is_long_enough():
    steps = plan(15, LOADS, EVENTS, 0)
    assert {step.stage for step in steps} == {WARM_UP, FIRST, MIX, LAST}
    assert all(step.seconds >= LEAST_S for step in steps)


def test_the_seed_sets_the_order():
    orders = [plan(600, LOADS, EVENTS, seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_images_in_the_mailbox_and_in_work_are_accounted_for():
    now = counts(10, 6, superseded=2)
    assert not list(unaccounted({'/a': now}, now, {}))


@pytest.mark.parametrize('now', [
    counts(10, 6, superseded=1), counts(10, 6, superseded=2, failed=3)])
def test_an_image_that_got_lost_or_was_counted_twice_is_told(now):
    fault, = unaccounted({'/a': now}, now, {})
    assert fault.startswith('/a: 10 received, 6 published')


def test_a_counter_that_goes_down_and_a_sum_that_is_none_are_told():
    before, now = counts(10, 6, superseded=4), counts(11, 7, superseded=3)
    faults = list(unaccounted({'/a': now, '/b': now}, now, {'/a': before}))
    assert 'went down' in faults[0] and 'not the sum' in faults[1]


def test_the_counters_come_from_the_words_of_a_report():
    found = counts_of({'rate (Hz)': '9.9', 'received': '10', 'published': '6',
                       'dropped (bad stamp)': '3', 'dropped (failed)': '1'})
    assert found == Counts(10, 6, {'bad stamp': 3, 'failed': 1})
    assert since(Counts(4, 4, {}), found) == Counts(6, 2, {'bad stamp': 3, 'failed': 1})


RIGHT = Answer((3, 1, 7), (0.5, 0.2, 0.2))


@pytest.mark.parametrize('given, expected', [
    (RIGHT, 0.0), (Answer((3,), (0.5,)), 0.0), (Answer((3, 7, 1), (0.5, 0.2, 0.2)), 0.0),
    (Answer((3, 1, 7), (0.5, 0.3, 0.2)), 0.1), (Answer((1, 3, 7), (0.5, 0.2, 0.2)), 0.3),
    (Answer((4, 1, 7), (0.5, 0.2, 0.2)), math.inf), (Answer((), ()), math.inf),
    (Answer((3, 1, 7, 8), (0.5, 0.2, 0.2, 0.1)), math.inf)])
def test_an_answer_differs_by_its_worst_score_and_without_bound_by_a_class(given, expected):
    assert difference(given, RIGHT) == pytest.approx(expected)


def test_a_run_without_a_fault_holds_everything():
    assert all(check.holds for check in checks(record()))


@pytest.mark.parametrize('index, usages', [
    (MEMORY, {'rss_mib': 1009.9}), (THREADS, {'threads': 21}), (DESCRIPTORS, {'descriptors': 27})])
def test_growth_is_found_and_decides(index, usages):
    failed, = (number for number, check in enumerate(checks(record(usages))) if not check.holds)
    assert failed == index and checks(record(usages))[failed].decides


def test_less_than_a_hundredth_is_no_growth():
    assert checks(record({'rss_mib': 1009.7}))[MEMORY].holds


def test_the_segments_of_other_processes_are_no_growth_but_are_told():
    check = checks(record({'rss_mib': 1030.0, 'shared_mib': 50.0}))[MEMORY]
    assert check.holds and 'resident at most 1030 MiB' in check.found


def test_a_short_run_judges_neither_growth_nor_drift():
    found = checks(record({'rss_mib': 2000.0, 'threads': 30}, last_age_ms=90.0, seconds=30.0))
    assert [check.holds for check in found] == [True] * 3 + [None] * 4


def test_drift_is_told_beside_the_wait_for_a_core_and_decides_nothing():
    check = checks(record(last_age_ms=22.1))[DRIFT]
    assert check.holds is False and not check.decides
    assert 'p99 20.0 -> 22.1 ms (+10%)' in check.found
    assert 'waited for a core 0.10 and 0.10 s a second' in check.found
    assert checks(record(last_age_ms=21.9))[DRIFT].holds


@pytest.mark.parametrize('index, fault', [
    (0, {'ended': 'the node ended'}), (1, {'lost': ['/a: 1']}), (2, {'wrong': ['a cat', 'b']})])
def test_the_reason_is_told(index, fault):
    check = checks(record(**fault))[index]
    assert check.holds is False and ('the node ended' in check.found or '; the first: ' in
                                     check.found)


def test_a_run_that_ended_in_its_first_stage_is_reported():
    run = record(ended='the node ended')
    run.samples = [sample for sample in run.samples if sample.stage == FIRST]
    del run.phases[1:]
    assert [check.holds for check in checks(run)] == [False, True, True] + [None] * 4


def test_what_a_process_holds_is_read():
    before = usage(os.getpid())
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        # Not of numpy, which may be given what this process has freed, and still holds
        with open(os.devnull), mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE) as pages:
            pages.write(b'x' * SIZE)
            after = usage(os.getpid())
    finally:
        stop.set()
        thread.join()
    assert after.own_mib - before.own_mib > SIZE / 2 ** 20 - 8
    assert after.threads - before.threads == after.descriptors - before.descriptors == 1
    assert after.rss_mib >= after.own_mib + after.shared_mib > 0


def test_what_a_process_has_mapped_of_shared_memory_is_read_even_where_it_is_deleted(tmp_path):
    folder = tmp_path / '7'
    (folder / 'fd').mkdir(parents=True)
    (folder / 'status').write_text('VmRSS:\t2048 kB\nRssAnon:\t1024 kB\nRssShmem:\t512 kB\n'
                                   'Threads:\t3\n')
    (folder / 'maps').write_text(
        '7f0000000000-7f0000100000 rw-s 00000000 00:17 9  /dev/shm/fastrtps_1 (deleted)\n'
        '7f0000100000-7f0000200000 rw-p 00000000 00:00 0\n')
    for task, waited_ns in (('7', 5 * 10 ** 8), ('8', 10 ** 9)):
        (folder / 'task' / task).mkdir(parents=True)
        (folder / 'task' / task / 'schedstat').write_text(f'123 {waited_ns} 4\n')
    assert usage(7, tmp_path) == Usage(2.0, 1.0, 0.5, 1.0, 3, 0, 1.5)


HEAD = {'hardware': 'a machine', 'model': 'm', 'device': 'cpu', 'backend': 'eager',
        'precision': 'float32'}


def test_the_report_has_every_check_the_faults_and_every_phase():
    run = record(wrong=['the image 07: a dog', 'the image 08: a dog'])
    text = '\n'.join(markdown(HEAD, run, checks(run), 'soak.png'))
    for check in checks(run):
        assert check.sentence in text and check.found in text
    assert '* the image 08: a dog' in text and 'not account for' not in text
    assert '![' in text and '![' not in '\n'.join(markdown(HEAD, run, checks(run), ''))
    row = phase_rows(run)[0]
    assert row['age p50, ms'] == row['p99'] == 20.0 and row['failed'] == 0


def test_the_json_has_what_the_plot_is_made_of():
    run = record()
    result = json.loads(json.dumps(as_dict(run, checks(run))))
    assert len(result['samples']) == 300 and result['samples'][0]['rss_mib'] == 1000.0
    assert [check['holds'] for check in result['checks']] == [True] * 7


def test_the_table_fits_a_terminal():
    output = io.StringIO()
    Console(width=80, file=output).print(make_table(HEAD, checks(record())))
    assert '…' not in output.getvalue() and output.getvalue().count('yes') == 7


@pytest.mark.parametrize('stages', [2, 1, 0])
def test_the_plot_shades_the_steady_stages_as_far_as_the_run_came(stages, tmp_path):
    pytest.importorskip('matplotlib')
    run = record()
    del run.phases[stages:]
    figure = new_figure('soak.png', 12, 10)
    draw(figure, run)
    figure.savefig(tmp_path / 'soak.png')
    memory = figure.axes[0]
    assert len(memory.patches) == stages
    assert 'resident, from 1000' in [text.get_text() for text in memory.get_legend().get_texts()]
