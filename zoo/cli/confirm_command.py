"""`zoo confirm`: train the best trials of a study again with fresh seeds."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import common
from zoo.errors import count_text

if TYPE_CHECKING:
    from zoo.tuning import Confirmation, Finalist


@click.command("confirm")
@common.study_argument(missing="recorded")
@common.number_option("--top", low=1, default=3, help="The N best trials.")
@common.number_option("--seeds", low=2, default=5, help="Runs of each trial.")
@common.jobs_option("Runs at once, at most --top: a number, or auto.")
@click.option("--name", metavar="NAME", help="The name under which the study is recorded.")
@common.plugin_option
@common.json_option
@common.quiet_option
def command(quiet: bool, as_json: bool, **options: Any) -> int:
    """Train the best trials of STUDY again with fresh seeds, and rank them by mean and spread.

    The best value of many trials is partly luck. The same command continues after an interruption; complete
    runs are not trained again.

    \b
    zoo confirm mnist_cnn
    zoo confirm mnist_cnn --top 5 --seeds 3 --jobs 2
    """
    common.start_loading_keras()
    from zoo.tuning import confirm

    typed = common.command_line()
    result = confirm(**options, display=common.display(quiet), command=typed)
    done = sum(len(one.values) for one in result.finalists)
    if result.interrupted is not None:
        total = result.seeds * len(result.finalists)
        common.print_note(f"stopped with {done} of {count_text(total, 'run')} done; continue with: {typed}")
        return result.interrupted
    if as_json:
        rows = [{**asdict(one), "mean": one.mean, "std": one.std} for one in result.finalists]
        known = [{key: None if value != value else value for key, value in row.items()} for row in rows]
        document = {"study": result.study, "objective": result.objective.metric, "finalists": known}
        with common.unread_output_ignored():
            click.echo(json.dumps({**document, "order_changed": result.order_changed}, indent=1))
    else:
        with common.unread_output_ignored():
            _print(result)
    if not done:
        common.print_note("no run was completed; their output is in mlruns/zoo/" + result.study)
        return 1
    if not quiet:
        trial, study = result.finalists[0].trial, shlex.quote(result.study)
        folder = shlex.quote(f"mlruns/zoo/{result.study}/trials/{trial:03d}")
        first = (f"zoo promote {folder}", f"make trial {trial} the champion")
        if trial == result.champion:
            predict = f"zoo predict {study} IMAGE{common.plugin_arguments(result.plugin_files)}"
            first = (predict, f"the classes of images; trial {trial} is the champion")
        common.print_next(first, (f"zoo ui {study}", "the runs, named confirm-…, in MLflow's UI"))
    return 0 if result.is_recorded else 1


def _print(result: Confirmation) -> None:
    common.print_table(
        [
            ("trial", "mean ± std", "range", "n", f"search {result.objective.metric}"),
            *(_row(result, one) for one in result.finalists),
        ],
        indent="",
    )
    if len(result.finalists) > 1:
        order = ", ".join(str(one.trial) for one in result.finalists)
        before = ", ".join(map(str, result.searched_order))
        changed = f"the order changed: {order}; in the search: {before}"
        click.echo(changed if result.order_changed else f"the order is that of the search: {order}")


def _row(result: Confirmation, one: Finalist) -> tuple[str, ...]:
    from zoo.trial import format_value

    def text(value: float) -> str:
        return format_value(result.objective.metric, value) if value == value else "-"

    values = f"{text(min(one.values))} to {text(max(one.values))}" if one.values else "-"
    mean = f"{text(one.mean)} ± {text(one.std)}"
    return str(one.trial), mean, values, str(len(one.values)), text(one.searched)
