# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Names and texts that steer a terminal, or are too long for a line, wherever they are shown."""
import io
import json

import pytest
from rich.console import Console

from ltp_ros.files import is_control, plain, short
from ltp_ros.frames.camera_health import CameraFeed, CameraHealth
from ltp_ros.frames.decoding import CompressedImage, RawImage, decode
from ltp_ros.frames.encodings import ImageError
from ltp_ros.frames.mailbox import NOTHING
from ltp_ros.model.card import ModelError
from ltp_ros.model.vit import create_vit, label_names
from ltp_ros.tools.checks.finding import Finding, Level
from ltp_ros.tools.doctor import make_table

HOSTILE = {
    'colour': '\x1b[31mred\x1b[0m', 'title': '\x1b]0;owned\x07',
    'clipboard': '\x1b]52;c;cm0=\x07',
    'cleared': '\x1b[2J\x1b[H', 'return': 'bad\rgood',
    'second line': 'rgb8\n[ERROR] [robot]: stop',
    '8-bit CSI': '\x9b31mred', 'erased': 'bad\b\b\bgood', 'NUL': 'a\0b',
    'reversed': '\u202egnp.exe',
    'line separator': 'a\u2028b', 'half a letter': '\ud800', 'long': 'x' * 1_000_000,
    'markup': '[bold]x[/italic]', 'link': '[link=file:///etc/passwd]x[/link]'}


@pytest.fixture(params=HOSTILE)
def hostile(request):
    return HOSTILE[request.param]


def shown(table):
    """Return what a terminal is sent for a table, without rich's own colours."""
    out = io.StringIO()
    Console(file=out, width=120, color_system=None, force_terminal=True).print(table)
    return out.getvalue()


def is_harmless(text, lines=1):
    return len(text) < 3000 and text.count('\n') < lines and (
        text.replace('\n', '').isprintable())


def test_a_text_is_shown_in_one_line_without_what_steers_a_terminal(hostile):
    assert is_harmless(plain(hostile)) and is_harmless(short(hostile))
    assert is_harmless(short([hostile, {hostile: hostile}]))


@pytest.mark.parametrize('text', ['rgb8; jpeg compressed bgr8', 'Käse', '猫', 'a  b', ''])
def test_an_ordinary_text_stays_as_it_is(text):
    assert plain(text) == text and not any(map(is_control, text))


@pytest.mark.parametrize('image', [
    lambda text: RawImage(4, 4, text, False, 12, bytes(48)),
    lambda text: CompressedImage(text, bytes(48)),
    lambda text: CompressedImage(text, b'\xff\xd8\xff' + bytes(48)),
    lambda text: CompressedImage(f'bayer_{text}; png', b'\x89PNG\r\n\x1a\n' + bytes(8)),
    lambda text: CompressedImage('jpeg', text.encode('utf-8', 'replace')[:100])])
def test_a_refusal_of_an_image_is_a_harmless_line(image, hostile):
    with pytest.raises(ImageError) as refused:
        decode(image(hostile))
    assert is_harmless(str(refused.value))


def test_the_diagnostics_of_a_camera_are_harmless(hostile):
    feed = CameraFeed('/camera')
    feed.encoding = hostile
    values = CameraHealth(feed, NOTHING, 0).report(NOTHING, 1_000_000_000, False).values
    assert all(map(is_harmless, values.values()))


def test_the_table_of_the_doctor_is_harmless(hostile):
    findings = [Finding(hostile, Level.WARN, hostile, hostile)] * 2
    assert shown(make_table(findings)).replace('\n', '').isprintable()


def test_the_tables_of_the_demo_are_harmless(hostile):
    pytest.importorskip('rclpy')
    from ltp_ros.msg import Classification, FrameLatency
    from ltp_ros.tools.reports.demo_table import DemoReport
    report = DemoReport('demo', '')
    message = Classification(labels=[hostile.encode('utf-8', 'replace').decode()], scores=[0.5])
    message.header.frame_id = message.labels[0]
    report.add_answer(message, 0.0)
    report.add_latency(FrameLatency())
    for table in (report.live_table(), report.summary_table()):
        text = shown(table)
        assert text.replace('\n', '').isprintable() and len(text) < 10_000
    assert is_harmless(report.class_line())


@pytest.mark.parametrize('name', sorted(set(HOSTILE) - {
    'reversed', 'line separator', 'long', 'markup', 'link'}))
@pytest.mark.parametrize('form', ['labels', 'card'])
def test_a_label_that_steers_a_terminal_is_refused(tmp_path, name, form, small_model):
    vit = create_vit('vit_tiny_patch16_224', small_model)
    names = [HOSTILE[name], *(f'thing {number}' for number in range(6))]
    path = tmp_path / 'names.json'
    path.write_text(json.dumps(names if form == 'labels' else {'label_names': names}))
    (tmp_path / 'names.safetensors').write_bytes(b'')
    with pytest.raises(ModelError, match='would steer a terminal') as refused:
        label_names(vit, *(('', str(path)) if form == 'labels' else (
            str(tmp_path / 'names.safetensors'),)))
    assert is_harmless(str(refused.value))


def test_the_labels_of_all_scripts_are_taken(tmp_path, small_model):
    names = ['Käse', '猫', 'خانه\u200cها', 'क्\u200dष', 'tea, green', '[UNK]', 'a\u00a0b']
    (tmp_path / 'names.json').write_text(json.dumps(names))
    vit = create_vit('vit_tiny_patch16_224', small_model)
    assert label_names(vit, '', str(tmp_path / 'names.json')) == names
