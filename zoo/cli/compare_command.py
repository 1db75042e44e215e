"""`zoo compare`: the trials of a study, best first."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("study", "trial", "state")
_HIDDEN = ("dataset.digest", "run_id", "model", "reason", "train_seconds", "seed")


@click.command("compare")
@click.option(
    "--study",
    "studies",
    multiple=True,
    required=True,
    metavar="STUDY",
    help="A study's name; several may be given.",
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N best.")
@click.option("--csv", "as_csv", is_flag=True, help="Every column, as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Every column, as JSON.")
def command(studies: tuple[str, ...], top: int | None, as_csv: bool, as_json: bool) -> None:
    """The trials of a study, best first, as MLflow has them."""
    from zoo.tuning import compare

    table = compare(*studies)
    if top is not None:
        table = table.groupby("study", sort=False).head(top)
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
    elif as_json:
        click.echo(table.to_json(orient="records", indent=1))
    else:
        click.echo(_shown(table))
    digests = table["dataset.digest"].unique()
    if len(digests) > 1:
        click.echo(
            f"warning: these trials saw {len(digests)} different datasets; their figures cannot be compared",
            err=True,
        )
    if not (as_csv or as_json):
        click.echo(
            f"next: zoo ui --study {studies[0]}   curves, figures and models of these trials in MLflow",
            err=True,
        )


def _shown(table: pd.DataFrame) -> str:
    """What a terminal has room for: what differs between the trials, and what came of them."""
    text = table.drop(columns=[name for name in _HIDDEN if name in table]).copy()
    varied = [
        name for name in text if name in _FIRST or text[name].astype(str).nunique() > 1 or "best_" in name
    ]
    text = text[varied]
    for name in text:
        if text[name].dtype.kind == "f":
            text[name] = text[name].map(lambda value: "" if value != value else f"{value:.5g}")
    for width in range(len(text.columns), 0, -1):
        lines = text.iloc[:, :width].to_string(index=False, na_rep="")
        if width <= 4 or max(map(len, lines.splitlines())) <= _columns():
            break
    left_out = list(text.columns[width:])
    note = f"\n(not shown: {', '.join(left_out)}; --csv has every column)" if left_out else ""
    return str(lines) + note


def _columns() -> int:
    return shutil.get_terminal_size((160, 24)).columns
