# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Before the first frame: load the model, warm it up, and find the costs of its levels."""
import dataclasses
import gc
import os
import reprlib
import time
from statistics import median
from typing import Callable, Iterator, List, Sequence, Tuple

import numpy as np

from ltp_ros.backends import choice
from ltp_ros.backends.level_files import versions
from ltp_ros.backends.protocol import Log
from ltp_ros.classifier import Classifier, ClassifierError
from ltp_ros.config import ClassifierConfig
from ltp_ros.machine import hardware, power_mode
from ltp_ros.model.card import model_name
from ltp_ros.model.labels import names_shared, numbered_names
from ltp_ros.opening import trial_frame
from ltp_ros.tuner import ladder_profile
from ltp_ros.tuner.ladder_file import Machine
from ltp_ros.tuner.ladder_profile import ProfileError, Setup
from ltp_ros.tuner.levels import LevelCost, costs_of, useless_levels

TIMED_ROUNDS = 20
TIMED_AGAIN = 1  # at most, where the machine seems busy: the start waits for it


def prepare(config: ClassifierConfig, log: Log, warn: Log,
            is_running: Callable[[], bool]) -> Tuple[Classifier, List[LevelCost]]:
    """Load a model, warm it up, and find out the costs of its ladder.

    Args:
        config: of the classifier.
        log: called at every step, since a slow board takes minutes.
        warn: called with the reason if the given profile is not used.
        is_running: false once the program should stop; the rest is then skipped.

    Raises:
        ltp_ros.model.card.ModelError: if the model, its weights or its labels cannot be used.
        ClassifierError: if it cannot run as configured, or should stop.
    """
    def go_on() -> None:
        if not is_running():
            raise ClassifierError('stopped before the model was ready')

    def progress(keep_ratio: float) -> None:
        go_on()
        log(f'warmed up at keep_ratio {keep_ratio:g}')

    set_priority(config.priority)
    if config.profile:
        read_profile(config.profile)  # or it is refused when the model is ready, minutes later
    log(f'loading {model_name(config.model, config.checkpoint)}')
    classifier = Classifier(config, log, go_on)
    if list(classifier.labels) == numbered_names(len(classifier.labels)):
        warn("the model has no class names, so they are 'class 0' and so on; labels:=FILE gives "
             'them')
    shared = names_shared(classifier.labels)
    if shared:
        warn('some classes have one name, and only class_ids tells them apart: '
             f'{reprlib.repr(shared)}; labels:=FILE gives them names of their own')
    classifier.warm_up(progress)
    costs = level_costs(classifier, log, warn, go_on)
    gc.collect()
    gc.freeze()  # the model is here to stay: no collection looks through it again
    return classifier, costs


def ways_to_run(classifier: Classifier) -> Iterator[ClassifierConfig]:
    """Yield configs of the same model, the one in use first, then others that may run it.

    On a GPU the last is the CPU.
    """
    here, config = classifier.device, classifier.config
    pairs = [(str(here), classifier.backend.name)]
    pairs += [(str(here), name) for name in choice.BACKENDS[here.type] if name != pairs[0][1]]
    if here.type == 'cuda':
        pairs.append(('cpu', 'eager'))
    for index, (device, backend) in enumerate(pairs):
        yield dataclasses.replace(
            config, device=device, backend=backend,
            precision=classifier.precision if index == 0 else 'auto')


def set_priority(priority: int) -> None:
    """Set the real-time priority of the calling thread; 0 leaves it as it is.

    Raises:
        ClassifierError: if this process may not have that priority.
    """
    if not priority:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        raise ClassifierError(
            f'priority {priority} is not allowed to this process ({error}); give it '
            'CAP_SYS_NICE or an rtprio limit in /etc/security/limits.conf, or set '
            'priority:=0') from error


def level_costs(classifier: Classifier, log: Log, warn: Log,
                progress: Callable[[], None]) -> List[LevelCost]:
    """Return the costs of the ladder: as the given profile has them, else as kept, else timed.

    What is timed is kept with the choice of the backend, for the next start.

    Args:
        classifier: warmed up.
        log: called before the ladder is timed, and with the levels that are of no use.
        warn: called with the reason if the given profile is not used.
        progress: called now and then while the ladder is timed; it may raise to end that.

    Raises:
        ClassifierError: if the profile cannot be read.
    """
    costs, in_file = costs_in_ladder(classifier, warn), True
    if not costs:
        costs, in_file = profiled(classifier, warn) or classifier.kept_costs, False
    if not costs:
        costs = time_ladder(classifier, log, progress)
        try:
            classifier.keep_choice(costs)
        except OSError as error:
            log(f'the choice of the backend cannot be kept ({error}); the next start makes it '
                'again')
    costs = with_zoom(costs, classifier, in_file)
    useless = useless_levels(costs)
    if useless:
        log(f'keep_ratio {", ".join(map("{:g}".format, useless))} took no less time than a higher '
            'one; the tuner tries it only where no other holds the deadline')
    return costs


