# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_replay`: one bag and its output, from the start or from where it was killed."""
import contextlib
import functools
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import ltp_ros
from ltp_ros.backends.level_files import versions
from ltp_ros.classifier import Classifier
from ltp_ros.config import ClassifierConfig, Config
from ltp_ros.files import sha256, write_whole
from ltp_ros.frames.startup import level_costs
from ltp_ros.images import Note, ignore
from ltp_ros.model.names import DEMO
from ltp_ros.research.replay import output
from ltp_ros.research.replay.answer_bag import CLASSIFICATION, LATENCY, STORAGES
from ltp_ros.research.replay.bag_images import Chosen, choose, fingerprint, images
from ltp_ros.research.replay.clock import ReplayClock
from ltp_ros.research.replay.outcome import Outcome
from ltp_ros.research.replay.part import Part, PartError, Settings, differences
from ltp_ros.research.replay.replay import Replay
from ltp_ros.research.replay.summary import Summary, summarise
from ltp_ros.ros.transport import share_directory
from ltp_ros.settings import fields, value_of
from ltp_ros.tuner.levels import LevelCost

# Parameters on which no answer depends
UNHEEDED = ('cache', 'priority', 'num_threads', 'profile', 'zoom_boxes')
AUTO = ('backend', 'precision', 'device')  # which may be found on the machine
OF_INPUT = ('roi', 'max_rate', 'max_age_ms')
LIBRARIES = ('ltp_ros', 'torch', 'timm', 'onnxruntime', 'openvino', 'numpy')
Progress = Callable[[int, int], None]  # images that are done, and all


@dataclass(frozen=True)
class Job:
    """A bag to be replayed. What it needs is found by absolute paths, on any machine."""

    bag: str
    output: str
    form: str  # one of `output.FORMS`
    config: Config
    topics: Tuple[str, ...] = ()
    real_time: bool = False
    slowdown: float = 1.0  # of the machine that is replayed, against this one
    auto: Optional[Settings] = None  # see `meaning_of_auto`; None: it is found on the way


@dataclass(frozen=True)
class Done:
    """A bag whose output is there."""

    job: Job
    summary: Summary
    duration_s: float  # of the bag
    computed: int = 0  # images, in this run
    seconds: float = 0.0  # that they took
    earlier: bool = False  # the output was there before
    notes: Tuple[str, ...] = ()  # that nobody was told


def run(job: Job, note: Note, progress: Progress = lambda done, total: None,
        look: Callable[[Iterator[Outcome]], None] = lambda outcomes: None) -> Done:
    """Replay a bag, and write its output at the end; what an earlier run has left is gone on with.

    Args:
        job: what to do.
        note: called with what is left out of the bag, and what an earlier run has left.
        progress: called after each image.
        look: called with the outcomes of all images before the output is written.

    Raises:
        ClassifierError, ConfigError, ModelError: if the model cannot be used.
        DatasetError: if the bag cannot be read.
        PartError: if the output exists, or was begun, with other settings.
        ClockError: if what an earlier run has left is not of this bag.
        OSError: if the output cannot be written.
    """
    asked, path = _asked(job), Path(job.output)
    earlier = _finished(job, asked)
    if earlier is not None:
        path.with_name(f'{path.name}.part').unlink(missing_ok=True)
        return earlier
    definitions = _definitions() if job.form in STORAGES else {}
    chosen = choose(Path(job.bag), job.topics, note)
    with Part(path.with_name(f'{path.name}.part')) as part:
        replayed, model = _replay(job, asked, part, chosen, note)
        before, start_s = len(part), time.monotonic()
        for number, outcome in enumerate(replayed.outcomes(), 1):
            part.add(outcome)
            progress(number, chosen.total)
        done = Done(job, summarise(part.outcomes(), job.real_time), chosen.duration_s,
                    len(part) - before, time.monotonic() - start_s)
        look(part.outcomes())
        # First, or a run that is killed here would find an output that nothing is known of
        write_whole(_about(path), _to_json(done, asked, model))
        output.write(part.outcomes(), path, job.form, job.real_time, definitions)
        part.path.unlink()
    return done


def _replay(job: Job, asked: Settings, part: Part, chosen: Chosen, note: Note
            ) -> Tuple[Replay, Settings]:
    kept = part.settings
    if kept:
        told = differences(kept['asked'], asked)
        if told:
            raise PartError(f"'{part.path}' was begun with other settings: {told}. Give the same "
                            'to go on with it, or delete it, or name another --output')
    config = replace(job.config, classifier=as_before(
        job.config.classifier, kept.get('model') or job.auto))
    classifier = _opened(config.classifier)
    model = _model(classifier)
    if kept:
        told = differences(kept['model'], model)
        if told:
            raise PartError(f"'{part.path}' was begun with another model: {told}. Use that to go "
                            'on with it, or delete it, or name another --output')
        costs = [LevelCost(*cost) for cost in kept['costs']]
        note(f'{len(part)} of {chosen.total} images were done by an earlier run')
    else:
        costs = _costs(classifier, job, note)
        part.begin({'asked': asked, 'model': model,
                    'costs': [list(asdict(cost).values()) for cost in costs]})
    return Replay(classifier, costs, config, images(Path(job.bag), chosen),
                  ReplayClock(job.slowdown), job.real_time, part.known), model


