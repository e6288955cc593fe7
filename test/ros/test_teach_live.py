# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_teach --live`: over DDS, and with a client that only writes down what it is asked."""
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from rich.progress import Progress
from ros_helpers import DEADLINE_S, classifier_process, picture

from ltp_ros import client as client_module
from ltp_ros.client import ClassifierClient, ClassifierError
from ltp_ros.tools.support import teach_live
from ltp_ros.tools.teach import main

NAN = float('nan')
BLOCKED = '''
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'timm'):
            raise ImportError(name + ' is blocked')

sys.meta_path.insert(0, Blocker())
from ltp_ros import client
from ltp_ros.tools.teach import main
client.ANSWER_S = 0.2
sys.exit(main(['--live', 'mug', '--seconds', '0.1']))
'''


def result(**values):
    return SimpleNamespace(**{'frames': 3, 'examples': 3, 'accuracy': 1.0, 'confused_with': '',
                              **values})


class Client:
    """Stands in for a `ClassifierClient`."""

    def __init__(self, node):
        self.asked = [node]
        self.answer = result()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.asked.append('closed')

    def get_parameter(self, name):
        return ''

    def forget(self, label):
        self.asked.append(('forget', label))

    def teach(self, label, progress, timeout_s, **goal):
        self.asked.append(('teach', label, goal))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def save_classes(self, path):
        self.asked.append(('save', path))
        return f'/there/{path}'


@pytest.fixture
def client(monkeypatch):
    """Return the client that the program will use."""
    fake = Client('')

    def make(node):
        fake.asked[0] = node
        return fake
    monkeypatch.setattr(teach_live, 'ClassifierClient', make)
    return fake


def goal(**values):
    return {'seconds': 0.0, 'frames': 0, 'negative': False, 'camera': '', **values}


def test_a_running_node_is_taught_keeps_it_and_forgets_it(listener, small_model, tmp_path, capsys):
    path, over = tmp_path / 'things.safetensors', threading.Event()
    with classifier_process(checkpoint=small_model) as program:
        with ClassifierClient() as waiting:
            waiting.wait_until_active(DEADLINE_S)
        camera = listener.publisher('/ltp/image', program=program)

        def film():
            number = 0
            while not over.wait(0.05):
                number += 1
                camera.publish(picture(number))

        filming = threading.Thread(target=film, daemon=True)
        filming.start()
        try:
            assert main(['--live', 'noise', '--frames', '3', '--save', str(path)]) == 0
            told = capsys.readouterr()
            assert 'Show noise to the camera of /ltp/classifier' in told.err
            assert told.out.startswith('noise: 3 pictures taught; named right when left out: ')
            assert f'The classes are in {path} on the machine of' in told.out and path.exists()
            assert main(['--live', '--negative', '--seconds', '0.5']) == 0
            assert 'none of the classes: ' in capsys.readouterr().out
            assert main(['--live', '--forget', 'noise', 'none']) == 0
            assert capsys.readouterr().out == (
                'noise: forgotten\nnone of the classes: forgotten\n')
            assert main(['--live', '--forget', 'noise']) == 2
            assert "no class 'noise'" in capsys.readouterr().err
            assert main(['--live', 'noise', '--camera', '/other']) == 2
            assert "'/other' is not one of /ltp/image" in capsys.readouterr().err
        finally:
            over.set()
            filming.join()


def test_no_torch_is_needed_and_a_node_that_is_not_there_is_told():
    program = subprocess.run([sys.executable, '-c', BLOCKED], capture_output=True, text=True,
                             timeout=120)
    assert (program.returncode, program.stdout) == (2, '')
    assert 'ltp_teach: waited 0.2 s' in program.stderr and 'Traceback' not in program.stderr
    assert 'there is no node /ltp/classifier; start it' in program.stderr


def test_a_name_that_no_node_can_have_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(client_module, 'ANSWER_S', 0.1)
    assert main(['--live', 'mug', '--node', 'foo bar']) == 2
    assert 'must not contain' in capsys.readouterr().err


