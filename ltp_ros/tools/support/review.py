# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Look through a folder of pictures on sheets, name them in a table, sort them by the names."""
import csv
import io
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

import cv2
import numpy as np

from ltp_ros.files import is_content, plain, read_text, short, some_of
from ltp_ros.frames.collector import ANSWERS, TAUGHT, free_path
from ltp_ros.images import ImageFileError, decode_rgb, image_files
from ltp_ros.teaching.classes import NONE_NAME, LabelError, check_label
from ltp_ros.teaching.examples import NONE

SHEET = 'contact_sheet.jpg'  # may lie in the folder; a sheet of another name may not
COLUMNS = ('number', 'file', 'label', 'answered')  # the last is only a hint
PAGE = 60  # pictures on a sheet
LINE, LETTER, WHITE, GREY = 14, 7, 255, 160  # height and width of text in pixels, colours
MAX_NAME = 255  # bytes, of a folder
_SHEETS = re.compile(r'contact_sheet(-[0-9]+)?\.jpg')


class ReviewError(ValueError):
    """A table or a label that cannot be used; the message says which, and what is expected."""


def pictures_of(folder: Path) -> List[Path]:
    """Return the pictures in a folder and its subfolders; the first has number 1 on the sheet.

    Those in TAUGHT have their class already, and are left alone.
    """
    return [path for path in image_files(folder) if not _SHEETS.fullmatch(path.name)
            and path.relative_to(folder).parts[:1] != (TAUGHT,)]


def contact_sheet(folder: Path, output: Path, columns: int = 6, tile: int = 160,
                  pictures: Optional[Sequence[Path]] = None) -> int:
    """Draw all pictures of a folder, with their numbers, names and answers; return how many.

    Args:
        folder: its `ANSWERS`, if it is there, says what was recognised.
        output: a JPEG of 60 pictures; of more, sheets with -2, -3, ... after its stem.
        columns: tiles side by side.
        tile: width and height of a picture's place, in pixels.
        pictures: of the folder, as `pictures_of` had them; None: as it has them now.

    Raises:
        ReviewError: if the sheet would be one of the pictures itself.
        OSError: if it cannot be written.
    """
    pictures = pictures_of(folder) if pictures is None else pictures
    if _is_inside(str(output), folder) and not _SHEETS.fullmatch(output.name):
        raise ReviewError(f'{output} would be one of the pictures itself; write it outside of '
                          f'{folder}, or call it {SHEET}')
    answers = _answers(folder / ANSWERS)
    for first in range(0, len(pictures), PAGE):
        tiles = [_tile(path, number, tile, _caption(answers.get(path.name, {})))
                 for number, path in enumerate(pictures[first:first + PAGE], first + 1)]
        page = first // PAGE + 1
        path = output if page == 1 else output.with_name(f'{output.stem}-{page}{output.suffix}')
        tiles += [np.full_like(tiles[0], WHITE)] * (-len(tiles) % columns)
        bgr = np.vstack([np.hstack(tiles[left:left + columns])
                         for left in range(0, len(tiles), columns)])[..., ::-1].copy()
        path.write_bytes(cv2.imencode('.jpg', bgr)[1].tobytes())
    return len(pictures)


def write_labels_csv(path: Path, folder: Path, pictures: Sequence[Path]) -> None:
    """Write a table for `read_labels_csv` in which the labels are to be filled in.

    Args:
        path: must not be there yet.
        folder: of the pictures; its `ANSWERS` says what was recognised.
        pictures: in the order of their numbers on the sheet.

    Raises:
        ReviewError: if a name is not UTF-8.
        OSError: if the table is there already, or cannot be written.
    """
    answers = _answers(folder / ANSWERS)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    rows.writerow(COLUMNS)
    rows.writerows((number, picture.relative_to(folder).as_posix(), '',
                    answers.get(picture.name, {}).get('label_1', ''))
                   for number, picture in enumerate(pictures, 1))
    try:
        content = text.getvalue().encode('utf-8-sig')  # the mark tells Excel that it is UTF-8
    except UnicodeEncodeError as error:
        raise ReviewError(f'the name of a picture in {folder} is not UTF-8: '
                          f'{short(text.getvalue()[max(error.start - 40, 0):error.end])}; rename '
                          'it') from error
    with path.open('xb') as file:
        file.write(content)


def read_labels_csv(path: Path, folder: Path) -> Dict[Path, str]:
    """Return the labels that a table gives: NONE for 'none'; without one, a picture is left out.

    Args:
        path: CSV in UTF-8 with a column label and a column file, number, or both: file counts.
        folder: of the pictures. Files are named by their path in it, or by their name or its stem
            where one picture alone has that.

    Raises:
        ReviewError: if a label or a file cannot be used, or a file has two labels.
        OSError: if the table cannot be read.
    """
    pictures = pictures_of(folder)
    index: Dict[str, List[Path]] = {}
    for picture in pictures:
        for key in {os.path.abspath(str(picture)), picture.name, picture.stem}:
            index.setdefault(key, []).append(picture)
    labels: Dict[Path, str] = {}
    rows = _rows(path)
    if rows and not ('label' in rows[0] and {'file', 'number'} & set(rows[0])):
        raise ReviewError(f'{path} has the columns {some_of(map(plain, rows[0]))}; expected file '
                          'or number, and label')
    for line, row in enumerate(rows, 2):
        label = row['label'].strip(' \u00a0')
        if not label:
            continue
        label = NONE if label.lower() == NONE_NAME else label
        try:
            check_label(label)
            picture = _picture(row, pictures, index, folder)
        except (LabelError, ReviewError) as error:
            raise ReviewError(f'{path}, row {line}: {error}') from error
        if labels.setdefault(picture, label) != label:
            raise ReviewError(f'{path}, row {line}: {plain(picture.name)} is {short(label)} here, '
                              f'and {short(labels[picture])} above')
    return labels