def with_zoom(costs: Sequence[LevelCost], classifier: Classifier, in_file: bool
              ) -> List[LevelCost]:
    """Return costs of levels with what finding the box takes here, for those that look at one.

    Args:
        costs: of the model alone.
        classifier: warmed up.
        in_file: the costs of levels that zoom by themselves have it already, by the ladder's file.
    """
    wanted = classifier.config.zoom
    zooming = {cost.keep_ratio for cost in costs if classifier.zooms(cost.keep_ratio, wanted)
               and not (in_file and classifier.zooms(cost.keep_ratio, False))}
    if not zooming:
        return list(costs)
    frame, times_ms = zoom_frame(), []
    for _ in range(TIMED_ROUNDS):
        start = time.perf_counter()
        classifier.zoom.box(frame)
        times_ms.append(1e3 * (time.perf_counter() - start))
    added_ms = median(times_ms)
    return [dataclasses.replace(cost, median_ms=cost.median_ms + added_ms,
                                p99_ms=cost.p99_ms + added_ms)
            if cost.keep_ratio in zooming else cost for cost in costs]


def zoom_frame() -> np.ndarray:
    """Return the image (480, 640, 3) uint8 that the zoom is timed on: a thing on calm ground."""
    frame = np.full_like(trial_frame(), 128)
    frame[120:280, 200:420] = trial_frame()[120:280, 200:420]
    return frame


def profiled(classifier: Classifier, warn: Log) -> List[LevelCost]:
    """Return the costs of the ladder by the profile that the config names; [] if there is none.

    Args:
        classifier: of that config.
        warn: called with the reason if the given profile is not used.

    Raises:
        ClassifierError: if the profile cannot be read.
    """
    config = classifier.config
    if not config.profile:
        return []
    found = read_profile(config.profile)
    clauses = ladder_profile.mismatches(found, setup_of(classifier), config.levels)
    if clauses:
        warn(f'profile {config.profile!r} does not fit: {"; ".join(clauses)}. Timing the ladder '
             'instead; run ltp_profile here')
        return []
    return [cost for cost in found.costs if cost.keep_ratio in config.levels]


def costs_in_ladder(classifier: Classifier, warn: Log) -> List[LevelCost]:
    """Return the costs of the ladder by its file; [] if it has none, or they are not of here.

    Args:
        classifier: warmed up.
        warn: called with the reason if the file was made elsewhere.
    """
    ladder = classifier.ladder
    if ladder is None:
        return []
    here = machine_of(classifier)
    costs = ladder.costs_on(here)
    if ladder.machine and not costs:
        warn(f'ladder {classifier.config.ladder!r} was timed on {ladder.machine}, and this is '
             f'{here}. Timing its levels instead; run ltp_profile here')
    return costs


def machine_of(classifier: Classifier) -> Machine:
    """Return what the times of a ladder depend on here."""
    return Machine(device=classifier.device.type, hardware=hardware(str(classifier.device)),
                   power_mode=power_mode(), threads=classifier.num_threads)


def read_profile(path: str) -> ladder_profile.Profile:
    """Return a profile from a file; ClassifierError if it cannot be read."""
    try:
        return ladder_profile.read(path)
    except ProfileError as error:
        raise ClassifierError(str(error)) from error


def time_ladder(classifier: Classifier, log: Log,
                progress: Callable[[], None]) -> List[LevelCost]:
    """Time the levels of the ladder, and again while one seems no faster than a higher one.

    Args:
        classifier: warmed up.
        log: called before each time.
        progress: called after each round; it may raise to end the timing.
    """
    times_ms = classifier.time_levels(1, progress)
    seconds = sum(map(sum, times_ms.values())) * TIMED_ROUNDS / 1e3
    log(f'timing {len(times_ms)} level{"s" if len(times_ms) > 1 else ""}, about '
        f'{max(seconds, 1):.0f} s; profile:=FILE, made by ltp_profile, saves that')
    for tries_left in range(TIMED_AGAIN, -1, -1):
        for keep_ratio, more_ms in classifier.time_levels(TIMED_ROUNDS, progress).items():
            times_ms[keep_ratio] += more_ms
        costs = costs_of(times_ms)
        if not useless_levels(costs) or not tries_left:
            break
        log('some levels took no less time than a higher one; timing again, as the machine may '
            'be busy')
    return costs


def setup_of(classifier: Classifier) -> Setup:
    """Return the conditions that the speed of a classifier depends on."""
    return Setup(
        **dataclasses.asdict(machine_of(classifier)),
        backend=classifier.backend.name, precision=classifier.precision,
        torch=versions(['torch']).get('torch', ''), model=classifier.model_name,
        method=classifier.config.method, model_hash=classifier.model_hash)
