# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The time line of a replay: labels, latency, and what was dropped."""
from collections import Counter
from typing import TYPE_CHECKING, Iterator, List

from ltp_ros.research.replay.outcome import Outcome
from ltp_ros.research.replay.summary import label_of, latency_ms

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure

SHOWN = 10  # labels
OTHER = 'other'
WIDTH, HEIGHT = 10.0, 7.0  # inches


def draw(figure: 'Figure', outcomes: Iterator[Outcome], real_time: bool) -> None:
    """Draw what became of the images of a bag over their record times.

    Args:
        figure: an empty matplotlib Figure.
        outcomes: of all images, in order.
        real_time: as of `summarise`.
    """
    found = list(outcomes)
    first_ns = min((each.record_ns for each in found), default=0)
    labels, latency, drops = figure.subplots(
        3, 1, sharex=True, gridspec_kw={'height_ratios': (3, 2, 1)})
    answers = [each for each in found if each.latency is not None]
    times_s = [(each.record_ns - first_ns) / 1e9 for each in answers]
    _draw_labels(labels, times_s, answers)
    _draw_latency(latency, times_s, answers, real_time)
    _draw_drops(drops, first_ns, [each for each in found if each.latency is None])
    drops.set(xlabel='time of the recording [s]')
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    figure.tight_layout()


def _draw_labels(axes: 'Axes', times_s: List[float], answers: List[Outcome]) -> None:
    names = [label_of(each) for each in answers]
    rows = [name for name, _ in Counter(names).most_common(SHOWN)]
    rows += [OTHER] * any(name not in rows for name in names)
    places = {name: -row for row, name in enumerate(rows)}
    axes.scatter(times_s, [places.get(name, 1 - len(rows)) for name in names], s=6)
    axes.set_yticks([-row for row in range(len(rows))], labels=rows)
    axes.set_title('labels', loc='left', fontsize=9)


def _draw_latency(axes: 'Axes', times_s: List[float], answers: List[Outcome],
                  real_time: bool) -> None:
    axes.plot(times_s, [latency_ms(each.latency, real_time) for each in answers if each.latency],
              '.', markersize=3)
    deadlines_ms = [each.latency.deadline_ms for each in answers if each.latency]
    if any(deadlines_ms):
        axes.step(times_s, deadlines_ms, where='post', color='tab:red', linestyle='--',
                  label='deadline')
        axes.legend(loc='upper right', fontsize=8)
    axes.set(ylabel='ms')
    axes.set_ylim(bottom=0)
    axes.set_title('latency' if real_time else 'time of the work on an image', loc='left',
                   fontsize=9)


def _draw_drops(axes: 'Axes', first_ns: int, drops: List[Outcome]) -> None:
    counts = Counter(each.reason for each in drops)
    for row, reason in enumerate(counts):
        times_s = [(each.record_ns - first_ns) / 1e9 for each in drops if each.reason == reason]
        axes.scatter(times_s, [row] * len(times_s), s=12, marker='|')
    axes.set_yticks(list(range(len(counts))), labels=[
        f'{reason} ({count})' for reason, count in counts.items()])
    axes.set_ylim(-0.5, max(len(counts), 1) - 0.5)
    axes.set_title('dropped' if drops else 'dropped: none', loc='left', fontsize=9)
