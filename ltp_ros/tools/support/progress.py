# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of a long run: a bar on a terminal, lines in a file or a pipe."""
import contextlib
import threading
from typing import Iterable, Iterator, TypeVar

from rich.progress import Progress, Task

T = TypeVar('T')
FIRST_LINE_S, LINE_EVERY_S = 2.0, 10.0


@contextlib.contextmanager
def shown(bar: Progress) -> Iterator[Progress]:
    """Show a progress bar; where it cannot be drawn, print a line every LINE_EVERY_S instead."""
    console = bar.console
    if bar.disable or (console.is_terminal and not console.is_dumb_terminal):
        with bar:
            yield bar
        return
    over = threading.Event()

    def tell() -> None:
        wait_s = FIRST_LINE_S
        while not over.wait(wait_s):
            wait_s = LINE_EVERY_S
            for task in bar.tasks[-1:]:  # the others are done
                console.print(line_of(task), soft_wrap=True, markup=False, highlight=False)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield bar
    finally:
        over.set()
        teller.join()


def tracked(items: Iterable[T], description: str, bar: Progress) -> Iterator[T]:
    """Yield the items, and show how many have been."""
    with shown(bar):
        yield from bar.track(items, description=description)


def line_of(task: Task) -> str:
    """Return the state of a task in a line."""
    left_s = task.time_remaining
    left = '' if left_s is None else f', {left_s / 60:.1f} minutes left'
    return f'{task.description}: {task.percentage:.0f} %{left}'
