# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_teach --live`: a running node is taught by what its camera is shown. Without torch."""
import argparse
import math
from typing import Any, Callable

from rclpy.exceptions import NameValidationException
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ltp_ros.client import ClassifierClient, ClassifierError
from ltp_ros.files import plain, short
from ltp_ros.images import Note
from ltp_ros.parameter import ConfigError
from ltp_ros.teaching.classes import NONE_NAME, LabelError, check_label
from ltp_ros.teaching.examples import NONE
from ltp_ros.tools.support.progress import shown

ERRORS = (ClassifierError, ConfigError, LabelError, NameValidationException, OSError)
SECONDS = 5.0
SPARE_S = 60.0  # for a slow board to teach what it has


def run(args: argparse.Namespace, tell: Note, errors: Console) -> None:
    """Have a node forget classes, learn one and keep all, of which at least one is asked for.

    Args:
        args: of the program.
        tell: called with what the user should know after Ctrl-C.
        errors: where the progress is shown.

    Raises:
        One of ERRORS: if the node is not there, or refuses.
    """
    check(args)
    node = f'/{args.node.lstrip("/")}'
    out = Console()

    def say(sentence: str, console: Console = out) -> None:
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)

    with ClassifierClient(node) as client:
        client.get_parameter('classes')  # a node that is not there is known before anyone acts
        for name in args.forget:
            client.forget(_label(name))
            say(f'{_shown(_label(name))}: forgotten')
        if args.live or args.negative:
            length = _pictures(args.frames) if args.frames else f'{_seconds(args):g} s'
            what = plain(args.live) or 'what is none of the classes'
            say(f'Show {what} to the camera of {node}, from several sides, for {length}.', errors)
            say(outcome(args.live, teach(args, client, tell, errors)))
        if args.save is not None:
            say(f'The classes are in {plain(client.save_classes(args.save), 4096)} on the machine '
                f'of {node}.')
        elif args.live or args.negative:
            say('The node keeps it until it is stopped or cleaned up; --save FILE keeps it.',
                errors)


def check(args: argparse.Namespace) -> None:
    """Refuse what does not go together, before a node is asked.

    Raises:
        ConfigError, LabelError: with the reason.
    """
    label, teaches = args.live, args.live or args.negative
    if args.negative and label:
        raise ConfigError('--negative teaches pictures of none of the classes, which have no '
                          f'label, and {short(label)} was given; leave one of them out')
    if label and _label(label) == NONE:
        raise ConfigError(f'{short(label)} cannot be taught as a class; expected --live --negative'
                          ', which teaches pictures of none of the classes')
    if not (teaches or args.forget or args.save is not None):
        raise ConfigError('--live is not told what to do; expected a LABEL to teach, --negative, '
                          '--forget or --save')
    if not teaches and (args.seconds or args.frames or args.camera):
        raise ConfigError('--seconds, --frames and --camera say how a class is taught; expected '
                          'its LABEL after --live, or --negative')
    for name in (label, *args.forget):
        check_label(_label(name))


def teach(args: argparse.Namespace, client: ClassifierClient, tell: Note,
          errors: Console) -> Any:
    """Teach a class, and show how it goes; return the result of the action."""
    columns = (TextColumn('{task.description}', markup=False), BarColumn(), TimeElapsedColumn(),
               TextColumn('{task.fields[state]}', markup=False))
    seconds = 0.0 if args.frames else _seconds(args)
    with shown(Progress(*columns, console=errors, disable=args.quiet)) as bar:
        task = bar.add_task(f'teaching {_shown(args.live)}', total=args.frames or seconds,
                            state='no picture yet')
        try:
            result = client.teach(
                args.live, seconds=seconds, frames=args.frames or 0, negative=args.negative,
                camera=args.camera, progress=progress_on(bar, bool(args.frames)),
                timeout_s=None if args.frames else seconds + SPARE_S)
        except KeyboardInterrupt:
            tell(f'stopped; what was taught of {_shown(args.live)} stays, until it is forgotten '
                 'with --live --forget')
            raise
        bar.update(task, completed=args.frames or seconds, state=_pictures(result.frames)
                   + _taken_for(result.confused_with))
    return result


def progress_on(bar: Progress, counted: bool) -> Callable[[Any], None]:
    """Return what shows the feedback of the action on the bar's one task.

    Args:
        bar: counts pictures, or seconds.
        counted: whether it counts pictures.
    """
    before = math.inf  # pictures of the class, of earlier lessons

    def show(feedback: Any) -> None:
        nonlocal before
        task = bar.tasks[0]
        if not feedback.examples:  # the end came before the first picture
            return
        before = min(before, feedback.examples - 1)
        taught = int(feedback.examples - before)
        bar.update(task.id, completed=taught if counted else task.elapsed or 0.0,
                   state=_pictures(taught) + _taken_for(feedback.confused_with))
    return show


def outcome(label: str, result: Any) -> str:
    """Return the result of the action in a line."""
    in_all = f', {result.examples} in all' if result.examples != result.frames else ''
    accuracy = 'n/a' if math.isnan(result.accuracy) else f'{100.0 * result.accuracy:.1f} %'
    return (f'{_shown(label)}: {_pictures(result.frames)} taught{in_all}; named right when left '
            f'out: {accuracy}{_taken_for(result.confused_with)}')


def _seconds(args: argparse.Namespace) -> float:
    return float(args.seconds or SECONDS)


def _label(name: str) -> str:
    return NONE if name.lower() == NONE_NAME else name


def _shown(label: str) -> str:
    return plain(label) or 'none of the classes'


def _pictures(count: int) -> str:
    return f'{count} picture{"" if count == 1 else "s"}'


def _taken_for(label: str) -> str:
    return f', mostly taken for {plain(label)}' if label else ''
