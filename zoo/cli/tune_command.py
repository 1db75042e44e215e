"""`zoo tune`: search for the best model of a study."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import common
from zoo.cli.init_command import print_study_file
from zoo.errors import count_text

if TYPE_CHECKING:
    from zoo.tuning import TuneResult


@click.command("tune")
@common.study_argument(missing="known")
@click.option("--trials", type=int, metavar="N", help="Total number of trials; overrides the study's.")
@common.jobs_option("Trials that run at once: a number, or auto.")
@click.option(
    "--sampler", metavar="NAME", help="tpe, random, grid, nsga2, cmaes or gp; overrides the study's."
)
@click.option("--pruner", metavar="NAME", help="median, halving, hyperband or none; overrides the study's.")
@click.option("--timeout", metavar="TIME", help="End the search after this time: 30m, 1h30m or 90 (seconds).")
@click.option("--retry-failed", is_flag=True, help="Run the failed trials again, with the same parameters.")
@click.option(
    "--dry-run", is_flag=True, help="Train nothing; show the data and the estimated time of the study."
)
@common.plugin_option
@common.study_setting_option
@click.option("--name", metavar="NAME", help="Record the study under this name.")
@common.storage_option
@click.option(
    "--accept-versions", is_flag=True, help="Resume although versions or code of the study's plugins changed."
)
@click.option(
    "--no-promote",
    "promote",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Do not register the best trial as the champion.",
)
@click.option("--engine", metavar="NAME", default="local", help="Where trials run: local (default) or ray.")
@click.option("--address", metavar="ADDRESS", help="Address of the Ray cluster, HOST:PORT.")
@click.option(
    "--cpus-per-trial", type=float, metavar="N", help="CPUs that a trial takes on a Ray node; by default 1."
)
@click.option("--gpus-per-trial", type=float, metavar="N", help="GPUs of a trial on a Ray node, such as 0.5.")
@common.quiet_option
def command(quiet: bool, dry_run: bool, **options: Any) -> int:
    """Search for the best model of STUDY, a study's name or the path of its file.

    If STUDY is the path of images, `zoo init` writes a study file first. The same command resumes a
    stopped study. Press Ctrl-C once to stop cleanly, twice to exit immediately.

    \b
    zoo tune digits_cnn
    zoo tune photos/
    zoo tune mnist_cnn --trials 8 --jobs 2
    zoo tune mnist_cnn --timeout 30m --dry-run
    zoo tune mnist_cnn --set training.epochs=3 --name mnist_quick
    """
    from zoo.record import StudyDirectory, no_complete_trial, read_finished

    finished = read_finished(StudyDirectory(Path.cwd(), options["name"] or options["study"]))
    if dry_run or options["retry_failed"] or (options["trials"] or 1) > finished.trials:
        common.start_loading_keras()
    from zoo.results import tune

    typed = common.command_line()
    options["study"] = _study_of(options["study"], options["overrides"], quiet)
    if dry_run:
        _print_dry_run(options, quiet)
        return 0
    result = tune(**options, display=common.display(quiet), command=typed)
    if result.interrupted is not None:
        total = count_text(result.total, "trial")
        common.print_note(f"stopped with {result.done} of {total} done; resume with: {typed}")
        return result.interrupted
    if result.stopped:
        can_resume = result.stopped.startswith("timeout") and result.done < result.total
        common.print_note(result.stopped + (f"; resume with: {typed}" if can_resume else ""))
    if result.rejected:
        common.print_note(_rejected_text(result))
    if result.best is None:
        if result.deleted:
            common.print_note(no_complete_trial(result.study, result.deleted))
            common.print_note(
                f"To add a trial, run this command with --trials {max(result.done, result.total) + 1}."
            )
        else:
            common.print_note(
                f"no trial was completed; see why with: zoo compare {shlex.quote(result.study)}"
            )
        return 1
    with common.unread_output_ignored():
        _print_result(result, result.best)
    if not quiet:
        study, files = shlex.quote(result.study), common.plugin_arguments(result.plugin_files)
        common.print_next(
            (f"zoo compare {study}", "the trials, best first"),
            (f"zoo ui {study}", "the same in MLflow's UI, with curves and figures"),
            (f"zoo predict {study} IMAGE{files}", "the classes of images"),
            (f"zoo serve {study}{files}", "a page for images, and a server"),
        )
    return 0 if result.is_recorded else 1


def _study_of(study: str, overrides: Sequence[str], quiet: bool) -> str:
    """Return the study; for a path of images, the study file that `zoo init` wrote, or writes now."""
    from zoo.drafting import drafted_study, init, is_data

    if not is_data(study):
        return study
    if (existing := drafted_study(study)) is not None:
        common.print_note(f"using {existing}, the study of {study}")
        return str(existing)
    settings = [override for override in overrides if override.startswith("dataset.")]
    written = init(study, overrides=settings, display=common.display(quiet))
    if not quiet:
        print_study_file(written, err=True)
    return str(written.path)


def _local_model(study: str, number: int) -> str:
    """Return the path of a trial's model that MLflow lacks, or the reason why it has none."""
    from zoo.record import StudyDirectory

    path = StudyDirectory(Path.cwd(), study).trial(number).model_path
    return os.path.relpath(path) if path.exists() else "neither in MLflow nor in the trial directory"


def _rejected_text(result: TuneResult) -> str:
    were, networks = ("was", "its network has") if result.rejected == 1 else ("were", "their networks have")
    return (
        f"{result.rejected} of {count_text(result.done, 'trial')} {were} not trained: "
        f"{networks} more than {result.max_parameters:,} parameters (max_parameters)"
    )


def _test_score(result: TuneResult) -> str:
    """Return the objective and the accuracy on the test split, if they were measured."""
    from zoo.trial import test_metric

    accuracy = result.test_metrics.get("test_accuracy")
    if accuracy is None:
        return ""
    name = test_metric(result.objective)
    if name in ("test_accuracy", "test_loss") or name not in result.test_metrics:
        return f", {accuracy:.4f} on the test split"
    return f", {result.test_metrics[name]:.4f} on the test split (test_accuracy {accuracy:.4f})"


def _print_dry_run(options: Mapping[str, Any], quiet: bool) -> None:
    from zoo.tuning import dry_run

    names = ("study", "trials", "sampler", "pruner", "overrides", "name", "timeout")
    settings = {name: options[name] for name in names}
    common.print_table(dry_run(**settings, display=common.display(quiet)).rows(), indent="")


def _print_result(result: TuneResult, best: tuple[int, float]) -> None:
    from zoo.tuning.display import value_text

    if len(result.objectives) > 1:
        for number, values in result.front.items():
            results = ", ".join(value_text(metric, value) for metric, value in values.items())
            click.echo(f"front: trial {number}, {results}")
    number, value = best
    score = _test_score(result)
    architecture = f" ({result.architecture})" if result.architecture else ""
    click.echo(f"best: trial {number}{architecture}, {value_text(result.objective, value)}{score}")
    click.echo(f"model: {result.model_uri or _local_model(result.study, number)}")
    if result.champion:
        click.echo(f"champion: {result.champion}")
    if result.report_path is not None:
        click.echo(f"report: {os.path.relpath(result.report_path)}")
    if result.warning:  # repeated, because the warning at the start is far up on the terminal
        click.echo(f"dataset: {result.source}")
        common.print_warning(result.warning)
