"""`zoo models`: list the registered models, show one; pack and unpack any model."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import common
from zoo.cli.group import Group
from zoo.cli.models_pack import pack, unpack

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ("model", "aliases", "dataset", "architecture", "test_accuracy", "parameters", "study", "trial")


_FILTERS: list[Callable[[Any], Any]] = [
    click.option("--dataset", metavar="NAME", help="Only models of this dataset; may be a pattern."),
    click.option(
        "--min-accuracy",
        type=click.FloatRange(0, 1),
        metavar="X",
        help="Only models with at least this accuracy on the test split, from 0 to 1.",
    ),
    common.number_option("--max-parameters", low=1, help="Only models with at most N parameters."),
    *common.table_options,
]


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the list."""
    return functools.reduce(lambda decorated, option: option(decorated), reversed(_FILTERS), command)


@click.group("models", cls=Group, invoke_without_command=True)
@_filters
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """List the registered models, which `zoo tune` and `zoo promote` have promoted."""
    if context.invoked_subcommand is None:
        _list("*", **options)
    elif any(options.values()):
        raise click.UsageError(f"write the options after `{context.invoked_subcommand}`")


@command.command("list")
@click.argument("pattern", default="*", metavar="[NAME]")
@_filters
def list_command(pattern: str, **options: Any) -> None:
    """List the versions of the registered models whose names match NAME, such as 'mnist*'.

    \b
    zoo models list 'mnist*' --min-accuracy 0.99
    zoo models list --dataset mnist --max-parameters 100000
    """
    _list(pattern, **options)


def _list(pattern: str, as_csv: bool, as_json: bool, **filters: Any) -> None:
    from zoo.models import list_models

    table = list_models(pattern, **filters)
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
    elif as_json:
        click.echo(table.to_json(orient="records", indent=1))
    elif table.empty:
        is_filtered = pattern != "*" or any(value is not None for value in filters.values())
        common.print_note(
            "no registered model matches"
            if is_filtered
            else "no model is registered; `zoo tune` and `zoo promote` register one"
        )
    else:
        common.print_table(_rows(table), indent="")
        common.print_next((f"zoo models show {shlex.quote(table['model'][0])}", "one of them in full"))


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the facts and the card as JSON.")
def show_command(name: str, as_json: bool) -> None:
    """Show a registered model and its card.

    NAME is a registered model (its champion), NAME@ALIAS or NAME/VERSION.

    \b
    zoo models show mnist_cnn
    zoo models show mnist_cnn@previous
    """
    from zoo.models import find_registered, model_facts

    version = find_registered(name)
    facts = model_facts(version)
    if as_json:
        known = {key: None if value != value else value for key, value in facts.items()}  # JSON has no NaN
        click.echo(json.dumps({**known, "card": version.description}, indent=1, ensure_ascii=False))
        return
    shown = {"aliases": facts["aliases"] or "none", "created": facts["created"], "address": facts["address"]}
    common.print_table([("model", facts["model"]), *shown.items()], indent="")
    if version.description:
        click.echo(f"\n{version.description.rstrip()}")
    common.print_next((f"zoo predict {shlex.quote(facts['model'])} IMAGE", "the classes of images"))


command.add_command(pack)
command.add_command(unpack)


def _rows(table: pd.DataFrame) -> list[list[str]]:
    """Return the table's header and cells as text."""
    columns = [name for name in _SHOWN if name in ("model", "aliases") or table[name].astype(str).any()]
    text = table[columns].copy()
    for name, form in (("test_accuracy", "{:.4f}"), ("parameters", "{:,.0f}")):
        if name in text:
            text[name] = [form.format(value) if value == value else "" for value in table[name].astype(float)]
    text = text.astype(object).where(text.notna(), "").astype(str)
    return [columns, *text.to_numpy().tolist()]
