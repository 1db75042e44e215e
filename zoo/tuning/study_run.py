"""`zoo.tune`: run the trials of a study."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data import Dataset
from zoo.disk_space import keep_trying
from zoo.durations import duration_text
from zoo.errors import count_text, one_line
from zoo.failpoints import failpoint
from zoo.registry import PluginFile, Registry, using_plugins
from zoo.study import StudyDefinition
from zoo.tracking import leaderboard
from zoo.trial import trials_text
from zoo.tuning.champion import promote_best
from zoo.tuning.display import Display, default_display
from zoo.tuning.executors.capacity import AUTO, Jobs
from zoo.tuning.executors.engine import Engine
from zoo.tuning.finished import has_trials_left, is_described, remember_end
from zoo.tuning.interrupts import Interrupted
from zoo.tuning.manifest import manifest_of
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy, check_jobs, load_definition, open_study
from zoo.tuning.patience import Patience
from zoo.tuning.reconcile import reconcile
from zoo.tuning.samplers import check_sampler
from zoo.tuning.scoring import has_test_split, recorded_scores, score_best
from zoo.tuning.search import OptunaSearch
from zoo.tuning.study_summary import record_summary
from zoo.tuning.supervisor import Supervisor

if TYPE_CHECKING:
    import pandas as pd

WriteReport = Callable[[str, str | None], Path]


@dataclass(frozen=True)
class TuneResult:
    """The result of a study.

    Args:
        study: the name under which it is recorded.
        objective: the first objective.
        best: number and first objective of the best complete trial; None if no trial is complete.
        done, total: number of finished trials, and of all trials that the study runs.
        test_metrics: scores of the best trial on the test split; {} if the dataset has no test split.
        model_uri: address of the best trial's model, for `mlflow.keras.load_model`.
        interrupted: the exit status if a signal stopped the study; else None.
        stopped: why the search ended before all its trials, such as `timeout of 30m reached …`.
        objectives: all objectives.
        front: the Pareto front: objectives by trial number; best value of the first objective first.
        rejected: number of trials that were not trained because of `max_parameters`.
        deleted: numbers of the complete trials that were deleted.
        architecture: that of the best trial if the study searches among several; else "".
        champion: the registered champion, and how the best trial compares with it; "" if that is not known.
        report_path: the HTML file of the report; None if none was written.
        source, warning: the dataset's origin; a warning that limits what its scores mean.
        plugin_files: the plugin files that the study can use.
        is_recorded: MLflow has the whole study.
    """

    study: str
    objective: str
    best: tuple[int, float] | None
    done: int
    total: int
    test_metrics: Mapping[str, float]
    model_uri: str = ""
    interrupted: int | None = None
    stopped: str = ""
    objectives: Sequence[str] = ()
    front: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    rejected: int = 0
    deleted: Sequence[int] = ()
    max_parameters: int | None = None
    architecture: str = ""
    champion: str = ""
    report_path: Path | None = None
    source: str = ""
    warning: str = ""
    plugin_files: Sequence[PluginFile] = field(default=(), repr=False)
    is_recorded: bool = True

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Every trial, best first; read from MLflow at the first use."""
        return leaderboard(self.study)


