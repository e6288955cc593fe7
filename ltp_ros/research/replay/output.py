# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The output of a replay, which is there whole or not at all."""
import os
import shutil
from pathlib import Path
from typing import Dict, Iterable

from ltp_ros.research.datasets import DatasetError
from ltp_ros.research.replay.answer_bag import STORAGES, Definitions, write_bag
from ltp_ros.research.replay.outcome import Outcome
from ltp_ros.research.replay.tables import check_pyarrow, write_csv, write_parquet

TABLES = {'csv': write_csv, 'parquet': write_parquet}
FORMS = (*STORAGES, *TABLES)
# '' is the folder that `ros2 bag record` makes, .mcap and .db3 the file in it
SUFFIXES: Dict[str, str] = {'.csv': 'csv', '.parquet': 'parquet', '.mcap': 'mcap',
                            '.db3': 'sqlite3'}


def form_of(path: Path, wanted: str) -> str:
    """Return the form of an output, one of FORMS, by its suffix.

    Args:
        path: of the output.
        wanted: the form of a folder; '': as is usual.

    Raises:
        DatasetError: if the suffix is not known, says otherwise, or needs what is not installed.
    """
    form = SUFFIXES.get(path.suffix) if path.suffix else wanted or FORMS[0]
    if form is None:
        raise DatasetError(f"--output '{path}' ends in {path.suffix!r}; expected one of "
                           f'{", ".join(SUFFIXES)}, or a folder for a bag, without a suffix')
    if wanted and form != wanted:
        raise DatasetError(f"--output '{path}' and --format {wanted} do not go together; leave "
                           'out --format')
    if form == 'parquet':
        check_pyarrow()
    return form


def suffix_of(form: str) -> str:
    """Return the suffix of outputs of a form in a folder of several."""
    return f'.{form}' if form in TABLES else ''


def write(outcomes: Iterable[Outcome], path: Path, form: str, timed: bool,
          definitions: Definitions) -> None:
    """Write an output: all of it, or nothing, whatever happens.

    Args:
        outcomes: of all images, in order.
        path: of the output, which must not exist, or be an empty folder.
        form: one of FORMS.
        timed: with the times of each answer, see `tables.TIMED` and `answer_bag.write_bag`.
        definitions: of the messages of a bag.

    Raises:
        OSError: if it cannot be written.
    """
    scratch = path.with_name(f'.{path.name}.partial')  # what was killed has left is overwritten
    shutil.rmtree(str(scratch), ignore_errors=True)
    scratch.mkdir()
    try:
        made = scratch / path.name
        if form in TABLES:
            TABLES[form](outcomes, made, timed)
        elif path.suffix in SUFFIXES:
            write_bag(outcomes, scratch / path.stem, timed, form, definitions)
            made = scratch / path.stem / path.name
        else:
            write_bag(outcomes, made, timed, form, definitions)
        for file in (made.iterdir() if made.is_dir() else [made]):
            _to_disk(file)
        os.replace(str(made), str(path))
    finally:
        shutil.rmtree(str(scratch), ignore_errors=True)


def _to_disk(path: Path) -> None:
    with path.open('rb') as file:
        os.fsync(file.fileno())