def sort_into_folders(labels: Mapping[Path, str], folder: Path) -> Dict[str, int]:
    """Move pictures into a folder for each label; return how many are in each of them now.

    Nothing is overwritten: a picture whose name is taken gets a number. Those of NONE go to
    'none'; one that is where it belongs stays there.

    Raises:
        ReviewError, LabelError: if a label cannot be the name of a folder; nothing is moved then.
        OSError: if one cannot be moved; those before it are.
    """
    for label in labels.values():
        check_label(label)
        if label == TAUGHT:
            raise ReviewError(f'{TAUGHT!r} cannot be a label here: in the folder of that name a '
                              'node keeps the pictures that it was taught')
        if (label == os.curdir or '/' in label or not is_content(Path(label or NONE_NAME))
                or len(os.fsencode(label)) > MAX_NAME):
            raise ReviewError(f'{short(label)} cannot be the name of a folder: it holds a /, '
                              f'begins as hidden folders do, or takes over {MAX_NAME} bytes')
    counts: Counter = Counter()
    for picture, label in labels.items():
        target = folder / (label or NONE_NAME)
        target.mkdir(exist_ok=True)
        if os.path.abspath(str(picture.parent)) != os.path.abspath(str(target)):
            shutil.move(str(picture), str(free_path(target / picture.name)))
        counts[target.name] += 1
    return dict(counts)


def _is_inside(path: str, folder: Path) -> bool:
    root = os.path.abspath(str(folder))
    return os.path.commonpath([root, os.path.abspath(path)]) == root


def _picture(row: Mapping[str, str], pictures: List[Path], index: Mapping[str, List[Path]],
             folder: Path) -> Path:
    file, number = row.get('file', '').strip(), row.get('number', '').strip()
    if not file:
        if not (number.isdecimal() and len(number) < 10 and 1 <= int(number) <= len(pictures)):
            raise ReviewError(f'{short(number)} is not the number of one of the {len(pictures)} '
                              f'pictures in {folder}')
        return pictures[int(number) - 1]
    path = os.path.abspath(os.path.join(str(folder), file))
    if not _is_inside(path, folder):
        raise ReviewError(f'{short(file)} lies outside of {folder}')
    found = index.get(path) or index.get(file, [])
    if len(found) != 1:
        raise ReviewError(f'{short(file)} is not a picture in {folder}' if not found else
                          f'{short(file)} is the name of {len(found)} pictures; give their paths')
    return found[0]


def _rows(path: Path) -> List[Dict[str, str]]:
    try:
        text = read_text(path)
        delimiter = max(',;\t', key=text.split('\n', 1)[0].count)  # Excel's is the country's
        header, *rows = list(csv.reader(io.StringIO(text), delimiter=delimiter)) or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ReviewError(f'{path} is not CSV in UTF-8: {error}') from error
    names = [name.strip().casefold() for name in header]
    return [{**dict.fromkeys(names, ''), **dict(zip(names, row))} for row in rows]


def _answers(path: Path) -> Dict[str, Mapping[str, str]]:
    try:
        return {row.get('file', ''): row for row in _rows(path)}
    except (OSError, ReviewError):  # the pictures can be seen without
        return {}


def _caption(answer: Mapping[str, str]) -> str:
    return f"{answer.get('label_1', '')} {answer.get('score_1', '')[:4]}".strip()


def _tile(path: Path, number: int, side: int, answer: str) -> np.ndarray:
    """Return (side + 4 lines, side, 3) uint8 RGB."""
    canvas = np.full((side + 4 * LINE, side, 3), WHITE, np.uint8)
    try:
        rgb = decode_rgb(path)
        scale = (side - 4) / max(rgb.shape[:2])
        height, width = (max(1, round(length * scale)) for length in rgb.shape[:2])
        top, left = (side - height) // 2, (side - width) // 2
        canvas[top:top + height, left:left + width] = cv2.resize(
            rgb, (width, height), interpolation=cv2.INTER_AREA)
    except ImageFileError:
        canvas[2:side - 2, 2:side - 2] = GREY
        _put(canvas, 'cannot be read', 8, side // 2)
    canvas[:LINE + 3, :(len(str(number)) + 1) * LETTER + 1] = WHITE
    _put(canvas, str(number), 2, LINE)
    letters, name = side // LETTER, path.stem
    for line, text in enumerate(filter(None, (name[:letters], name[letters:], answer)), 1):
        _put(canvas, text, 2, side + line * LINE - 4)
    return canvas


def _put(canvas: np.ndarray, text: str, left: int, bottom: int) -> None:
    text = text.encode('ascii', 'replace').decode()  # OpenCV's fonts hold no more
    cv2.putText(canvas, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1,
                cv2.LINE_AA)
