# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The time line of `ltp_benchmark deadline`: latency, deadline and keep ratio, frame by frame."""
from typing import TYPE_CHECKING, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.config import ClassifierConfig, TunerConfig
from ltp_ros.research.benchmarks.deadline import (
    ORACLE,
    Run,
    by_phase,
    miss_rate,
    oracle,
    policy_name,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist  # optional
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TUNED_COLOUR = 'tab:blue'
FIXED_COLOURS = ('tab:orange', 'tab:green', 'tab:purple', 'tab:brown')
SHOWN_PERCENTILE = 99.5  # of the latencies; the axis ends there, so that peaks do not flatten it
LEAST_HEIGHT = 1.3       # of the axis, in deadlines


def draw(figure: 'Figure', runs: Sequence[Run], policies: Sequence[Optional[float]],
         ladder: Sequence[float] = ClassifierConfig.keep_ratios,
         target_miss_rate: float = TunerConfig.target_miss_rate) -> None:
    """Draw two panels for each situation: latencies and deadline above, keep ratios below.

    The oracle's level is drawn if every level of the ladder ran in the situation; phases in which
    even that level misses the target are hatched.

    Args:
        figure: an empty matplotlib Figure.
        runs: all runs.
        policies: keep ratios of the policies to show; None is the tuned one.
        ladder: every level.
        target_miss_rate: share of answers that may be late.
    """
    situations = list(dict.fromkeys(run.situation for run in runs))
    fixed = [policy for policy in policies if policy is not None]
    colours: Dict[Optional[float], str] = {None: TUNED_COLOUR, **dict(zip(fixed, FIXED_COLOURS))}
    height = figure.get_figheight()
    grid = figure.add_gridspec(len(situations), 1, hspace=0.3, left=0.07, right=0.98,
                               bottom=0.6 / height, top=1 - 0.8 / height)
    for number, situation in enumerate(situations):
        panels = grid[number].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.06)
        above = figure.add_subplot(panels[0])
        below = figure.add_subplot(panels[1], sharex=above)
        above.tick_params(labelbottom=False)
        members = [run for run in runs if run.situation == situation]
        shown = sorted((run for run in members if run.keep_ratio in colours),
                       key=lambda run: run.keep_ratio is None)  # tuned on top
        for run in shown:
            times_s = [frame.time_s for frame in run.frames]
            above.plot(times_s, [frame.age_ms for frame in run.frames],
                       color=colours[run.keep_ratio], linewidth=0.9, label=run.policy)
            below.step(times_s, [frame.keep_ratio for frame in run.frames], where='post',
                       color=colours[run.keep_ratio],
                       linewidth=1.2 if run.keep_ratio is None else 3.0)
        _draw_deadline(above, shown[0])
        _limit_latency(above, shown, colours)
        _name_phases(above, shown[0])
        _draw_oracle(above, below, members, ladder, target_miss_rate)
        above.set(title=situation, ylabel='capture to publish [ms]')
        below.set(xlabel='time of capture [s]', ylabel='keep ratio', ylim=(0, 1.08))
        below.grid(alpha=0.3)
    handles: Dict[str, Artist] = {}
    for axes in figure.axes[:2]:
        handles.update(zip(*reversed(axes.get_legend_handles_labels())))
    order = [name for name in (*map(policy_name, policies), 'deadline', ORACLE) if name in handles]
    meaning = f'{ORACLE}: highest level with at most {100 * target_miss_rate:g} % late'
    figure.legend([handles[name] for name in order],
                  [meaning if name == ORACLE else name for name in order],
                  loc='upper center', ncol=len(order), frameon=False)


def _draw_deadline(axes: 'Axes', run: Run) -> None:
    axes.step([frame.time_s for frame in run.frames],
              [frame.deadline_ms for frame in run.frames],
              where='post', color='tab:red', linestyle='--', linewidth=1.2, label='deadline')


def _limit_latency(axes: 'Axes', runs: Sequence[Run],
                   colours: Mapping[Optional[float], str]) -> None:
    """End the axis at a high percentile of the latencies; mark and count those beyond."""
    frames = [frame for run in runs for frame in run.frames]
    top_ms = max(float(np.percentile([frame.age_ms for frame in frames], SHOWN_PERCENTILE)),
                 LEAST_HEIGHT * max(frame.deadline_ms for frame in frames))
    axes.set_ylim(0, top_ms)
    for run in runs:
        beyond = [frame.time_s for frame in run.frames if frame.age_ms > top_ms]
        axes.plot(beyond, [top_ms] * len(beyond), marker='^', markersize=4, linestyle='',
                  color=colours[run.keep_ratio], clip_on=False)
    beyond_ms = [frame.age_ms for frame in frames if frame.age_ms > top_ms]
    if beyond_ms:
        axes.set_title(f'▲ {len(beyond_ms)} beyond the axis, up to {max(beyond_ms):.0f} ms',
                       loc='right', fontsize=8)


def _phase_spans(run: Run) -> Dict[str, Tuple[float, float]]:
    """Return the first and last second of each phase."""
    starts = {name: frames[0].time_s for name, frames in by_phase(run.frames).items()}
    ends = [*list(starts.values())[1:], run.frames[-1].time_s]
    return {name: (start, end) for (name, start), end in zip(starts.items(), ends)}


def _name_phases(axes: 'Axes', run: Run) -> None:
    spans = _phase_spans(run)
    for index, (name, (start, _)) in enumerate(spans.items()):
        if len(spans) > 1:
            _note(axes, name, start, 0.94)
        if index:
            axes.axvline(start, color='0.6', linewidth=0.8)


def _draw_oracle(above: 'Axes', below: 'Axes', runs: Sequence[Run], ladder: Sequence[float],
                 target_miss_rate: float) -> None:
    spans = _phase_spans(runs[0])
    for number, (phase, frames) in enumerate(oracle(runs, ladder, target_miss_rate).items()):
        start, end = spans[phase]
        below.hlines(frames[0].keep_ratio, start, end, color='black', linestyle=':',
                     linewidth=2.0, label='' if number else ORACLE, zorder=3)
        if miss_rate(frames) > target_miss_rate:
            for axes in (above, below):
                axes.axvspan(start, end, facecolor='none', edgecolor='0.85', hatch='//',
                             linewidth=0.0, zorder=0)
            _note(above, 'no level meets the target; oracle: fewest misses', start, 0.86)


def _note(axes: 'Axes', text: str, time_s: float, height: float) -> None:
    axes.annotate(text, (time_s, height), xycoords=('data', 'axes fraction'), xytext=(4, 0),
                  textcoords='offset points', va='top', fontsize=8,
                  bbox={'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.7, 'pad': 1.0})
