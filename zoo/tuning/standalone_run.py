"""`zoo.train`: train one configuration of a study as a standalone run."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from zoo.errors import StudyError, ZooError
from zoo.events import Finished
from zoo.record import MLflowRun, StandaloneDirectory, StudyDirectory, epochs_of
from zoo.registry import KINDS, Registry, plugin_versions
from zoo.trial import TrialConfig
from zoo.tuning.display import Display, PlainDisplay
from zoo.tuning.fixed_trials import FixedTrials
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy, load_definition, open_study
from zoo.tuning.reconcile import reconcile_standalone_runs
from zoo.tuning.results import TrainResult
from zoo.tuning.supervisor import PendingTrial, Supervisor


class TrialFailed(ZooError):
    """A standalone run is not complete."""

    exit_status = 1


def train(
    study: str,
    *,
    trial: int | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    display: Display | None = None,
    command: str = "zoo.train",
) -> TrainResult:
    """Train a study's baseline, or one of its trials again with the same parameters and seed.

    The study is not changed: this is a run of its own in the study's MLflow experiment.

    Args:
        study, overrides, name, display, command: as for `tune`.
        trial: number of a trial in `./mlruns/zoo`; the baseline by default.

    Raises:
        ZooError: the run cannot start; the message says what to do.
        TrialFailed: the run failed, was rejected, or was interrupted.
    """
    if trial is not None and overrides:
        raise StudyError("--trial repeats the settings of the trial, so --set cannot change them")
    registry = Registry.load()
    definition = load_definition(study, registry, overrides, name)
    config, warnings = None, list(registry.problems)
    if trial is not None:
        config, changes = with_installed_plugins(trial, _recorded_config(definition.name, trial), registry)
        warnings += changes
        # Use the recorded split, not the study file's: the trial's figures belong to it.
        definition = replace(definition, validation=config.validation)
    with ExitStack() as stack:
        opened = open_study(stack, definition, 1, display or PlainDisplay(), warnings)
        digest = opened.dataset.digest
        if config is None:
            config = definition.baseline(digest, definition.seed_of(0))
        elif config.digest != digest:
            raise StudyError(
                f"Trial {trial} of '{definition.name}' was trained on other data ({config.digest[:12]}…, "
                f"now {digest[:12]}…), so it cannot be trained again."
            )
        interrupts = stack.enter_context(Interrupts())
        reconcile_standalone_runs(opened, interrupts)
        return _run(opened, config, trial, interrupts, command)


def _run(
    study: OpenStudy, config: TrialConfig, trial: int | None, interrupts: Interrupts, command: str
) -> TrainResult:
    """Run `config`, record it in MLflow, and return its results.

    Raises:
        TrialFailed: it is not complete.
    """
    name = "standalone-baseline" if trial is None else f"standalone-{trial:03d}"
    run = MLflowRun(uuid.uuid4().hex, name, trial or 0)
    directory = study.directory.new_standalone_run(run)
    source = FixedTrials([PendingTrial(run.number, config)])
    record = MLflowRecord(study, run.uid, interrupts, standalone_name=name, command=command)
    try:
        with record:
            supervisor = Supervisor(
                study.definition.name,
                source,
                study.executor,
                record,
                study.display,
                directory_of=lambda number: directory,
                cache_dir=study.directory.cache_dir,
            )
            supervisor.run(interrupts)
            event = source.events[run.number]
            record.status = "FINISHED" if event.state == "complete" else "FAILED"
    finally:
        if record.is_complete:
            directory.mark_complete_in_mlflow()
    _check_complete(event, directory, interrupts)
    return _result(study, config, trial, event, directory)


def _check_complete(event: Finished, directory: StandaloneDirectory, interrupts: Interrupts) -> None:
    """Raise TrialFailed if the run is not complete."""
    if event.state == "complete":
        return
    if event.is_interrupted:
        stopped = TrialFailed(f"stopped; what was recorded until then is in {directory.path}")
        stopped.exit_status = interrupts.exit_status
        raise stopped
    raise TrialFailed(
        f"the run was not completed ({event.state}): {event.reason.rstrip('.')}. "
        f"Its output is in {directory.output_path}"
    )


def _result(
    study: OpenStudy,
    config: TrialConfig,
    trial: int | None,
    event: Finished,
    directory: StandaloneDirectory,
) -> TrainResult:
    epochs = epochs_of(directory.events())
    return TrainResult(
        study=study.definition.name,
        objective=config.objective,
        trial=trial,
        summary=event.summary,
        epochs=[epoch.metrics for epoch in epochs],
        folder=directory.path,
        folds=[epoch.fold for epoch in epochs if epoch.fold is not None],
    )


def with_installed_plugins(
    trial: int, config: TrialConfig, registry: Registry
) -> tuple[TrialConfig, list[str]]:
    """Return a trial's configuration with the installed plugins, and a line for each that has changed.

    Raises:
        PluginError: a plugin that it needs is not registered any more.
    """
    installed = plugin_versions(*(registry.get(kind, getattr(config, kind).name) for kind in KINDS))
    changes = {
        f"trial {trial} was trained with {name} {config.plugins[key]}, now with {name} {version}"
        for key, version in installed.items()
        if (name := key.partition(":")[0]) and config.plugins.get(key, version) != version
    }
    return replace(config, plugins=installed), sorted(changes)


def _recorded_config(study: str, trial: int) -> TrialConfig:
    """Return the configuration of a recorded trial.

    Raises:
        StudyError: there is no such trial.
    """
    directory = StudyDirectory(Path.cwd(), study)
    document = directory.trial(trial).config()
    if document is None:
        raise StudyError(
            f"There is no trial {trial} of '{study}' in {directory.trials_dir}. "
            f"`zoo compare {study}` lists its trials."
        )
    return TrialConfig.from_json(document)
