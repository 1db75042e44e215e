"""`zoo compare`: the trials of a study, best first."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

_NAMES = ("dataset", "architecture", "augmentation")
_DATASET = ("dataset.source", "dataset.warning", "dataset.digest")
_HIDDEN = ("study", *_DATASET, "run_id", "model", "reason", "train_seconds", "seed")


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
    from zoo.tracking import compare

    table = compare(*studies)
    if top is not None:
        table = table.groupby("study", sort=False).head(top)
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
    elif as_json:
        click.echo(table.to_json(orient="records", indent=1))
    else:
        click.echo(_shown(table))
    for warning in filter(None, table["dataset.warning"].unique()):
        click.echo(f"warning: {warning}", err=True)
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
    """What a terminal has room for: what came of the trials, then what differs most between them."""
    text = table.copy()
    interrupted = text["reason"].astype(str).str.startswith("interrupted")
    text["state"] = text["state"].mask(interrupted, "interrupted")
    best = [name for name in map(str, text) if name.startswith("best_")]
    outcome = ["trial", "state", *best, "parameters", *(["latency_ms"] if "latency_ms" in text else [])]
    if text["study"].nunique() > 1:
        outcome.insert(0, "study")
    if "front" in text:  # of studies with several objectives
        text["front"] = text["front"].eq(True).map({True: "*", False: ""})
        outcome.insert(outcome.index("state") + 1, "front")
    varied = {  # where it counts: what is of one architecture is empty for the others
        name: text[name].dropna().astype(str).nunique()
        for name in map(str, text)
        if name not in (*outcome, *_HIDDEN)
    }
    most_varied = sorted(
        (name for name in varied if varied[name] > 1), key=lambda name: (name not in _NAMES, -varied[name])
    )
    text = text[outcome + most_varied]
    for name in text:
        if text[name].dtype.kind == "f":
            text[name] = text[name].map(_number)
    for width in range(len(text.columns), 0, -1):
        lines = text.iloc[:, :width].to_string(index=False, na_rep="")
        if width <= len(outcome) or max(map(len, lines.splitlines())) <= _columns():
            break
    left_out = list(text.columns[width:])
    note = f"\n(not shown: {', '.join(left_out)}; --csv has every column)" if left_out else ""
    return str(lines) + note


def _number(value: float) -> str:
    if value != value:  # nothing came of that trial
        return ""
    return f"{value:.0f}" if value == round(value) else f"{value:.5g}"


def _columns() -> int:
    return shutil.get_terminal_size((160, 24)).columns
