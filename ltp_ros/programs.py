# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of pyproject.toml, and how a signal to stop ends them at any moment.

Their modules import torch, which takes seconds, and Python answers Ctrl-C in the middle of an
import with a traceback. This one imports next to nothing.
"""
import contextlib
import functools
import gc
import importlib
import os
import signal
import sys
from types import FrameType
from typing import Iterator, List, Optional

STOP = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130  # as a shell has it: 128 + SIGINT


def run(module: str, interrupted: int = INTERRUPTED) -> int:
    """Import a module and run its `main`; return the exit code.

    Args:
        module: dotted.
        interrupted: the exit code after a signal to stop. 0 for what runs until it is told to;
            anything else takes SIGTERM for Ctrl-C.
    """
    def end(number: int, frame: Optional[FrameType]) -> None:
        os._exit(interrupted)

    handled = [number for number in STOP if signal.getsignal(number) in (
        signal.SIG_DFL, signal.default_int_handler)]  # a background job may ignore SIGINT
    before = {number: signal.signal(number, end) for number in handled}
    main = importlib.import_module(module).main
    for number, handler in before.items():
        signal.signal(number, signal.default_int_handler if interrupted else handler)
    try:
        code: int = main()
    except KeyboardInterrupt:
        code = interrupted
    for number in handled:  # while Python takes everything down
        signal.signal(number, lambda number, frame: os._exit(code))
    sys.stdout.flush()
    gc.freeze()  # or Python's last collection looks through all of torch, for a second or two
    return code


@contextlib.contextmanager
def postponed(number: int) -> Iterator[None]:
    """Keep a signal until the end of a block that installs a handler for it."""
    came: List[int] = []
    before = signal.signal(number, lambda received, frame: came.append(received))
    try:
        yield
    except BaseException:
        signal.signal(number, before)
        raise
    if came:
        os.kill(os.getpid(), number)


ltp_adapt = functools.partial(run, 'ltp_ros.tools.adapt')
ltp_benchmark = functools.partial(run, 'ltp_ros.tools.benchmark')
ltp_classifier = functools.partial(run, 'ltp_ros.node', interrupted=0)
ltp_demo = functools.partial(run, 'ltp_ros.tools.demo')
ltp_doctor = functools.partial(run, 'ltp_ros.tools.doctor')
ltp_evaluate = functools.partial(run, 'ltp_ros.tools.evaluate')
ltp_export = functools.partial(run, 'ltp_ros.tools.export')
ltp_image_source = functools.partial(run, 'ltp_ros.tools.image_source', interrupted=0)
ltp_profile = functools.partial(run, 'ltp_ros.tools.profile')
ltp_replay = functools.partial(run, 'ltp_ros.tools.replay')
ltp_teach = functools.partial(run, 'ltp_ros.tools.teach')
ltp_train = functools.partial(run, 'ltp_ros.tools.train')
