"""Finding a study by name or path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.errors import StudyError, did_you_mean
from zoo.registry import Registry
from zoo.study._definition import StudyDefinition
from zoo.study._reader import parse_study

_SHIPPED = Path(__file__).parents[1] / "studies"


def load_study(
    study: str,
    registry: Registry,
    *,
    overrides: Sequence[str] = (),
    name: str | None = None,
    folder: Path | None = None,
) -> StudyDefinition:
    """The study of that name or path, checked.

    Args:
        study: a name, looked up in `./studies` and then among the shipped ones, or a path.
        overrides: `training.epochs=3` and the like, by the same rule as the file.
        name: to record it under, instead of the file's.
        folder: where `./studies` is; the working folder by default.

    Raises:
        StudyError: no such study, or something in it that may not be: a line for each problem.
    """
    folder = folder or Path.cwd()
    path = find_study(study, folder)
    return parse_study(read_study(path), registry, name or path.stem, _shown(path, folder), overrides)


def read_study(path: Path) -> str:
    """The text of a study's file.

    Raises:
        StudyError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from None


def find_study(study: str, folder: Path) -> Path:
    """The file of a study given by name or path."""
    if study.endswith(".toml") or "/" in study:
        path = folder / study
        if not _is_file(path, study):
            there = [one.name for one in sorted(path.parent.glob("*.toml"))]
            hint = did_you_mean(path.name, there) if there else "Give a path, or a name that zoo list shows."
            raise StudyError(f"There is no study file {study}. {hint}")
        return path
    known = known_studies(folder)
    if study not in known:
        raise StudyError(
            f"There is no study named '{study}' in ./studies or among zoo's own. {did_you_mean(study, known)}"
        )
    return known[study]


def _is_file(path: Path, study: str) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # the name is too long, a folder on the way may not be entered
        raise StudyError(f"{study} cannot be read: {error.strerror}") from None


def known_studies(folder: Path) -> dict[str, Path]:
    """Every study that can be given by name; those of `folder/studies` hide shipped ones."""
    found: dict[str, Path] = {}
    for place in (folder / "studies", _SHIPPED):
        for path in sorted(place.glob("*.toml")) if place.is_dir() else ():
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def _shown(path: Path, folder: Path) -> str:
    """A path as somebody in `folder` would type it."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
