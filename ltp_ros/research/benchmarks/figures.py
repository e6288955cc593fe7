# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""matplotlib, which only those need who ask for a plot."""
from pathlib import Path
from typing import Any


class PlotError(RuntimeError):
    """A plot that cannot be made; the message says what to do."""


def new_figure(path: str, width: float, height: float) -> Any:
    """Return an empty matplotlib Figure, in inches, that can be saved at `path`.

    Make it before a long measurement, so that nothing is measured in vain.

    Raises:
        PlotError: if matplotlib is missing, or `path` is not one that it can write.
    """
    try:
        # Without pyplot: no window, no global state
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise PlotError('a plot needs matplotlib, which is not here: pip install matplotlib, or '
                        'sudo apt install python3-matplotlib') from error
    endings = FigureCanvasAgg.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in endings:
        raise PlotError(f'{path!r} is not a kind of picture that matplotlib writes; expected an '
                        f'ending of {", ".join(sorted(endings))}')
    figure = Figure(figsize=(width, height), dpi=120)
    FigureCanvasAgg(figure)
    return figure
