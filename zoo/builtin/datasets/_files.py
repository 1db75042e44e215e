"""Where a dataset's files are looked for."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from zoo import ZooError


def data_folder() -> Path | None:
    """`$ZOO_DATA_DIR`, or None where it is not set.

    Raises:
        ZooError: it cannot be read.
    """
    folder = os.environ.get("ZOO_DATA_DIR")
    if not folder:
        return None
    path = Path(folder).expanduser()
    try:
        os.scandir(path).close()
    except OSError as error:
        raise ZooError(
            f"ZOO_DATA_DIR is '{folder}', but that folder cannot be read ({error.strerror}); "
            "expected the folder that holds your data. Set it right, or unset ZOO_DATA_DIR."
        ) from error
    return path


def find(parameter: str, path: str) -> Path:
    """The file or folder that a study's `parameter = "path"` names.

    A relative path begins in the working folder or, if it is not there, in `$ZOO_DATA_DIR`.

    Raises:
        ZooError: it is in neither; with the likely spelling.
    """
    if not path.strip():
        raise ZooError(f'{parameter} = "{path}": expected the path of a file or folder.')
    try:
        return _found(parameter, path)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise ZooError(f'{parameter} = "{path}": it cannot be read: {error.strerror}.') from error


def _found(parameter: str, path: str) -> Path:
    here, wanted = Path.cwd(), Path(path).expanduser()
    if (here / wanted).exists():
        return here / wanted
    if wanted.is_absolute():
        near, looked = _near(here, wanted), ""
    else:
        folder = data_folder()
        if folder is not None and (folder / wanted).exists():
            return folder / wanted
        near = _near(here, wanted) or (folder and _near(folder, wanted))
        looked = f" in {here}" + (f" or in {folder}" if folder else "; ZOO_DATA_DIR is not set")
    hint = f"Did you mean '{near}'?" if near else "Correct it, or set ZOO_DATA_DIR to the folder it is in."
    raise ZooError(f'{parameter} = "{path}": there is no such file or folder{looked}. {hint}')


def _near(root: Path, wanted: Path) -> Path | None:
    """`wanted` with every part that is not there spelt like something that is."""
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
