"""`zoo.tune`: search as a study says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from zoo.errors import StudyError, one_line
from zoo.figures import trade_offs
from zoo.registry import Registry
from zoo.study import StudyDefinition
from zoo.tuning.champion import delete_copies, score_champion
from zoo.tuning.display import Display, PlainDisplay
from zoo.tuning.manifest import manifest_of
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy, load_definition, open_study
from zoo.tuning.reconcile import reconcile
from zoo.tuning.results import TuneResult
from zoo.tuning.samplers import check_sampler
from zoo.tuning.search import OptunaSearch
from zoo.tuning.supervisor import Supervisor


def tune(
    study: str,
    *,
    trials: int | None = None,
    jobs: int = 1,
    sampler: str | None = None,
    pruner: str | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    storage: str | None = None,
    accept_versions: bool = False,
    display: Display | None = None,
    command: str = "zoo.tune",
) -> TuneResult:
    """Search as `study` says until it has its number of trials; resume a study that was stopped.

    Args:
        study: a name, looked up in `./studies` and among the studies that zoo ships, or a file's path.
        trials: total number of trials of the study, instead of the file's.
        jobs: trials at once, at least 1.
        sampler, pruner: instead of the file's.
        overrides: settings such as `["training.epochs=3"]`, as `--set` takes them.
        name: the study's name in the record, instead of the file's.
        storage: URL of an Optuna storage, instead of `mlruns/optuna.db`.
        accept_versions: resume although versions or code of plugins have changed.
        display: shows the progress; plain lines on stderr by default.
        command: the command that the user typed, for the record in MLflow.

    Raises:
        ZooError: the study cannot start; the message says what to do.
        TooManyFailures: three trials in a row failed.
    """
    registry = Registry.load()
    definition = load_definition(study, registry, overrides, name)
    definition = definition.with_search(trials=trials, sampler=sampler, pruner=pruner)
    check_sampler(definition)
    warnings = [*registry.problems, *_check_jobs(jobs, definition)]
    scores: Mapping[str, float] = {}
    with ExitStack() as stack:
        opened = open_study(stack, definition, jobs, display or PlainDisplay(), warnings)
        manifest = manifest_of(definition, opened.dataset)
        search = OptunaSearch(definition, manifest, opened.directory, storage, accept_versions)
        interrupts = stack.enter_context(opened.interrupts)
        with MLflowRecord(opened, search.uid(), manifest=manifest, command=command) as record:
            reconcile(opened, search, record)
            try:
                Supervisor(opened, search, record).run()
                if interrupts.signum is None:
                    scores = score_champion(opened, search, record)
            finally:
                _show_front(opened, search, record)
            record.status = "FINISHED" if interrupts.signum is None else "KILLED"
        delete_copies(opened, search, record)
        return _result(opened, search, record, scores)


def _check_jobs(jobs: int, definition: StudyDefinition) -> list[str]:
    """Return a warning if `jobs` spoils an objective; raise StudyError if there are fewer than one."""
    if jobs < 1:
        raise StudyError(f"--jobs: expected an integer >= 1, got {jobs}")
    if jobs > 1 and "latency_ms" in [objective.metric for objective in definition.objectives]:
        return [
            f"with --jobs {jobs}, latency_ms is measured while other trials train, so it means little; "
            "use --jobs 1"
        ]
    return []


def _show_front(study: OpenStudy, search: OptunaSearch, record: MLflowRecord) -> None:
    """Draw the Pareto front of several objectives, and mark its trials in MLflow."""
    objectives, front = study.definition.objectives, list(search.front())
    if len(objectives) == 1 or not front:
        return
    path: Path | None = study.directory.path / "figures" / "pareto_front.png"
    try:
        trade_offs(search.values(), objectives, str(path), title=study.definition.name)
    except Exception as error:  # the result is worth more than the figure
        study.display.problem(f"the figure of the Pareto front was not drawn: {one_line(error)}")
        path = None
    record.show_front(front, path)


def _result(
    study: OpenStudy, search: OptunaSearch, record: MLflowRecord, scores: Mapping[str, float]
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
        interrupted=study.interrupts.exit_status if study.interrupts.signum is not None else None,
        objectives=metrics,
        front={number: dict(zip(metrics, values, strict=True)) for number, values in search.front().items()},
        rejected=search.rejected(),
        max_parameters=definition.search.max_parameters,
        architecture=architecture,
        source=study.dataset.source,
        warning=study.dataset.warning,
    )
