# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the situations of `ltp_benchmark deadline`: the real node, a real camera, DDS between."""
import contextlib
import math
import subprocess
import sys
from typing import Iterator, List, Optional, Sequence, Tuple

from ltp_ros.config import snap
from ltp_ros.research.benchmarks import BenchmarkError
from ltp_ros.research.benchmarks.deadline import FrameRow, Phase, Run, by_phase, policy_name
from ltp_ros.tools.benchmarks.session import (
    CAMERA,
    CLASSIFIER,
    RATE_HZ,
    Session,
    stamp_ns,
)

# Answers at the beginning of a run that are left out: what the policy before it left in the
# mailbox, and the first two clean windows of the tuner
SETTLE_FRAMES = 50
LEAST_ARRIVING = 0.8  # of the images that the camera should have sent
BUSY = '''import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:  # never outlive the benchmark
    for _ in range(1_000_000):
        pass
'''


class PolicyRunner:
    """Lets one policy after the other go through a situation, in one session.

    What the tuner learns in one session cannot leak into the next: the process ends. Within a
    session it must run first: a fixed policy sets `deadline_ms` to 0, where the tuner only
    watches, and a second tuned run would profit from what it saw.

    Args:
        session: running.
        ladder: every keep ratio of its node.
        seconds: that each phase lasts.
    """

    def __init__(self, session: Session, ladder: Sequence[float], seconds: float):
        self._session = session
        self._ladder = tuple(ladder)
        self._seconds = seconds

    def run(self, situation: str, phases: Sequence[Phase], keep_ratio: Optional[float],
            deadline_ms: float) -> Run:
        """Let one policy go through a situation.

        Args:
            situation: its name.
            phases: what happens in it.
            keep_ratio: fixed at this; None lets the tuner move it.
            deadline_ms: the deadline before any phase's factor.

        Raises:
            BenchmarkError: if the node did not do as the policy says, or a phase has no answer.
            ProcessError: if a process ended, or did not answer in time.
        """
        session, tuned = self._session, keep_ratio is None
        session.set(CLASSIFIER, 'deadline_ms', deadline_ms if tuned else 0.0)
        if not tuned:
            session.set(CLASSIFIER, 'keep_ratio', keep_ratio)
        session.wait_for_answers(SETTLE_FRAMES)
        first, spans = len(session.heard), []
        for phase in phases:
            with self._conditions(phase, deadline_ms if tuned else 0.0):
                spans.append((phase, *session.let_time_pass(self._seconds)))
        session.wait_for_answer_after(spans[-1][2])
        run = Run(situation, keep_ratio, self._rows(first, spans, deadline_ms))
        check_run(run, phases)
        check_arrivals(run, phases, self._seconds)
        return run

    @contextlib.contextmanager
    def _conditions(self, phase: Phase, deadline_ms: float) -> Iterator[None]:
        changes = [change for change in (
            (CAMERA, 'rate', RATE_HZ, phase.rate_factor),
            (CLASSIFIER, 'deadline_ms', deadline_ms, phase.deadline_factor))
            if change[2] and change[3] != 1.0]
        for node, name, value, factor in changes:
            self._session.set(node, name, value * factor)
        with busy_core() if phase.loaded else contextlib.nullcontext():
            yield
        for node, name, value, _ in changes:
            self._session.set(node, name, value)

    def _rows(self, first: int, spans: Sequence[Tuple[Phase, int, int]],
              deadline_ms: float) -> List[FrameRow]:
        """Return the answers to images captured within a phase, under that phase's deadline."""
        run_start_ns = spans[0][1]
        return [FrameRow(phase.name, (stamp_ns(message) - run_start_ns) / 1e9,
                         message.frame_index, snap(message.keep_ratio, self._ladder),
                         message.capture_to_publish_ms, message.inference_ms,
                         message.dropped_since_last, deadline_ms * phase.deadline_factor)
                for phase, start_ns, end_ns in spans
                for message in self._session.heard[first:]
                if start_ns <= stamp_ns(message) < end_ns]


def check_run(run: Run, phases: Sequence[Phase]) -> None:
    """Raise BenchmarkError if a run is no measurement of its policy."""
    where = f'situation {run.situation!r}, policy {policy_name(run.keep_ratio)!r}'
    for phase in phases:
        if not any(frame.phase == phase.name for frame in run.frames):
            raise BenchmarkError(f'{where}: no answer in the phase {phase.name!r}; give more '
                                 '--seconds')
    if any(math.isnan(frame.age_ms) for frame in run.frames):
        raise BenchmarkError(f'{where}: capture_to_publish_ms of an answer is NaN, so nobody can '
                             'say whether it was late; was the clock set?')
    wrong = {frame.keep_ratio for frame in run.frames} - {run.keep_ratio}
    if run.keep_ratio is not None and wrong:
        raise BenchmarkError(f'{where}: the node ran at {sorted(wrong)} as well')


def check_arrivals(run: Run, phases: Sequence[Phase], seconds: float) -> None:
    """Raise BenchmarkError if most images of a phase were lost on their way to the node."""
    frames_of = by_phase(run.frames)
    for phase in phases:
        frames = frames_of[phase.name]
        arrived = len(frames) + sum(frame.dropped for frame in frames)
        sent = RATE_HZ * phase.rate_factor * seconds
        if arrived < LEAST_ARRIVING * sent:
            raise BenchmarkError(
                f'situation {run.situation!r}, phase {phase.name!r}: {arrived} of about '
                f'{sent:.0f} images reached the node; is config/fastdds.xml in use, and is there '
                'a core left for the camera?')


@contextlib.contextmanager
def busy_core() -> Iterator[subprocess.Popen]:
    """Let a process that does nothing but compute compete for a core, meanwhile."""
    process = subprocess.Popen([sys.executable, '-S', '-c', BUSY], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()  # it is at it
        yield process
    finally:
        process.kill()
        process.communicate()
