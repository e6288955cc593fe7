# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`ltp_teach --review`: pictures are seen on a sheet, named in a table, sorted into folders."""
import argparse
import os
import shlex
from pathlib import Path

from rich.console import Console

from ltp_ros.files import expand, plain
from ltp_ros.images import Note, unread_pictures
from ltp_ros.research.datasets import LABELS_CSV
from ltp_ros.teaching.classes import LabelError
from ltp_ros.tools.support.output_files import check_writable
from ltp_ros.tools.support.review import (
    PAGE,
    TAUGHT,
    ReviewError,
    contact_sheet,
    pictures_of,
    read_labels_csv,
    sort_into_folders,
    write_labels_csv,
)

ERRORS = (LabelError, ReviewError, OSError)
SUFFIXES = ('.jpg', '.jpeg')  # of a sheet


def run(args: argparse.Namespace, tell: Note, errors: Console) -> None:
    """Draw the sheet and write the table, or sort the pictures by the table.

    Args:
        args: of the program.
        tell: called with what is left out.
        errors: not used; nothing here takes long.

    Raises:
        One of ERRORS: if the folder or the table cannot be used.
    """
    folder = Path(args.review)
    if not folder.is_dir():
        raise ReviewError(f"'{folder}' is not there, or not a folder; expected one of pictures")
    if args.labels and args.sheet:
        raise ReviewError('--sheet and --labels do not go together: the sheet comes first, and '
                          'the table that is filled in by it is given as --labels')
    unread = unread_pictures(folder)
    if unread:
        tell(f'left out: {unread}')
    if args.labels:
        sort(folder, Path(expand(args.labels)))
    else:
        draw(folder, Path(args.sheet or beside(folder, '_sheet.jpg')))


def beside(folder: Path, ending: str) -> Path:
    """Return a path beside a folder that begins with its name."""
    if folder.name in ('', os.pardir):
        folder = Path(os.path.abspath(str(folder)))
    return folder.parent / f'{folder.name}{ending}'


def draw(folder: Path, sheet: Path) -> None:
    """Draw the sheet and write a table to fill in."""
    table = beside(folder, '_labels.csv')
    if os.path.lexists(str(table)):
        raise ReviewError(f"'{table}' is there already, and not written over; fill it in and give "
                          'it as --labels, or rename it for a new one')
    if sheet.suffix.lower() not in SUFFIXES:
        raise ReviewError(f"'{sheet}' cannot be the sheet; expected the ending .jpg")
    check_writable(str(sheet), str(table))
    pictures = pictures_of(folder)  # once: a node may be keeping more of them meanwhile
    if not pictures:
        beneath = (f' but those in {TAUGHT}, which have their class already'
                   if (folder / TAUGHT).is_dir() else '')
        raise ReviewError(f"'{folder}' has no pictures{beneath}")
    contact_sheet(folder, sheet, pictures=pictures)
    write_labels_csv(table, folder, pictures)
    pages = -(-len(pictures) // PAGE)
    more = f' to {sheet.stem}-{pages}{sheet.suffix}' if pages > 1 else ''
    _say(f'{_pictures(len(pictures))} drawn on {sheet}{more}.')
    _say(f'Write the class of each picture into the column label of {table} ("none": it shows '
         'none of the classes; empty: it stays where it is), then run:')
    _say(f'  ltp_teach --review {_quoted(folder)} --labels {_quoted(table)}')


def sort(folder: Path, table: Path) -> None:
    """Sort the pictures into class folders, and say what comes next."""
    if (folder / LABELS_CSV).is_file():
        raise ReviewError(f"'{folder / LABELS_CSV}' would be taken for numbers of classes when "
                          'the folder is taught; move it out of the folder first')
    labels = read_labels_csv(table, folder)
    if not labels:
        raise ReviewError(f"'{table}' has no label in its column label; write the class of each "
                          'picture there')
    unlabelled = len(pictures_of(folder)) - len(labels)
    for name, count in sorted(sort_into_folders(labels, folder).items()):
        _say(f'{_pictures(count)} in {folder / plain(name)}')
    if unlabelled:
        _say(f'{_pictures(unlabelled)} without a label, left where they were')
    _say(f'To teach them: ltp_teach {_quoted(folder)} --output FILE')


def _pictures(count: int) -> str:
    return f'{count} picture{"" if count == 1 else "s"}'


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _say(sentence: str) -> None:
    Console().print(sentence, soft_wrap=True, markup=False, highlight=False)
