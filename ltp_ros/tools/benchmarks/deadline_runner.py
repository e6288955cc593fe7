# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the situations of `ltp_benchmark deadline` with the real node and a camera over DDS."""
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

# Answers skipped at the start of a run: images that the previous policy left in the mailbox, and
# the tuner's first two windows without a miss
SETTLE_FRAMES = 50
MIN_ARRIVING = 0.8  # share of the images sent by the camera
BUSY = '''import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:  # do not outlive the benchmark
    for _ in range(1_000_000):
        pass
'''


class PolicyRunner:
    """Runs one policy after another through a situation in the same session.

    The tuner must run first. Under a fixed policy `deadline_ms` is 0, so the tuner only observes,
    and a tuned run afterwards would benefit from these observations. They do not carry over to
    the next session, which starts a new process.

    Args:
        session: a running session.
        ladder: all keep ratios of its node.
        seconds: duration of each phase.
    """

    def __init__(self, session: Session, ladder: Sequence[float], seconds: float):
        self._session = session
        self._ladder = tuple(ladder)
        self._seconds = seconds

    def run(self, situation: str, phases: Sequence[Phase], keep_ratio: Optional[float],
            deadline_ms: float) -> Run:
        """Run one policy through a situation.

        Args:
            situation: name of the situation.
            phases: its phases.
            keep_ratio: the fixed keep ratio; None for the tuner.
            deadline_ms: the deadline before any phase's factor.

        Raises:
            BenchmarkError: if the node did not follow the policy, or a phase has no answer.
            ProcessError: if a process ended, or did not answer in time.
        """
        session = self._session
        node_deadline_ms = deadline_ms if keep_ratio is None else 0.0
        session.set(CLASSIFIER, 'deadline_ms', node_deadline_ms)
        if keep_ratio is not None:
            session.set(CLASSIFIER, 'keep_ratio', keep_ratio)
        session.wait_for_answers(SETTLE_FRAMES)
        first, spans = len(session.heard), []
        for phase in phases:
            with self._conditions(phase, node_deadline_ms):
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
        """Return the answers to images captured within a phase, with the deadline of the phase."""
        run_start_ns = spans[0][1]
        return [FrameRow(phase.name, (stamp_ns(message) - run_start_ns) / 1e9,
                         message.frame_index, snap(message.keep_ratio, self._ladder),
                         message.capture_to_publish_ms, message.inference_ms,
                         message.dropped_since_last, deadline_ms * phase.deadline_factor)
                for phase, start_ns, end_ns in spans
                for message in self._session.heard[first:]
                if start_ns <= stamp_ns(message) < end_ns]


def check_run(run: Run, phases: Sequence[Phase]) -> None:
    """Raise BenchmarkError if a run is not a valid measurement of its policy."""
    where = f'situation {run.situation!r}, policy {policy_name(run.keep_ratio)!r}'
    for phase in phases:
        if not any(frame.phase == phase.name for frame in run.frames):
            raise BenchmarkError(f'{where}: no answer in the phase {phase.name!r}; increase '
                                 '--seconds')
    if any(math.isnan(frame.age_ms) for frame in run.frames):
        raise BenchmarkError(f'{where}: capture_to_publish_ms of an answer is NaN, so it is '
                             'unknown whether it was late; was the clock set?')
    wrong = {frame.keep_ratio for frame in run.frames} - {run.keep_ratio}
    if run.keep_ratio is not None and wrong:
        raise BenchmarkError(f'{where}: the node ran at {sorted(wrong)} as well')


def check_arrivals(run: Run, phases: Sequence[Phase], seconds: float) -> None:
    """Raise BenchmarkError if too many images of a phase were lost in transport."""
    frames_of = by_phase(run.frames)
    for phase in phases:
        frames = frames_of[phase.name]
        arrived = len(frames) + sum(frame.dropped for frame in frames)
        sent = RATE_HZ * phase.rate_factor * seconds
        if arrived < MIN_ARRIVING * sent:
            raise BenchmarkError(
                f'situation {run.situation!r}, phase {phase.name!r}: {arrived} of about '
                f'{sent:.0f} images reached the node; is config/fastdds.xml in use, and does the '
                'camera have a core to itself?')


@contextlib.contextmanager
def busy_core() -> Iterator[subprocess.Popen]:
    """Run a busy-looping process that competes for a core."""
    process = subprocess.Popen([sys.executable, '-S', '-c', BUSY], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None  # a pipe
        process.stdout.readline()  # the loop has started
        yield process
    finally:
        process.kill()
        process.communicate()
