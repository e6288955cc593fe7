# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_benchmark scenes`: a rival is above the ladder only where that is beyond doubt."""
import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from ltp_ros.research.benchmarks import scenes, scenes_plot
from ltp_ros.research.benchmarks.scenes import Asked, beaten_by, rows_of, sentence
from ltp_ros.tools import benchmark
from ltp_ros.tuner.ladder_file import Level

WHOLE = Level(1.0, model='vit', method='ltp', input_size=(224, 224), zoom=False)
SMALL = Level(1.0, model='vit', method='ltp', input_size=(160, 160), zoom=True)
PRUNED = Level(1.0, model='vit', method='mixed', input_size=(224, 224), keep_ratio=0.5, zoom=False)


def asked(level, share, right, of=100, on_ladder=False):
    return Asked(level, share, np.arange(of) < right, on_ladder)


def test_a_rival_is_compared_with_the_best_of_the_ladder_that_is_no_slower():
    slow, fast = asked(WHOLE, 0.3, 90, on_ladder=True), asked(SMALL, 0.1, 70, on_ladder=True)
    rival = asked(PRUNED, 0.2, 80)
    best, low = beaten_by(rival, [slow, fast, rival])
    assert best is fast and low == pytest.approx(0.034, abs=0.02)  # 10 of 100 more
    best, low = beaten_by(asked(PRUNED, 0.3, 80), [slow, fast])
    assert best is slow and low < -0.03
    # As slow, but for noise
    assert beaten_by(asked(PRUNED, 0.296, 80), [slow, fast])[0] is slow


def test_what_is_faster_than_the_whole_ladder_is_not_above_it():
    best, low = beaten_by(asked(PRUNED, 0.05, 100), [asked(WHOLE, 0.3, 50, on_ladder=True)])
    assert best is None and low < 0


def test_a_difference_within_the_interval_is_none():
    ladder = asked(WHOLE, 0.3, 80, on_ladder=True)
    for right, above in ((82, False), (90, True)):
        rows = rows_of('photos', [ladder, asked(PRUNED, 0.3, right)], WHOLE)
        assert [row['above_ladder'] for row in rows if not row['on_ladder']] == [above]
        assert ('mixed 0.5 at 224 px' in sentence(rows)) == above
        assert sentence(rows).startswith(f'of 1 levels beside the ladder {int(above)} ')


def test_of_many_comparisons_some_are_beyond_the_interval_by_chance():
    ladder = asked(WHOLE, 0.3, 80, on_ladder=True)
    rivals = [asked(PRUNED, 0.3, right) for right in (85, *[80] * 40)]
    for count, sure in ((1, True), (41, False)):
        rows = rows_of('photos', [ladder, *rivals[:count]], WHOLE)
        best = max(rows, key=lambda row: row['score'])
        assert (best['above_ladder'], best['surely_above']) == (True, sure)
    assert '1 is above it by more than the 95 % interval, 0 by one that' in sentence(rows)


def test_rows_tell_what_a_level_is_and_every_hit(tmp_path):
    rows = rows_of('photos', [asked(SMALL, 0.1, 3, of=4), asked(WHOLE, 0.3, 4, of=4,
                                                             on_ladder=True)], WHOLE)
    small, whole = rows
    assert (small['family'], small['zoom'], small['score'], small['hits']) == (
        'smaller', True, 75.0, '1110')
    assert whole['on_ladder'] and whole['family'] == '' and whole['ladder_score'] == 100.0
    assert json.loads(json.dumps(rows)) == rows
    figure = Figure()
    scenes_plot.draw(figure, {'rows': rows})
    figure.savefig(tmp_path / 'scenes.png')
    assert figure.axes[0].get_title() == 'photos, 4 images'
    assert scenes.SAME_TIME < 0.05


def test_it_finds_ladders_and_asks_the_other_half(tmp_path, monkeypatch, capsys):
    cv2 = pytest.importorskip('cv2')
    rng = np.random.default_rng(0)
    for name in ('bolt', 'nut'):
        (tmp_path / 'parts' / name).mkdir(parents=True)
        for index in range(12):
            rgb = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            rgb[:, :, 0 if name == 'nut' else 2] //= 3
            cv2.imwrite(str(tmp_path / 'parts' / name / f'{index}.png'), rgb)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    parts = str(tmp_path / 'parts')
    arguments = ['scenes', parts, f'{parts}@0.5:flat', '--model', 'demo',
                 '--device', 'cpu', '--folder', str(tmp_path / 'ladders'), '--rounds', '2',
                 '--rival', 'eager:float32', '--backend', 'eager', '--precision', 'float32',
                 '--json', str(tmp_path / 'rows.json'), '--plot', str(tmp_path / 'plot.png'),
                 '--quiet']
    assert benchmark.main(arguments) == 0
    result = json.loads((tmp_path / 'rows.json').read_text())
    assert {row['scene'] for row in result['rows']} == {'parts', 'parts 0.5:flat'}
    assert {row['n'] for row in result['rows']} == {12}
    assert any(row['on_ladder'] for row in result['rows'])
    assert sorted(path.name for path in (tmp_path / 'ladders').iterdir()) == [
        'parts.yaml', 'parts_0.5_flat.yaml']
    assert 'levels beside the ladder' in capsys.readouterr().out
    assert (tmp_path / 'plot.png').stat().st_size > 10_000
