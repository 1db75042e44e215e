"""Lookup of studies by name or path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.data import Dataset
from zoo.data.sources import declared_files
from zoo.errors import StudyError, ZooError, did_you_mean, one_line
from zoo.files import STATE_DIR, is_special
from zoo.registry import Registry
from zoo.study._definition import StudyDefinition
from zoo.study._reader import parse_study
from zoo.study._recorded import is_recorded, read_recorded

_SHIPPED = Path(__file__).parents[1] / "studies"


def load_study(
    study: str,
    registry: Registry,
    *,
    overrides: Sequence[str] = (),
    name: str | None = None,
    in_memory: Dataset | None = None,
    default_dataset: str | None = None,
) -> StudyDefinition:
    """Return the validated study with this name or path; raise StudyError with one line per problem.

    Args:
        study: a path, or a name in `./studies`, among the shipped studies, or of a recorded study.
        overrides: `--set` options such as `training.epochs=3`, which replace settings of the file.
        name: the name to record the study under, instead of the file's.
        in_memory: a dataset in place of the file's, which the file may then leave out.
        default_dataset: the name of the dataset if the file has none.
    """
    path = find_study(study)
    if is_recorded(path):
        text, recorded = read_recorded(path)
        overrides = [*(one for one in recorded if one not in overrides), *overrides]
    else:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(f"{path} cannot be read: {error}; expected a readable file in UTF-8") from None
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    own_name = path.stem if study.endswith(".toml") or "/" in study else study
    return parse_study(
        text,
        registry,
        name or own_name,
        str(shown),
        overrides,
        in_memory=in_memory,
        folder=path.parent,
        default_dataset=default_dataset,
    )


def find_study(study: str) -> Path:
    """Return the path of the study file with this name or path; raise StudyError if there is none."""
    if study.endswith(".toml") or "/" in study:
        path = Path.cwd() / study
        try:
            is_file = path.is_file()
        except OSError as error:  # the name is too long, or a folder is not accessible
            raise StudyError(
                f"{study} cannot be read: {error.strerror}; correct the path, or its permissions"
            ) from None
        if not is_file:
            names = [one.name for one in sorted(path.parent.glob("*.toml"))]
            hint = did_you_mean(path.name, names) if names else "Give a path, or a name from `zoo list`."
            raise StudyError(f"there is no study file {study}. {hint}")
        return path
    known = known_studies()
    recorded = Path.cwd() / STATE_DIR / study / "study.toml"  # as it ran, from a file elsewhere
    if study in known or recorded.is_file():
        return known.get(study, recorded)
    raise StudyError(
        f"there is no study named '{study}' in ./studies or among the shipped studies. "
        f"{did_you_mean(study, known)}"
    )


def known_studies() -> dict[str, Path]:
    """Return the path of every study by name; a file in `./studies` replaces a shipped one of its name."""
    found: dict[str, Path] = {}
    for studies_dir in (_SHIPPED, Path.cwd() / "studies"):
        found |= {path.stem: path for path in studies_dir.glob("*.toml") if not is_special(path)}
    return dict(sorted(found.items()))


def check_files(definition: StudyDefinition) -> None:
    """Raise StudyError if the study's dataset reads a file that does not exist.

    A dataset declares its files with a function, `@zoo.reads(function)`. The functions of zoo's own datasets
    raise a ZooError that names the missing file.
    """
    component = definition.dataset_component
    prefix = f"study '{definition.name}': dataset '{component.name}'"
    try:
        files = declared_files(component.function, definition.dataset.parameters) or []
        missing = [str(file) for file in files if not file.exists()]
    except Exception as error:  # a plugin's function may raise anything
        kind = "" if isinstance(error, ZooError) else f"{component.origin}: {type(error).__name__}: "
        raise StudyError(f"{prefix}: {kind}{one_line(error)}") from None
    if missing:
        raise StudyError(
            "\n".join(f"{prefix}: there is no file {path}; add it, or correct its path" for path in missing)
        )
