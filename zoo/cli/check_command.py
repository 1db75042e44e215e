"""`zoo check`: studies and plugins, without training and without Keras."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.errors import StudyError, ZooError
from zoo.registry import Registry
from zoo.study import known_studies, load_study
from zoo.tuning.samplers import check_sampler


@click.command("check")
@click.argument("studies", nargs=-1)
def command(studies: tuple[str, ...]) -> None:
    """Check STUDIES (names or paths; all that are known if none is given) and every plugin."""
    registry = Registry.load()
    problems = list(registry.problems)
    for study in studies or tuple(known_studies(Path.cwd())):
        try:
            definition = load_study(study, registry)
            check_sampler(definition)
        except ZooError as error:
            problems += str(error).splitlines()
        else:
            click.echo(
                f"study {study}: {definition.search.trials} trials, {definition.search.sampler}: in order"
            )
    for plugin in registry.plugins:
        if plugin.state == "loaded":
            click.echo(
                f"plugin {plugin.name} of {plugin.origin}: registers {len(plugin.registered)}: in order"
            )
    if problems:
        raise StudyError("\n".join(problems))
