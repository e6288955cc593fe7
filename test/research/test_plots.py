# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The plots: no line hides another, none is cut without a note, and every mark is explained."""
import pytest

from ltp_ros.config import REDUCTIONS
from ltp_ros.research.accuracy import plot as accuracy_plot
from ltp_ros.research.accuracy.rows import wilson_interval
from ltp_ros.research.benchmarks import deadline_plot, methods_plot
from ltp_ros.research.benchmarks.deadline import FrameRow, Run
from ltp_ros.research.benchmarks.figures import new_figure
from ltp_ros.research.benchmarks.methods import SAME_RATIO

pytest.importorskip('matplotlib')

KEEP_RATIOS = (0.7, 0.5, 0.3)


def drawn(draw, path, *args, **more):
    """Return the saved figure of a plot."""
    figure = new_figure(str(path / 'p.png'), 12, 5)
    draw(figure, *args, **more)
    figure.savefig(str(path / 'p.png'))
    return figure


def evaluation(methods, p50_ms=None, n=200):
    """Return a made-up result of `ltp_evaluate`."""
    def row(method, keep_ratio, successes):
        low, high = wilson_interval(successes, n)
        is_ltp = method == 'ltp'
        return {'method': method, 'score': 'srb' if is_ltp else None,
                'alpha': 0.5 if is_ltp else None, 'zoom': False,
                'keep_ratio': keep_ratio, 'gmacs': keep_ratio,
                'p50_ms': p50_ms, 'top1': 100 * successes / n, 'top1_low': 100 * low,
                'top1_high': 100 * high}
    rows = [row(method, keep_ratio, int(180 * keep_ratio) - 3 * number)
            for number, method in enumerate(methods) for keep_ratio in KEEP_RATIOS]
    return {'model': 'm', 'hardware': 'h', 'n': n, 'backend': 'eager', 'precision': 'float32',
            'composite': '', 'rows': [row('none', 1.0, 180), *rows]}


def visible_labels(axes):
    return [text.get_text() for text in axes.texts if text.get_visible()]


@pytest.mark.parametrize('methods', [['ltp'], ['ltp', 'mixed', 'papr', 'tome']])
def test_every_keep_ratio_is_named_at_a_marker(methods, tmp_path):
    axes, = drawn(accuracy_plot.draw, tmp_path, evaluation(methods)).axes
    assert set(visible_labels(axes)) == {f'{keep_ratio:g}' for keep_ratio in KEEP_RATIOS}


def test_the_unpruned_model_alone_can_be_drawn(tmp_path):
    axes, = drawn(accuracy_plot.draw, tmp_path, evaluation([])).axes
    assert visible_labels(axes) == []


def test_bars_labels_and_the_timed_backend_are_named(tmp_path):
    figure = drawn(accuracy_plot.draw, tmp_path, evaluation(['ltp'], p50_ms=1.0))
    title = figure.texts[0].get_text()
    assert '95 % Wilson intervals' in title and 'keep ratio' in title
    assert 'eager float32' in figure.axes[1].get_xlabel()


def test_ltp_is_drawn_over_mixed_with_a_marker_of_its_own(tmp_path):
    rows = [{'backend': 'eager', 'precision': 'float32', 'method': method, 'setting': SAME_RATIO,
             'batch': batch, 'keep_ratio': 0.5, 'p50_ms': 5.0 * batch, 'prune_ms': None,
             'peak_mib': 2.0} for method in REDUCTIONS for batch in (1, 4)]
    figure = drawn(methods_plot.draw, tmp_path, {'model': 'm', 'hardware': 'h', 'rows': rows})
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    ltp, mixed = lines['ltp'], lines['mixed']
    assert ltp.get_zorder() > mixed.get_zorder() and ltp.get_linewidth() < mixed.get_linewidth()
    assert ltp.get_marker() != mixed.get_marker()


def frames(phase, keep_ratio, ages_ms, start_s=0.0):
    """Return answers 0.1 s apart under a deadline of 50 ms."""
    return [FrameRow(phase, start_s + 0.1 * index, index, keep_ratio, age_ms, age_ms / 2, 0, 50.0)
            for index, age_ms in enumerate(ages_ms)]


def deadline_figure(path, **ages_ms):
    """Draw runs of two levels; `ages_ms` are, for each phase, the ages at these levels."""
    runs = [Run('s', level, [frame for number, (phase, ages) in enumerate(ages_ms.items())
                             for frame in frames(phase, level, ages[index], float(number))])
            for index, level in enumerate((1.0, 0.5))]
    return drawn(deadline_plot.draw, path, runs, [1.0], ladder=(1.0, 0.5), target_miss_rate=0.1)


def test_the_oracles_level_is_drawn_in_every_phase(tmp_path):
    figure = deadline_figure(tmp_path, a=([40.0] * 10, [20.0] * 10), b=([60.0] * 10, [40.0] * 10))
    segments = [lines.get_segments()[0].tolist() for lines in figure.axes[1].collections]
    assert segments == [[[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.5], [pytest.approx(1.9), 0.5]]]
    assert 'oracle: highest level with at most 10 % late' in [
        text.get_text() for text in figure.legends[0].get_texts()]


def test_a_phase_in_which_no_level_meets_the_target_is_marked(tmp_path):
    figure = deadline_figure(tmp_path, a=([40.0] * 10, [20.0] * 10), b=([80.0] * 10, [60.0] * 10))
    above, below = figure.axes
    assert [patch.get_hatch() for patch in above.patches] == ['//']
    assert [patch.get_x() for patch in below.patches] == [1.0]
    assert any('no level meets the target' in label for label in visible_labels(above))


def test_latencies_beyond_the_axis_are_marked_and_counted(tmp_path):
    figure = deadline_figure(tmp_path, a=([40.0] * 299 + [900.0], [20.0] * 300))
    above = figure.axes[0]
    assert above.get_ylim()[1] < 100.0
    assert above.get_title(loc='right') == '▲ 1 beyond the axis, up to 900 ms'
    marks = [line for line in above.get_lines() if line.get_marker() == '^']
    assert [list(line.get_xdata()) for line in marks] == [[pytest.approx(29.9)]]


def test_an_axis_that_shows_every_latency_needs_no_note(tmp_path):
    above = deadline_figure(tmp_path, a=([40.0] * 10, [20.0] * 10)).axes[0]
    assert above.get_title(loc='right') == '' and above.get_ylim()[1] > 50.0