@pytest.mark.parametrize('flags, asked', [
    (['mug'], [('teach', 'mug', goal(seconds=5.0))]),
    (['mug', '--frames', '9'], [('teach', 'mug', goal(frames=9))]),
    (['mug', '--seconds', '2.5', '--camera', 'front'],
     [('teach', 'mug', goal(seconds=2.5, camera='front'))]),
    (['--negative'], [('teach', '', goal(seconds=5.0, negative=True))]),
    (['--forget', 'cup', 'None'], [('forget', 'cup'), ('forget', '')]),
    (['--save', 'things'], [('save', 'things')]),
    (['mug', '--forget', 'mug', '--save'],
     [('forget', 'mug'), ('teach', 'mug', goal(seconds=5.0)), ('save', '')])])
def test_the_node_is_asked_for_what_the_flags_say_in_that_order(flags, asked, client, capsys):
    assert main(['--live', *flags, '--quiet']) == 0
    assert client.asked == ['/ltp/classifier', *asked, 'closed']


@pytest.mark.parametrize('node', ['/front/classifier', 'front/classifier'])
def test_another_node_may_be_named(node, client):
    assert main(['--live', 'mug', '--quiet', '--node', node]) == 0
    assert client.asked[0] == '/front/classifier'


@pytest.mark.parametrize('answer, line', [
    (result(), 'mug: 3 pictures taught; named right when left out: 100.0 %'),
    (result(frames=1, examples=1, accuracy=NAN),
     'mug: 1 picture taught; named right when left out: n/a'),
    (result(examples=24, accuracy=0.958, confused_with='cup'),
     'mug: 3 pictures taught, 24 in all; named right when left out: 95.8 %, mostly taken for '
     'cup'),
    (result(confused_with='[red]\x1b[2J'),
     'mug: 3 pictures taught; named right when left out: 100.0 %, mostly taken for '
     '[red]\\x1b[2J')])
def test_the_end_is_one_line(answer, line, client, capsys):
    client.answer = answer
    assert main(['--live', 'mug', '--quiet']) == 0
    assert capsys.readouterr().out == f'{line}\n'


def test_a_refusal_of_the_node_is_told_in_its_words(client, capsys):
    client.answer = ClassifierError('no image was answered in that time')
    assert main(['--live', 'mug', '--save', 'things']) == 2
    assert capsys.readouterr().err.endswith('ltp_teach: no image was answered in that time\n')
    assert client.asked[-2][0] == 'teach' and client.asked[-1] == 'closed'


def test_control_c_ends_it_and_says_that_what_was_taught_stays(client, capsys):
    client.answer = KeyboardInterrupt()
    assert main(['--live', 'mug', '--save', 'things']) == 130
    assert 'what was taught of mug stays' in capsys.readouterr().err
    assert client.asked[-2][0] == 'teach' and client.asked[-1] == 'closed'


@pytest.mark.parametrize('flags, words', [
    ([], 'is not told what to do'), (['mug', '--negative'], "and 'mug' was given"),
    (['None'], "'None' cannot be taught as a class"), (['--seconds', '3'], 'not told what to do'),
    (['--forget', 'cup', '--frames', '3'], 'expected its LABEL after --live'),
    (['mug '], 'begins or ends with a space'), (['--forget', 'a\x1b'], 'steer a terminal')])
def test_what_does_not_go_together_is_refused_before_a_node_is_asked(flags, words, client, capsys):
    assert main(['--live', *flags]) == 2
    assert words in capsys.readouterr().err and client.asked == ['']


def test_the_progress_counts_the_pictures_of_this_lesson_and_names_the_confusion():
    bar = Progress(disable=True)
    bar.add_task('teaching mug', total=4, state='no picture yet')
    show = teach_live.progress_on(bar, counted=True)
    seen = []
    for examples, confused in ((0, ''), (21, ''), (23, 'cup')):
        show(SimpleNamespace(examples=examples, confused_with=confused))
        seen.append((bar.tasks[0].completed, bar.tasks[0].fields['state']))
    assert seen == [(0, 'no picture yet'), (1, '1 picture'),
                    (3, '3 pictures, mostly taken for cup')]
