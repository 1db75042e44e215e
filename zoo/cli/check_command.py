"""`zoo check`: check study files and plugins, without training and without Keras."""

from __future__ import annotations

from pathlib import Path

import click

import zoo
from zoo.cli import common
from zoo.errors import StudyError, ZooError
from zoo.registry import Registry
from zoo.study import StudyDefinition, check_files, known_studies, load_study
from zoo.tuning.samplers import check_sampler

_SHIPPED_STUDIES_DIR = Path(zoo.__file__).with_name("studies")


@click.command("check")
@common.several_studies
def command(studies: tuple[str, ...]) -> None:
    """Check STUDIES (names or paths; by default all known studies) and every plugin.

    Prints one line for each mistake. Trains nothing and does not load Keras. The data of a study that
    zoo ships may be missing, unless the study is named.
    """
    registry = Registry.load()
    problems = list(registry.problems)
    known = known_studies(Path.cwd())
    for study in studies or tuple(known):
        try:
            definition = load_study(study, registry)
            check_sampler(definition)
            needs_data = bool(studies) or not _is_shipped(known[study])
            note = _check_data(definition, needs_data)
        except ZooError as error:
            problems += str(error).splitlines()
        else:
            click.echo(f"study {study}: ok ({_trials(definition)}, {definition.search.sampler}{note})")
    for plugin in registry.plugins:
        if plugin.state == "loaded":
            click.echo(f"plugin {plugin.name} of {plugin.origin}: ok ({len(plugin.registered)} registered)")
    if problems:
        raise StudyError("\n".join(problems))
    common.print_next(("zoo tune STUDY", "search for the best model of a study"))


def _is_shipped(path: Path) -> bool:
    return path.resolve().is_relative_to(_SHIPPED_STUDIES_DIR.resolve())


def _check_data(definition: StudyDefinition, needs_data: bool) -> str:
    """Return a note if files of the dataset are missing; raise StudyError instead if `needs_data`."""
    try:
        check_files(definition)
    except StudyError:
        if needs_data:
            raise
        return ", data not found"
    return ""


def _trials(definition: StudyDefinition) -> str:
    return f"{definition.search.trials} trial{'s' if definition.search.trials != 1 else ''}"
