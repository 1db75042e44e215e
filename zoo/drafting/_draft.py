"""`zoo.init`: read a dataset, and write a study file for it."""

from __future__ import annotations

import os
import re
import textwrap
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.data.prepare import prepared_before
from zoo.drafting._choices import summary, tables
from zoo.drafting._document import render
from zoo.drafting._facts import Facts
from zoo.drafting._reading import Reader
from zoo.drafting._sources import DATA_SUFFIXES, find_source, locate
from zoo.errors import StudyError, ZooError
from zoo.files import check_writable, write_atomically
from zoo.record import StudyDirectory
from zoo.registry import Registry
from zoo.study import known_studies, name_problem, parse_setting, parse_study
from zoo.tuning.display import Display, default_display
from zoo.tuning.label_checks import warning_for_study


@dataclass(frozen=True)
class StudyFile:
    """A study file that `zoo.init` wrote.

    Args:
        path: the path of the file.
        text: its content.
        seen: facts about the data, as rows of a table: title and text.
        warning: sentences about suspicious images, such as duplicates; "" if there are none.
        trials: number of trials.
        epochs: largest number of epochs of a trial.
        time: estimated time of all trials.
    """

    path: Path
    text: str = field(repr=False)
    seen: Sequence[tuple[str, str]] = field(repr=False)
    warning: str
    trials: int
    epochs: int
    time: str


def init(
    path: str | Path,
    *,
    output: str | Path | None = None,
    force: bool = False,
    overrides: Sequence[str] = (),
    display: Display | None = None,
) -> StudyFile:
    """Write a study file for a folder, table or array file, and return the study file.

    Args:
        path: a folder of images, a `.csv`, `.tsv`, `.parquet`, `.arrow` or `.npz` file, or a folder of
            `.npy` files; in the working folder or in `$ZOO_DATA_DIR`.
        output: the study file; by default named like `path`, in the working folder.
        force: replace a study file that exists.
        overrides: parameters of the dataset, `["image_size=64"]`; zoo finds the others.
        display: shows the progress; by default HTML in a notebook, else plain lines on stderr.

    Raises:
        ZooError: the data cannot be read, or the file cannot be written.
    """
    given = os.fspath(path)
    locate(given)
    target = _target(given, output, force)
    source = find_source(given)
    display = display or default_display()
    try:
        reader = Reader(source, _settings(overrides), display)
        facts, digest = reader.read()
        text = render(_title(facts, target), tables(facts))
        definition = parse_study(text, Registry.load(), target.stem, str(target))
        prepared_before(digest, definition.validation, StudyDirectory(Path.cwd(), "").cache_dir)
    finally:
        display.end()
    _write(target, text)
    warning = warning_for_study(definition, facts.warning)
    return StudyFile(target, text, facts.rows(), warning, **summary(facts))


def drafted_study(path: str) -> Path | None:
    """Return the study file that `zoo init PATH` would write; None if it does not exist.

    Raise StudyError if the file exists, but is not a study of this data.
    """
    target = default_target(path)
    if not target.exists():
        return None
    try:
        dataset = tomllib.loads(target.read_text(encoding="utf-8-sig")).get("dataset", {})
    except (OSError, ValueError) as error:
        raise StudyError(f"{target} cannot be read: {error}; expected a study file of {path}") from None
    if not _reads(dataset, locate(path)):
        raise StudyError(
            f"{target} exists, but is not a study of {path}; write another one with "
            f"`zoo init {path} --output FILE`, then run `zoo tune FILE`"
        )
    return target


def _reads(dataset: Any, path: Path) -> bool:
    """Return True if the table `[dataset]` of a study file names `path`, or a path inside it."""
    wanted = (path.parent if path.suffix.lower() == ".npy" else path).resolve()
    for value in dataset.values() if isinstance(dataset, Mapping) else ():
        with suppress(ZooError):  # the value is not a path
            if isinstance(value, str) and locate(value).resolve().is_relative_to(wanted):
                return True
    return False


def is_data(study: str) -> bool:
    """Return True if `study` is not the name of a study, but the path of data, which may be missing."""
    if study.endswith(".toml") or study in known_studies():
        return False
    if study.endswith("/") or Path(study).suffix.lower() in DATA_SUFFIXES:
        return True
    try:
        locate(study)
    except ZooError:
        return False
    return True


def default_target(path: str) -> Path:
    """Return the default study file for data at `path`: the data's name, with only allowed characters."""
    name = (Path.cwd() / path).resolve().name if Path(path).name in ("", "..") else Path(path).name
    stem = re.sub(r"(\.(csv|tsv|tab|txt))?\.gz$|\.[a-z0-9]{1,8}$", "", name, flags=re.IGNORECASE) or name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")
    return Path(f"{plain[:100] or 'images'}.toml")


def _target(path: str, output: str | Path | None, force: bool) -> Path:
    """Return the file to write; raise ZooError if it exists or cannot be written."""
    target = default_target(path) if output is None else Path(output)
    if target.suffix != ".toml":
        raise ZooError(f"--output {target}: expected the path of a study file, which ends with .toml.")
    if problem := name_problem(target.stem):
        raise ZooError(f"--output {target}: {problem}.")
    if target.exists() and not target.is_dir() and not force:
        raise ZooError(f"{target} exists; add --force to replace it, or give another file with --output.")
    check_writable(target, "--output")
    return target


def _write(target: Path, text: str) -> None:
    try:
        write_atomically(target, text)
    except OSError as error:
        raise ZooError(
            f"cannot write {target} ({error.strerror}); give another file with --output."
        ) from None


def _settings(overrides: Sequence[str]) -> dict[str, Any]:
    settings = [parse_setting(override, "image_size=64") for override in overrides]
    return {key.removeprefix("dataset."): value for key, value in settings}


def _title(facts: Facts, target: Path) -> list[str]:
    """Return the comment at the top of the file; `zoo list` shows the first line."""
    total = sum(int(counts.sum()) for counts in facts.counts.values())
    names = textwrap.shorten(", ".join(facts.class_names), 50, placeholder=" …")
    source = Path(facts.path).name or facts.path
    return [
        f"{total:,} images of {len(facts.class_names)} classes ({names}), from {source[:40]}",
        "",
        f"  zoo tune {target}",
        "",
        "`zoo init` wrote this file; change it as you like. A value fixes a parameter, a table searches it.",
        "A parameter that is not mentioned is searched in the plugin's range (`zoo show conv_net`).",
    ]