@functools.lru_cache(maxsize=1)  # a process replays one bag after the other
def _opened(config: ClassifierConfig) -> Classifier:
    classifier = Classifier(config)
    classifier.warm_up()
    if classifier.kept is None:
        with contextlib.suppress(OSError):  # then the next run chooses anew
            classifier.keep_choice(())
    return classifier


def meaning_of_auto(config: ClassifierConfig) -> Settings:
    """Return what 'auto' means on this machine, so that several processes take it for the same.

    Raises:
        ClassifierError, ModelError: if the model cannot be used.
    """
    return {name: value for name, value in _model(_opened(config)).items() if name in AUTO}


def _costs(classifier: Classifier, job: Job, note: Note) -> List[LevelCost]:
    """Return what the levels cost on the machine that is replayed."""
    if not job.config.tuner.deadline_ms:  # nobody asks
        return [LevelCost(level, level, level) for level in classifier.config.levels]
    return [LevelCost(cost.keep_ratio, job.slowdown * cost.median_ms, job.slowdown * cost.p99_ms)
            for cost in level_costs(classifier, ignore, note, lambda: None)]


def _asked(job: Job) -> Settings:
    """Return all that the answers depend on, but for the model that is found."""
    found: Settings = {'version': 1, 'bag': fingerprint(Path(job.bag)),
                       'topics': list(job.topics), 'real_time': job.real_time,
                       'slowdown': job.slowdown}
    for group, each in fields():
        if each.name in OF_INPUT or (
                group in ('classifier', 'tuner') and each.name not in UNHEEDED):
            value = value_of(job.config, each.name)
            is_file = each.metadata['path'] and value != DEMO and Path(str(value)).is_file()
            found[each.name] = f'SHA-256 {sha256(Path(str(value)))}' if is_file else value
    return json.loads(json.dumps(found))  # as they come back from a file


def _model(classifier: Classifier) -> Settings:
    """Return what was found for the answers to come from."""
    return json.loads(json.dumps({
        'backend': classifier.backend.name, 'precision': classifier.precision,
        'device': str(classifier.device), 'num_threads': classifier.num_threads,
        'labels': list(classifier.labels), **classifier.backbone, **versions(LIBRARIES)}))


def as_before(config: ClassifierConfig, model: Optional[Settings]) -> ClassifierConfig:
    """Return a config in which 'auto' means what an earlier run has found it to be."""
    if not model or config.ladder:  # whose levels say it
        return config
    changes: Dict[str, Any] = {name: model[name] for name in AUTO
                               if getattr(config, name) == 'auto'}
    if model.get('num_threads'):
        changes['num_threads'] = model['num_threads']
    return replace(config, **changes)


def _about(path: Path) -> Path:
    return path.with_name(f'{path.name}.replay.json')


def _to_json(done: Done, asked: Settings, model: Settings) -> bytes:
    return json.dumps({'program': 'ltp_replay', 'bag': done.job.bag,
                       'duration_s': done.duration_s, 'summary': asdict(done.summary),
                       'asked': asked, 'model': model}, indent=2).encode() + b'\n'


def _finished(job: Job, asked: Settings) -> Optional[Done]:
    """Return what is known of an output that is there already; None: there is none."""
    path = Path(job.output)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    try:
        found = json.loads(_about(path).read_text(encoding='utf-8'))
        others = differences(found['asked'], asked)
        if not others:
            return Done(job, Summary(**found['summary']), found['duration_s'], earlier=True)
        told = f'of other settings: {others}'
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # of another program
        told = 'and nothing tells of which run it is'
    raise PartError(f"'{path}' exists already, {told}. Delete it, or name another --output")


def _definitions() -> Dict[str, str]:
    """Return the definitions of the messages of a bag, by name."""
    files = {name: Path('msg', f'{name.split("/")[-1]}.msg') for name in (CLASSIFICATION, LATENCY)}
    folder = Path(ltp_ros.__file__).parents[1]  # in a checkout, whose messages may be newer
    if not all((folder / file).is_file() for file in files.values()):
        folder = share_directory()
    return {name: (folder / file).read_text(encoding='utf-8') for name, file in files.items()}