def tune(
    study: str,
    *,
    dataset: Dataset | None = None,
    trials: int | None = None,
    jobs: Jobs = AUTO,
    sampler: str | None = None,
    pruner: str | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Any] = (),
    name: str | None = None,
    storage: str | None = None,
    accept_versions: bool = False,
    timeout: str | float | None = None,
    retry_failed: bool = False,
    promote: bool = True,
    engine: str = "local",
    address: str | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
    display: Display | None = None,
    command: str = "zoo.tune",
    write_report: WriteReport | None = None,
) -> TuneResult:
    """Run the trials of a study until it has `trials` of them; resume a study that was stopped.

    Args:
        study: the path of a study file, or the name of one in `./studies` or shipped with zoo.
        dataset: data in memory, in place of the study file's dataset. To resume the study, pass equal data.
        trials, sampler, pruner, timeout: replace those of the file; `timeout` as `"1h30m"` or in seconds.
        jobs: number of trials at the same time; `"auto"`: as many as the machine, or the cluster, allows.
        overrides: settings such as `["training.epochs=3"]`, as `--set` takes them.
        plugins: plugin files, besides those of the study file: paths, or imported modules of one file.
        name, storage: the study's recorded name; the URL of an Optuna storage instead of `mlruns/optuna.db`.
        accept_versions, retry_failed: resume although plugins have changed; run the failed trials again.
        promote: register the best trial as the champion if it is better than the present one.
        engine, address, cpus_per_trial, gpus_per_trial: where trials run, and what each trial needs.
        display, command: the progress display, by default HTML in a notebook; the command line, for MLflow.
        write_report: writes the report at the end; called with the study's name and `storage`.

    Raises:
        ZooError: the study cannot start; the message says what to do.
        TooManyFailures: three trials in a row failed.
    """
    place = Engine(engine, address, cpus_per_trial, gpus_per_trial)
    search_settings = {"trials": trials, "sampler": sampler, "pruner": pruner, "timeout": timeout}
    with ExitStack() as stack:
        stack.enter_context(using_plugins(plugins))
        definition, jobs, warnings = define_study(study, dataset, overrides, name, jobs, search_settings)
        deadline = time.monotonic() + (definition.search.timeout or math.inf)
        shown, trains = display or default_display(), retry_failed or has_trials_left(definition)
        opened = open_study(stack, definition, jobs, shown, warnings, place, trains=trains)
        search = open_search(opened, storage, accept_versions, command)
        stack.enter_context(opened.interrupts)
        with open_record(opened, search, command) as record:
            reconcile(opened, search, record)
            if retry_failed:
                _retry_failed(opened, search)
            ended = _run(opened, search, record, deadline, storage, write_report)
        return _promote_and_clean(opened, search, record, _result(opened, search, record, *ended), promote)


def open_search(
    study: OpenStudy, storage: str | None, accept_versions: bool = False, command: str = ""
) -> OptunaSearch:
    """Open the Optuna study of a study; record the study file with `command`, if the command runs trials."""
    manifest = manifest_of(study.definition, study.dataset)
    patience = Patience(study.display.problem, study.interrupts.status)
    options = storage, accept_versions, patience
    search = OptunaSearch(study.definition, manifest, study.directory, *options)
    if command:
        study.directory.describe(study.definition.text, command)
    return search


def open_record(study: OpenStudy, search: OptunaSearch, command: str) -> MLflowRecord:
    """Open the record of a study in MLflow."""
    return MLflowRecord(study, search.uid(), search.surplus, manifest=search.manifest, command=command)


def _run(
    study: OpenStudy,
    search: OptunaSearch,
    record: MLflowRecord,
    deadline: float,
    storage: str | None,
    write_report: WriteReport | None,
) -> tuple[Mapping[str, float], Path | None, str]:
    """Run the trials; return the scores of the best one, the report, and why the search ended early.

    After a signal there are no scores, and no report.
    """
    supervisor, is_unchanged = Supervisor(study, search, record, deadline=deadline), False
    try:
        supervisor.run()
        scores: Mapping[str, float] = {}
        path, report = None, study.directory.path / "report.html"
        if study.interrupts.signum is None:
            is_unchanged = is_described(study, search, record) and (write_report is None or report.exists())
            if is_unchanged:
                scores, path = recorded_scores(study, search), report if write_report else None
            else:
                scores = score_best(study, search, record)
                path = _write_report(study, record, storage, write_report)
        record.status = "FINISHED" if study.interrupts.signum is None else "KILLED"
        return scores, path, supervisor.stopped
    finally:
        if not is_unchanged:
            record_summary(study, search, record)


def define_study(
    study: str,
    dataset: Dataset | None,
    overrides: Sequence[str],
    name: str | None,
    jobs: Jobs,
    search_settings: Mapping[str, Any],
) -> tuple[StudyDefinition, Jobs, list[str]]:
    """Return the study's definition and `jobs`, checked, and warnings."""
    registry = Registry.load()
    definition = load_definition(study, registry, overrides, name, dataset).with_search(**search_settings)
    check_sampler(definition)
    jobs, warnings = check_jobs(jobs, definition)
    return definition, jobs, [*registry.problems, *warnings]


