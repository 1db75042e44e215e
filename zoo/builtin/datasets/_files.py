"""Parameters of the datasets that read your own files: paths and `image_size`."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from zoo import ZooError

MAX_SIDE = 4096  # pixels


def data_folder() -> Path | None:
    """Return `$ZOO_DATA_DIR`, or None if it is not set.

    Raises:
        ZooError: the folder cannot be read.
    """
    folder = os.environ.get("ZOO_DATA_DIR")
    if not folder:
        return None
    path = Path(folder).expanduser()
    try:
        os.scandir(path).close()
    except OSError as error:
        raise ZooError(
            f"ZOO_DATA_DIR is '{folder}', but this folder cannot be read ({error.strerror}). "
            "Set it to the folder with your data, or unset it."
        ) from error
    return path


def find(parameter: str, path: str) -> Path:
    """Return the file or folder that `parameter = "path"` in a study names.

    A relative path starts in the working folder or, if it does not exist there, in `$ZOO_DATA_DIR`.

    Raises:
        ZooError: it is in neither; the message names the likely spelling.
    """
    if not path.strip():
        raise ZooError(f'{parameter} = "{path}": expected the path of a file or folder.')
    try:
        return _find(parameter, path)
    except OSError as error:  # a name that is too long, or a folder without permission
        raise ZooError(f'{parameter} = "{path}": cannot be read ({error.strerror}).') from error


def height_and_width(image_size: Any) -> tuple[int, int]:
    """Return `150` or `[height, width]` as `(height, width)`, in pixels, each 1 to MAX_SIDE.

    Raises:
        ZooError: it is neither of the two.
    """
    sides = list(image_size) if isinstance(image_size, list | tuple) else [image_size, image_size]
    if len(sides) == 2 and all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides):
        return sides[0], sides[1]
    value = list(image_size) if isinstance(image_size, tuple) else image_size
    raise ZooError(
        f"image_size = {value}: expected the side of a square, or [height, width], "
        f"each from 1 to {MAX_SIDE} pixels."
    )


def _find(parameter: str, path: str) -> Path:
    here, wanted = Path.cwd(), Path(path).expanduser()
    if (here / wanted).exists():
        return here / wanted
    if wanted.is_absolute():
        near, searched = _near(here, wanted), ""
    else:
        folder = data_folder()
        if folder is not None and (folder / wanted).exists():
            return folder / wanted
        near = _near(here, wanted) or (folder and _near(folder, wanted))
        searched = f" in {here}" + (f" or in {folder}" if folder else "; ZOO_DATA_DIR is not set")
    cure = f"Did you mean '{near}'?" if near else "Correct it, or set ZOO_DATA_DIR to the folder that has it."
    raise ZooError(f'{parameter} = "{path}": no such file or folder{searched}. {cure}')


def _near(root: Path, wanted: Path) -> Path | None:
    """Return the existing path below `root` that is spelt like `wanted`, part by part, or None."""
    found = root
    for part in wanted.parts:
        if not (found / part).exists():
            close = get_close_matches(part, _names_in(found), n=1)
            if not close:
                return None
            part = close[0]
        found = found / part
    if found == root:
        return None
    return found if wanted.is_absolute() else found.relative_to(root)


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []
