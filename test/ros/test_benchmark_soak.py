# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark soak`: its images and the right answers to them, and a short real run."""
import contextlib
import json

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from ros_helpers import DEADLINE_S
from std_msgs.msg import Header

from ltp_ros.frames.encodings import ImageError
from ltp_ros.frames.mailbox import Counts
from ltp_ros.frames.status import Severity, Status
from ltp_ros.msg import Classification
from ltp_ros.prediction import Prediction
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.process_usage import Usage
from ltp_ros.research.benchmarks.soak import NOTHING, WARM_UP, Record, Sample
from ltp_ros.ros import messages
from ltp_ros.ros.images import from_pixels
from ltp_ros.tools.benchmark import main
from ltp_ros.tools.benchmarks import soak
from ltp_ros.tools.benchmarks.soak import JSON, REPORT
from ltp_ros.tools.benchmarks.soak_node import FAILURES
from ltp_ros.tools.benchmarks.soak_pictures import Reference, damage, of_many_kinds
from ltp_ros.tools.benchmarks.soak_session import SoakSession
from ltp_ros.tools.support.processes import Process, ProcessError

RGB = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


class Clever:
    """A classifier that says how bright the image is."""

    def classify(self, rgb, keep_ratio, top_k):
        score = float(rgb.mean()) / 256 * keep_ratio
        return Prediction((2, 1), ('b', 'a'), (score, score / 2), keep_ratio, 1, 1, np.arange(1))


@pytest.fixture
def reference():
    good = from_pixels(Header(frame_id='good'), RGB)
    bad = from_pixels(Header(frame_id='bad'), RGB)
    bad.step = 0
    return Reference(Clever(), [good, bad], (1.0, 0.5))


def answer(frame_id, keep_ratio=0.5, factor=1.0, class_ids=(2, 1)):
    score = float(RGB.mean()) / 256 * keep_ratio * factor
    return Classification(header=Header(frame_id=frame_id), keep_ratio=keep_ratio,
                          class_ids=class_ids, scores=[score, score / 2][:len(class_ids)])


def test_the_answers_of_the_classifier_are_right_at_the_level_that_they_name(reference):
    assert [reference.fault(answer('good', level)) for level in (0.5, 1.0)] == ['', '']
    assert reference.fault(answer('good', class_ids=(2,))) == ''  # top_k was 1
    assert reference.compared == 3 and reference.largest_difference < 1e-6


@pytest.mark.parametrize('wrong', [
    answer('good', factor=1.01), answer('good', class_ids=(1, 2)), answer('good', class_ids=()),
    answer('bad'), answer('never sent')])
def test_a_wrong_answer_is_told_and_so_is_one_to_what_is_no_image(reference, wrong):
    assert wrong.header.frame_id in reference.fault(wrong)


def test_an_image_of_somebody_else_is_told_as_such(reference, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    assert 'does another one publish in ROS domain 42?' in reference.fault(answer('never sent'))


def report(received, dropped):
    """Return the diagnostics of a node with one camera, none of whose images is in flight."""
    counts = Counts(received, received - dropped, {'failed': dropped})
    values = {'received': str(counts.received), 'published': str(counts.published),
              'dropped (failed)': str(dropped)}
    return messages.from_health(Time(), 'ltp/classifier', [
        Status('input', Severity.OK, '', values),
        Status('camera /ltp/image', Severity.OK, '', values)])


def test_every_report_is_held_to_the_one_before():
    session = SoakSession({}, 10.0, lambda passed_s: None)
    for message in (report(10, 1), report(11, 1), report(10, 1)):
        session._on_diagnostics(message)
    assert session.record.num_reports == 3 and session.counts.dropped == {'failed': 1}
    fault, = session.record.lost
    assert 'went down' in fault


def test_every_kind_of_image_is_one_and_of_another_name():
    images = list(of_many_kinds(RGB))
    assert len({image.header.frame_id for image in images}) == len(images) > 15
    for image in images:
        assert messages.to_rgb(image).shape == (image.height, image.width, 3)


def test_the_seed_makes_the_damage_and_some_of_it_can_still_be_read():
    first, again, other = (list(damage(seed)) for seed in (1, 1, 2))
    assert first == again != other
    refused = 0
    for image in first:
        try:
            messages.to_rgb(image)
        except ImageError:
            refused += 1
    assert len(first) / 2 < refused < len(first)


def test_a_short_run_holds_all_that_it_can_judge_and_writes_it_down(small_model, tmp_path):
    with Process('ltp_ros.tools.benchmark', [
            'soak', '--checkpoint', small_model, '--device', 'cpu', '--backend', 'eager',
            '--precision', 'float32', '--minutes', '0.15', '--seed', '831', '--quiet', '--output',
            str(tmp_path)], OMP_NUM_THREADS='1') as program:
        assert program.wait(2 * DEADLINE_S) == 0, program.output
    result = json.loads((tmp_path / JSON).read_text())
    assert [check['holds'] for check in result['checks'][:3]] == [True] * 3
    assert result['compared'] > 10 and result['num_reports'] > 5
    events = {phase['event']: phase for phase in result['phases']}
    assert events.keys() == {'camera restarts', 'parameters', 'model fails', NOTHING}
    failing = events['model fails']
    assert failing['failed'] >= FAILURES and 'undecodable' in failing['dropped']
    assert 'every answer is that of the classifier' in (tmp_path / REPORT).read_text()


class Interrupted:
    """A session that is recorded for a moment."""

    def __init__(self, *args):
        self.record = Record(samples=[Sample(1.0, WARM_UP, Usage(9.0, 5.0, 1.0, 2.0, 3, 4, 0.0))])
        self.running = {'backend': 'eager', 'precision': 'float32'}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


@pytest.mark.parametrize('error, code', [
    (ProcessError('the node ended with exit code -9:\nits log'), 1),
    (BenchmarkError('it took it'), 1), (KeyboardInterrupt(), 130)])
def test_a_run_that_is_cut_off_reports_what_it_has_and_why(error, code, monkeypatch, tmp_path,
                                                           small_model, capsys):
    def fail(*args):
        raise error
    monkeypatch.setattr(soak, 'SoakSession', Interrupted)
    monkeypatch.setattr(soak, 'ros', contextlib.nullcontext)
    monkeypatch.setattr(soak, 'soak', fail)
    assert main(['soak', '--checkpoint', small_model, '--device', 'cpu', '--quiet', '--output',
                 str(tmp_path)]) == code
    result = json.loads((tmp_path / JSON).read_text())
    assert result['ended'] == (str(error) or 'stopped by a signal')
    assert result['ended'] in (tmp_path / REPORT).read_text()
    assert ('NO' in capsys.readouterr().out) == (code == 1)


def test_a_node_that_does_not_start_is_no_run(monkeypatch, tmp_path, small_model, capsys):
    def fail(session):
        session.record.samples.clear()
        raise ProcessError('ltp_ros.node ended with exit code 1')
    monkeypatch.setattr(soak, 'SoakSession', Interrupted)
    monkeypatch.setattr(Interrupted, '__enter__', fail)
    monkeypatch.setattr(soak, 'ros', contextlib.nullcontext)
    assert main(['soak', '--checkpoint', small_model, '--device', 'cpu', '--quiet', '--output',
                 str(tmp_path)]) == 2
    assert 'exit code 1' in capsys.readouterr().err and not (tmp_path / JSON).exists()
