# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a program tells its user besides its results."""
import functools

from rich.console import Console

from ltp_ros.images import Note


def teller(console: Console, program: str) -> Note:
    """Return a function that prints a sentence as one line, under the name of the program."""
    # Paths may look like rich's markup
    return functools.partial(console.print, f'{program}:', soft_wrap=True, markup=False,
                             highlight=False)