def _retry_failed(study: OpenStudy, search: OptunaSearch) -> None:
    """Queue the failed trials again, and report their numbers."""
    numbers = search.retry_failed()
    failed = f"running the failed {trials_text(numbers)} again …"
    study.display.phase(failed if numbers else "no failed trial to run again")


def _stop_text(search: OptunaSearch, definition: StudyDefinition, stopped: str) -> str:
    """Return why the search ended before its last trial, or that trial's last epoch; "" if it did not."""
    counts = f"after {search.done()} of {count_text(search.total(), 'trial')}"
    if stopped == "timeout":
        return f"timeout of {duration_text(definition.search.timeout or 0)} reached {counts}"
    best = search.best()
    if stopped != "target" or best is None:
        return ""
    return f"target {definition.search.target:g} reached by trial {best[0]} {counts}"


def _write_report(
    study: OpenStudy, record: MLflowRecord, storage: str | None, write: WriteReport | None
) -> Path | None:
    """Return the path of the report that `write` writes; None after a reported error, or after a signal."""
    if write is None:
        return None
    study.display.phase("writing the report …")
    try:
        with study.interrupts.interruptible():
            path = keep_trying(
                partial(write, study.definition.name, storage),
                study.directory.path / "report.html",
                study.display.problem,
            )
    except Interrupted:
        return None
    except Exception as error:  # the study must not fail because of its report
        again = f"zoo report {shlex.quote(study.definition.name)}"
        study.display.problem(f"the report was not written: {one_line(error)}; `{again}` writes it")
        return None
    failpoint("study.reported")
    record.record_report(path)
    return path


def _promote_and_clean(
    study: OpenStudy, search: OptunaSearch, record: MLflowRecord, result: TuneResult, promote: bool
) -> TuneResult:
    """Promote the best trial unless that is unwanted, delete local copies, and return the whole result.

    After a signal, the best trial is not promoted.
    """
    failpoint("study.recorded")
    champion = ""
    if promote and result.best is not None and result.interrupted is None:
        champion = promote_best(study, result.best[0], result.model_uri)
    failpoint("study.promoted")
    _delete_copies(study, search, record)
    is_scored = result.best is None or bool(result.test_metrics) or not has_test_split(study)
    has_trials_left = result.done < result.total and not result.stopped.startswith("target")
    if record.is_described and record.is_complete and is_scored and not has_trials_left:
        remember_end(study, search)
    return replace(result, champion=champion)


def _delete_copies(study: OpenStudy, search: OptunaSearch, record: MLflowRecord) -> None:
    """Delete the local models of the trials that MLflow has, except the best trial's."""
    best = search.best()
    for number in record.recorded_trials():
        if best is None or number != best[0]:
            study.directory.trial(number).delete_copies()


def _result(
    study: OpenStudy,
    search: OptunaSearch,
    record: MLflowRecord,
    scores: Mapping[str, float],
    report_path: Path | None,
    stopped: str,
) -> TuneResult:
    definition, best, architecture = study.definition, search.best(), ""
    metrics = [objective.metric for objective in definition.objectives]
    if best is not None and len(definition.architecture.spaces) > 1:
        config = study.directory.trial(best[0]).config() or {}
        architecture = config.get("architecture", {}).get("name", "")
    return TuneResult(
        study=definition.name,
        objective=definition.objective,
        best=best,
        done=search.done(),
        total=search.total(),
        test_metrics=scores,
        model_uri=record.model_uri(best[0]) if best is not None else "",
        interrupted=study.interrupts.status(),
        stopped=_stop_text(search, definition, stopped),
        objectives=metrics,
        front={number: dict(zip(metrics, values, strict=True)) for number, values in search.front().items()},
        rejected=search.num_rejected(),
        deleted=search.deleted_complete(),
        max_parameters=definition.search.max_parameters,
        architecture=architecture,
        report_path=report_path,
        source=study.dataset.source,
        warning=study.dataset.warning,
        plugin_files=definition.plugin_files,
        is_recorded=record.is_complete,
    )
