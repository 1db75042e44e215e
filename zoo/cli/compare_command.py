"""`zoo compare`: show the trials of studies, best first."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import common
from zoo.errors import count_text

if TYPE_CHECKING:
    import pandas as pd

_COMPONENTS = ("dataset", "architecture", "augmentation")
_NEVER_SHOWN = (
    *("study", "dataset.source", "dataset.warning", "dataset.splits", "dataset.digest"),
    *("run_id", "model", "reason", "train_seconds", "seed"),
)


@click.command("compare")
@common.study_argument(missing="recorded", several=True)
@common.number_option("--top", low=1, help="Only the N best trials of each study.")
@common.table_options[0]
@common.table_options[1]
def command(studies: tuple[str, ...], top: int | None, as_csv: bool, as_json: bool) -> None:
    """Show the trials of STUDIES: complete ones best first, then pruned ones, then the others.

    \b
    zoo compare mnist_cnn
    zoo compare mnist_cnn mnist_wide_pair --top 3
    """
    from zoo.record import StudyDirectory, find_damage, load_runs
    from zoo.tracking import compare, disk_space
    from zoo.tuning.lifecycle import refresh_deleted

    table = compare(*studies)
    searched = table.attrs.get("searched", ())
    if problem := table.attrs.get("problem"):
        common.print_warning(f"{problem} The table is that of the local record.")
    for study in studies:
        if not problem:
            refresh_deleted(study, common.print_warning)
        for line in find_damage(StudyDirectory(Path.cwd(), study)).problems:
            common.print_warning(line)
        if not (table["study"] == study).any():
            load_runs(study)  # raises an error if every trial was deleted
    num_models = table["model"].astype(bool).sum()
    if top is not None:
        table = table.groupby("study", sort=False).head(top)
    if as_csv:
        click.echo(table.to_csv(index=False), nl=False)
    elif as_json:
        click.echo(table.to_json(orient="records", indent=1))
    else:
        click.echo(_fitting_table(table, searched))
    for splits in filter(None, table["dataset.splits"].unique()):
        common.print_note(f"splits: {splits}")
    for warning in filter(None, table["dataset.warning"].unique()):
        common.print_warning(warning)
    digests = table["dataset.digest"].unique()
    if len(digests) > 1:
        common.print_warning(
            f"these trials used {len(digests)} different datasets; their metrics cannot be compared"
        )
    if not (as_csv or as_json or problem):
        common.print_note(f"disk: {disk_space(studies) / 1e6:,.1f} MB, {count_text(num_models, 'model')}")
        purpose = "curves, figures and models of these trials in MLflow"
        common.print_next((f"zoo ui {shlex.quote(studies[0])}", purpose))


def _fitting_table(table: pd.DataFrame, searched: Sequence[str]) -> str:
    """Return the results, then as many searched parameters as fit into the terminal; all in a pipe."""
    results = _result_columns(table)
    parameters = [name for name in searched if name in table] or _varied_columns(table, exclude=results)
    text = table[results + parameters]
    # As floats, because pandas writes a missing integer as `<NA>` and ignores `na_rep`.
    text = text.astype({name: float for name in text if text[name].dtype.name in ("Int64", "Float64")})
    if "front" in text:  # only a study with several objectives has it
        text["front"] = text["front"].eq(True).map({True: "*", False: ""})
    is_cut = sys.stdout.isatty() or "COLUMNS" in os.environ
    room = shutil.get_terminal_size((160, 24)).columns if is_cut else sys.maxsize
    for width in range(len(text.columns), 0, -1):
        lines = text.iloc[:, :width].to_string(index=False, na_rep="", float_format=_format)
        if width <= len(results) or max(map(len, lines.splitlines())) <= room:
            break
    left_out = list(text.columns[width:])
    note = f"\n(not shown: {', '.join(left_out)}; --csv has every column)" if left_out else ""
    return str(lines) + note


def _result_columns(table: pd.DataFrame) -> list[str]:
    best = [name for name in map(str, table) if name.startswith("best_")]
    names = ["trial", "state", "front", *best, "parameters", "latency_ms"]
    several = table["study"].nunique() > 1
    return [*(["study"] if several else []), *(name for name in names if name in table)]


def _varied_columns(table: pd.DataFrame, exclude: list[str]) -> list[str]:
    # Used for the local record, which does not name the searched parameters. A parameter of one architecture
    # is empty for the others; an empty cell does not count as another value.
    counts = {
        name: table[name].dropna().astype(str).nunique()
        for name in map(str, table)
        if name not in (*exclude, *_NEVER_SHOWN)
    }
    varied = [name for name, count in counts.items() if count > 1]
    return sorted(varied, key=lambda name: (name not in _COMPONENTS, -counts[name]))


def _format(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else f"{value:.5g}"
