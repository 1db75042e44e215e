"""`zoo.train`: train one configuration of a study as a standalone run."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from zoo.errors import StudyError, ZooError
from zoo.events import EpochEnd, Finished
from zoo.record import MLflowRun, StandaloneDirectory, StudyDirectory, epochs_of
from zoo.registry import KINDS, Registry, plugin_versions
from zoo.study import Objective, rank
from zoo.trial import TrialConfig
from zoo.tuning.display import Display, PlainDisplay
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy, load_definition, open_study
from zoo.tuning.reconcile import reconcile_standalone_runs
from zoo.tuning.results import TrainResult
from zoo.tuning.supervisor import PendingTrial, Supervisor


class TrialFailed(ZooError):
    """A standalone run is not complete."""

    exit_status = 1


class FixedTrials:
    """Given trials, each run once; a `TrialSource` that neither prunes nor retries."""

    def __init__(self, trials: Sequence[PendingTrial]) -> None:
        self._total, self._pending = len(trials), iter(trials)
        config = trials[0].config
        self.objectives = [Objective(config.objective, config.direction)]
        self.events: dict[int, Finished] = {}  # the final event of each trial

    def total(self) -> int:
        return self._total

    def done(self) -> int:
        return len(self.events)

    def ask(self) -> PendingTrial:
        return next(self._pending)

    def report(self, number: int, event: EpochEnd) -> bool:
        return True

    def tell(self, number: int, event: Finished) -> None:
        self.events[number] = event

    def retry_later(self, numbers: Sequence[int]) -> None:
        """Do nothing: a standalone run is started again by its user."""

    def best(self) -> tuple[int, float] | None:
        result = self.objectives[0].result
        values = {
            number: [event.summary[result]]
            for number, event in self.events.items()
            if event.state == "complete"
        }
        return next(((number, values[number][0]) for number in rank(values, self.objectives)), None)


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
        stack.enter_context(opened.interrupts)
        reconcile_standalone_runs(opened)
        event, directory = _run(opened, config, trial, command)
        _check_complete(event, directory, opened.interrupts.exit_status)
    epochs = epochs_of(directory.events())
    return TrainResult(
        study=definition.name,
        objective=config.objective,
        trial=trial,
        summary=event.summary,
        epochs=[epoch.metrics for epoch in epochs],
        folder=directory.path,
        folds=[epoch.fold for epoch in epochs if epoch.fold is not None],
    )


def _run(
    study: OpenStudy, config: TrialConfig, trial: int | None, command: str
) -> tuple[Finished, StandaloneDirectory]:
    """Run `config` and record it in MLflow; return its final event and its directory."""
    name = "standalone-baseline" if trial is None else f"standalone-{trial:03d}"
    run = MLflowRun(uuid.uuid4().hex, name, trial or 0)
    directory = study.directory.new_standalone_run(run)
    source = FixedTrials([PendingTrial(run.number, config)])
    record = MLflowRecord(study, run.uid, standalone_name=name, command=command)
    try:
        with record:
            Supervisor(study, source, record, directory_of=lambda number: directory).run()
            event = source.events[run.number]
            record.status = "FINISHED" if event.state == "complete" else "FAILED"
    finally:
        if record.is_complete:
            directory.mark_complete_in_mlflow()
    return event, directory


def _check_complete(event: Finished, directory: StandaloneDirectory, signal_status: int) -> None:
    """Raise TrialFailed if the run is not complete; after a signal with the exit status `signal_status`."""
    if event.is_interrupted:
        stopped = TrialFailed(f"stopped; what was recorded until then is in {directory.path}")
        stopped.exit_status = signal_status
        raise stopped
    if event.state != "complete":
        raise TrialFailed(
            f"the run was not completed ({event.state}): {event.reason.rstrip('.')}. "
            f"Its output is in {directory.output_path}"
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
    directory = StudyDirectory(Path.cwd(), study)
    document = directory.trial(trial).config()
    if document is None:
        raise StudyError(
            f"There is no trial {trial} of '{study}' in {directory.trials_dir}. "
            f"`zoo compare {study}` lists its trials."
        )
    return TrialConfig.from_json(document)
