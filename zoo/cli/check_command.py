"""`zoo check`: check study files and plugins, without training and without Keras."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import common
from zoo.errors import StudyError, ZooError
from zoo.registry import Registry
from zoo.study import known_studies, load_study
from zoo.tuning.samplers import check_sampler


@click.command("check")
@common.several_studies
def command(studies: tuple[str, ...]) -> None:
    """Check STUDIES (names or paths; by default all known studies) and every plugin.

    Prints one line for each mistake. Trains nothing and does not load Keras.
    """
    registry = Registry.load()
    problems = list(registry.problems)
    for study in studies or tuple(known_studies(Path.cwd())):
        try:
            definition = load_study(study, registry)
            check_sampler(definition)
        except ZooError as error:
            problems += str(error).splitlines()
        else:
            search = definition.search
            click.echo(f"study {study}: ok ({search.trials} trials, {search.sampler})")
    for plugin in registry.plugins:
        if plugin.state == "loaded":
            click.echo(f"plugin {plugin.name} of {plugin.origin}: ok ({len(plugin.registered)} registered)")
    if problems:
        raise StudyError("\n".join(problems))
    common.print_next(("zoo tune STUDY", "search for the best model of a study"))
