# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The time line of `ltp_benchmark soak`: memory, threads and descriptors, ages, images."""
from typing import TYPE_CHECKING

import numpy as np

from ltp_ros.research.benchmarks.soak import FIRST, LAST, MAX_GROWTH, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # optional
    from matplotlib.figure import Figure

NAMES = {'rss_mib': 'resident', 'own_mib': 'of it anonymous', 'shared_mib': 'of it shared',
         'mapped_mib': 'mapped of /dev/shm'}
OUTCOMES = {'received': 'tab:gray', 'published': 'tab:blue', 'dropped': 'tab:orange'}


def draw(figure: 'Figure', record: Record) -> None:
    """Draw what the node held and did over time; the steady stages are shaded.

    Args:
        figure: an empty matplotlib Figure.
        record: of the run, with a sample at least.
    """
    memory, numbers, ages, images = figure.subplots(4, 1, sharex=True)
    _draw_memory(memory, record)
    minutes = [sample.time_s / 60 for sample in record.samples]
    for name in ('threads', 'descriptors'):
        numbers.plot(minutes, [getattr(sample.usage, name) for sample in record.samples],
                     label=name)
    numbers.set_ylim(0, 1.1 * numbers.get_ylim()[1])
    for stage, colour in (('steady', 'tab:blue'), ('mixed', 'tab:gray')):
        found = np.array([age for phase in record.phases for age in phase.ages
                          if (phase.step.stage in (FIRST, LAST)) == (stage == 'steady')])
        if len(found):
            ages.plot(found[:, 0] / 60, found[:, 1], '.', markersize=1.5, color=colour,
                      label=f'{stage} stages')
    ages.set(yscale='log', ylabel='capture to publish [ms]')
    for name, colour in OUTCOMES.items():
        for index, phase in enumerate(record.phases):
            count = (sum(phase.counts.dropped.values()) if name == 'dropped'
                     else getattr(phase.counts, name))
            images.hlines(count / max(phase.end_s - phase.start_s, 1.0), phase.start_s / 60,
                          phase.end_s / 60, color=colour, label='' if index else name)
    images.set(xlabel='minutes', ylabel='images a second')
    for axes in figure.axes:
        for phase in record.phases:
            if phase.step.stage in (FIRST, LAST):
                axes.axvspan(phase.start_s / 60, phase.end_s / 60, color='0.93', zorder=0)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc='lower left', bbox_to_anchor=(0, 1), fontsize=8, markerscale=5,
                        ncol=5, frameon=False)  # above, not on what is drawn
    figure.tight_layout()


def _draw_memory(axes: 'Axes', record: Record) -> None:
    """Draw the change since the first steady stage, of which a hundredth may be lost."""
    minutes = [sample.time_s / 60 for sample in record.samples]
    base = [sample for sample in record.samples if sample.stage == FIRST] or record.samples
    for field, name in NAMES.items():
        level = float(np.median([getattr(sample.usage, field) for sample in base]))
        axes.plot(minutes, [getattr(sample.usage, field) - level for sample in record.samples],
                  label=f'{name}, from {level:.0f}')
    level = float(np.median([sample.usage.rss_mib for sample in base]))
    axes.axhline(MAX_GROWTH * level, color='tab:red', linestyle='--', linewidth=1.0,
                 label=f'{MAX_GROWTH:.0%} of resident')
    axes.set(ylabel='change of memory [MiB]')
