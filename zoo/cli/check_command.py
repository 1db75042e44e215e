"""`zoo check`: check study files and plugins, without training and without Keras."""

from __future__ import annotations

from pathlib import Path

import click

import zoo
from zoo.cli import common
from zoo.errors import StudyError, ZooError, count_text
from zoo.registry import Registry
from zoo.study import StudyDefinition, check_files, known_studies, load_study
from zoo.tuning.samplers import check_sampler

_SHIPPED_STUDIES_DIR = Path(zoo.__file__).with_name("studies").resolve()


@click.command("check")
@common.study_argument(several=True)
@common.plugin_option
def command(studies: tuple[str, ...]) -> None:
    """Check STUDIES (names or paths; by default all known studies) and every plugin.

    Prints one line for each problem. Trains nothing and does not load Keras. Missing data is a problem
    only in your own studies and in studies that you name.
    """
    registry = Registry.load()
    problems = list(registry.problems)
    known = known_studies()
    for study in studies or tuple(known):
        try:
            definition = load_study(study, registry)
            check_sampler(definition)
            is_required = bool(studies) or not known[study].resolve().is_relative_to(_SHIPPED_STUDIES_DIR)
            note = "" if _has_files(definition, is_required) else ", data not found"
        except ZooError as error:
            problems += str(error).splitlines()
        else:
            search = definition.search
            click.echo(f"study {study}: ok ({count_text(search.trials, 'trial')}, {search.sampler}{note})")
    for plugin in registry.plugins:
        if plugin.state == "loaded":
            click.echo(f"plugin {plugin.name} of {plugin.origin}: ok ({len(plugin.components)} registered)")
    if problems:
        raise StudyError("\n".join(problems))
    common.print_next((f"zoo tune STUDY{common.plugin_arguments()}", "search for the best model of a study"))


def _has_files(definition: StudyDefinition, is_required: bool) -> bool:
    """Return True if the files of the dataset exist; raise StudyError if a required one does not."""
    try:
        check_files(definition)
    except StudyError:
        if is_required:
            raise
        return False
    return True
