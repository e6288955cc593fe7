# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of matplotlib, which is optional and imported only for a plot."""
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class PlotError(RuntimeError):
    """A plot that cannot be drawn; the message says what to do."""


def new_figure(path: str, width: float, height: float) -> 'Figure':
    """Return an empty matplotlib Figure of `width` by `height` inches that can be saved at `path`.

    Call this before a long measurement, so that an error comes first.

    Raises:
        PlotError: if matplotlib is not installed or cannot write the format of `path`.
    """
    try:
        # Not pyplot, which has windows and global state
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise PlotError('plotting needs matplotlib: pip install matplotlib, or sudo apt install '
                        'python3-matplotlib') from error
    endings = FigureCanvasAgg.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in endings:
        raise PlotError(f'matplotlib cannot write {path!r}; expected one of the file extensions '
                        f'{", ".join(sorted(endings))}')
    figure = Figure(figsize=(width, height), dpi=120)
    FigureCanvasAgg(figure)
    return figure
