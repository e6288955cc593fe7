# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The time line of `ltp_benchmark deadline`: latency, deadline and keep ratio, frame by frame."""
from typing import Any, Sequence

from ltp_ros.research.benchmarks.deadline import Run, by_phase, policy_name

TUNED_COLOUR = 'tab:blue'
FIXED_COLOURS = ('tab:orange', 'tab:green', 'tab:purple', 'tab:brown')


def draw(figure: Any, runs: Sequence[Run], policies: Sequence[Any]) -> None:
    """Draw one panel a situation: above the latencies and the deadline, below the keep ratios.

    Args:
        figure: an empty matplotlib Figure.
        runs: all of them.
        policies: keep ratio of those that are shown; None is the tuned one.
    """
    situations = list(dict.fromkeys(run.situation for run in runs))
    fixed = [policy for policy in policies if policy is not None]
    colours = {None: TUNED_COLOUR, **dict(zip(fixed, FIXED_COLOURS))}
    height = figure.get_figheight()
    panels = figure.add_gridspec(len(situations), 1, hspace=0.3, left=0.07, right=0.98,
                                 bottom=0.6 / height, top=1 - 0.8 / height)
    for situation, panel in zip(situations, panels):
        above, below = panel.subgridspec(2, 1, height_ratios=(3, 1), hspace=0.06).subplots(
            sharex=True)
        shown = [run for run in runs
                 if run.situation == situation and run.keep_ratio in colours]
        for run in sorted(shown, key=lambda run: run.keep_ratio is None):  # tuned on top
            times_s = [frame.time_s for frame in run.frames]
            colour = colours[run.keep_ratio]
            above.plot(times_s, [frame.age_ms for frame in run.frames], color=colour,
                       linewidth=0.9, label=run.policy)
            below.step(times_s, [frame.keep_ratio for frame in run.frames], where='post',
                       color=colour, linewidth=1.2)
        _draw_deadline(above, shown[0])
        _name_phases(above, shown[0])
        above.set(title=situation, ylabel='capture to publish [ms]')
        above.set_ylim(0, 3 * max(frame.deadline_ms for frame in shown[0].frames))
        below.set(xlabel='time of capture [s]', ylabel='keep ratio', ylim=(0, 1.08))
        below.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    order = [labels.index(name) for name in
             [*(policy_name(policy) for policy in policies), 'deadline'] if name in labels]
    figure.legend([handles[i] for i in order], [labels[i] for i in order], loc='upper center',
                  ncol=len(order), frameon=False)


def _draw_deadline(axes: Any, run: Run) -> None:
    axes.step([frame.time_s for frame in run.frames],
              [frame.deadline_ms for frame in run.frames],
              where='post', color='tab:red', linestyle='--', linewidth=1.2, label='deadline')


def _name_phases(axes: Any, run: Run) -> None:
    phases = by_phase(run.frames)
    for index, (name, frames) in enumerate(phases.items()):
        if len(phases) > 1:
            axes.annotate(name, (frames[0].time_s, 0.94), xycoords=('data', 'axes fraction'),
                          xytext=(4, 0), textcoords='offset points', va='top', fontsize=8)
        if index:
            axes.axvline(frames[0].time_s, color='0.6', linewidth=0.8)
