"""`zoo.train`: train one configuration of a study as a standalone run."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data import Dataset
from zoo.errors import RecordError, StudyError, ZooError
from zoo.events import EpochEnd, Finished
from zoo.record import (
    MLflowRun,
    StandaloneDirectory,
    StudyDirectory,
    epochs_of,
    load_runs,
    pick_runs,
)
from zoo.registry import PluginFile, Registry, plugin_versions, using_plugins
from zoo.study import Objective, StudyDefinition, rank
from zoo.trial import TrialConfig
from zoo.tuning.continuing import PendingTrial
from zoo.tuning.display import Display, default_display
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy, load_definition, open_study
from zoo.tuning.reconcile import reconcile_standalone_runs
from zoo.tuning.supervisor import Supervisor

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainResult:
    """The result of a standalone run.

    Args:
        summary: `best_val_accuracy` (or another objective), `best_epoch`, `parameters`, `train_seconds`;
            with cross-validation also `best_val_accuracy_std` and `best_fold`.
        epochs: the metrics of every epoch, in order; the epochs of fold 1 come first.
        folder: contains `model.keras`, `summary.txt` and `figures/`.
        folds: the fold of each of `epochs`; () without cross-validation.
        plugin_files: the plugin files that the study can use.
        is_recorded: MLflow has the whole run.
    """

    study: str
    objective: str
    trial: int | None
    summary: Mapping[str, float]
    epochs: Sequence[Mapping[str, float]]
    folder: Path
    folds: Sequence[int] = ()
    plugin_files: Sequence[PluginFile] = field(default=(), repr=False)
    is_recorded: bool = True

    @property
    def curves(self) -> pd.DataFrame:
        """A row for every epoch (from 1), a column for every metric; indexed by fold and epoch with folds."""
        import pandas as pd

        frame = pd.DataFrame(list(self.epochs))
        fold = pd.Series(self.folds or 1, index=frame.index, name="fold")
        epoch = frame.groupby(fold).cumcount().add(1).rename("epoch")
        return frame.set_index([fold, epoch] if self.folds else epoch)


class TrialFailed(ZooError):
    """A standalone run is not complete."""

    exit_status = 1


class TrialList:
    """A `TrialSource` of given trials. Each trial runs once, without pruning and without a retry."""

    def __init__(self, trials: Sequence[PendingTrial]) -> None:
        self._total, self._pending = len(trials), deque(trials)
        config = trials[0].config
        self.objectives = [Objective(config.objective, config.direction)]
        self.events: dict[int, Finished] = {}  # the final event of each trial

    def total(self) -> int:
        return self._total

    def done(self) -> int:
        return len(self.events)

    def ask(self) -> PendingTrial:
        return self._pending.popleft()

    def ask_ahead(self) -> PendingTrial | None:
        return self._pending[0] if self._pending else None

    def report(self, number: int, event: EpochEnd) -> bool:
        return True

    def can_retry(self, number: int) -> bool:
        return False

    def tell(self, number: int, event: Finished) -> None:
        self.events[number] = event

    def has_reached_target(self) -> bool:
        """Return False: the runs are given, and have no target."""
        return False

    def retry_later(self, numbers: Sequence[int]) -> None:
        """Do nothing: a standalone run is started again by its user."""

    def best(self) -> tuple[int, float] | None:
        result = self.objectives[0].result
        complete = {number: event for number, event in self.events.items() if event.state == "complete"}
        values = {number: [event.summary[result]] for number, event in complete.items()}
        return next(((number, values[number][0]) for number in rank(values, self.objectives)), None)


def train(
    study: str,
    *,
    dataset: Dataset | None = None,
    trial: int | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Any] = (),
    name: str | None = None,
    display: Display | None = None,
    command: str = "zoo.train",
) -> TrainResult:
    """Train a study's baseline, or one of its trials again with the same parameters and seed.

    The study does not change: MLflow gets a standalone run in the study's experiment. If the last run with
    the same configuration was interrupted, this one continues after its last epoch.

    Args:
        study, dataset, overrides, plugins, name, display, command: as for `tune`.
        trial: number of a trial in `./mlruns/zoo`; the baseline by default.

    Raises:
        ZooError: the run cannot start; the message says what to do.
        TrialFailed: the run failed, was rejected, or was interrupted.
    """
    if trial is not None and overrides:
        raise StudyError("--trial uses the recorded settings of the trial. Remove --set or --trial.")
    with ExitStack() as stack:
        stack.enter_context(using_plugins(plugins))
        definition, config, warnings = _define(study, dataset, trial, overrides, name)
        opened = open_study(stack, definition, 1, display or default_display(), warnings)
        digest = opened.dataset.digest
        if config is None:
            definition = opened.definition
            config = definition.baseline(digest, definition.seed_of(0))
        elif config.digest != digest:
            raise StudyError(
                f"trial {trial} of '{definition.name}' was trained on other data ({config.digest[:12]}…, "
                f"now {digest[:12]}…). Restore that data, or leave out --trial to train the baseline."
            )
        stack.enter_context(opened.interrupts)
        reconcile_standalone_runs(opened)
        event, directory, is_recorded = _run(opened, config, trial, command)
    epochs = epochs_of(directory.events())
    return TrainResult(
        study=definition.name,
        objective=config.objective,
        trial=trial,
        summary=event.summary,
        epochs=[epoch.metrics for epoch in epochs],
        folder=directory.path,
        folds=[epoch.fold for epoch in epochs if epoch.fold is not None],
        plugin_files=definition.plugin_files,
        is_recorded=is_recorded,
    )


def _define(
    study: str, dataset: Dataset | None, trial: int | None, overrides: Sequence[str], name: str | None
) -> tuple[StudyDefinition, TrialConfig | None, list[str]]:
    """Return the study's definition, the configuration of the recorded trial (if any), and warnings."""
    registry = Registry.load()
    definition = load_definition(study, registry, overrides, name, dataset)
    if trial is None:
        return definition, None, list(registry.problems)
    warnings = list(registry.problems)
    (recorded,) = pick_runs([trial], load_runs(definition.name, warnings.append))
    config, changes = with_installed_plugins(trial, recorded.config, registry, definition.plugin_files)
    return with_recorded_data(definition, config, registry), config, [*warnings, *changes]


def _run(
    study: OpenStudy, config: TrialConfig, trial: int | None, command: str
) -> tuple[Finished, StandaloneDirectory, bool]:
    """Run `config`, record it in MLflow, return if MLflow has it; raise TrialFailed unless it is complete."""
    name = "standalone-baseline" if trial is None else f"standalone-{trial:03d}"
    run = MLflowRun(uuid.uuid4().hex, name, trial or 0)
    directory = study.directory.new_standalone_run(run)
    _take_checkpoints(study.directory, directory, config)
    source = TrialList([PendingTrial(run.number, config)])
    record = MLflowRecord(study, run.uid, standalone_name=name, command=command)
    try:
        with record:
            Supervisor(study, source, record, directory_of=lambda number: directory).run()
            event = source.events[run.number]
            record.status = "FINISHED" if event.state == "complete" else "FAILED"
    finally:
        if record.is_complete:
            directory.mark_complete_in_mlflow()
    if event.is_interrupted:
        stopped = TrialFailed(f"stopped; the files of the run are in {directory.path}")
        stopped.exit_status = study.interrupts.exit_status
        raise stopped
    if event.state != "complete":
        raise TrialFailed(
            f"the run was not completed ({event.shown_state}): {event.reason.rstrip('.')}. "
            f"Its output is in {directory.output_path}"
        )
    return event, directory, record.is_complete


def _take_checkpoints(study: StudyDirectory, directory: StandaloneDirectory, config: TrialConfig) -> None:
    """Give a new run the checkpoints of the last interrupted run with the same configuration, if any."""
    for earlier in reversed(study.standalone_runs()):
        with suppress(RecordError):  # the configuration of that run is damaged
            if earlier.checkpoints_dir.is_dir() and earlier.trial_config() == config:
                directory.create(config.as_json())
                earlier.checkpoints_dir.rename(directory.checkpoints_dir)
                return


def with_recorded_data(
    definition: StudyDefinition, config: TrialConfig, registry: Registry
) -> StudyDefinition:
    """Return a study's definition with the dataset and the validation split of one of its trials.

    The trial's figures belong to this dataset and split, not to those that the study file names now. A
    dataset that the caller passes stays.
    """
    definition = replace(definition, validation=config.validation)
    if definition.in_memory is not None:
        return definition
    component = registry.with_files(definition.plugin_files).get("dataset", config.dataset.name)
    return replace(definition, dataset=config.dataset, dataset_component=component)


def with_installed_plugins(
    trial: int, config: TrialConfig, registry: Registry, files: Sequence[PluginFile] = ()
) -> tuple[TrialConfig, list[str]]:
    """Return a trial's configuration with the present plugins, and a line for each that has changed."""
    registry = registry.with_files(files)
    names = [(kind, getattr(config, kind).name) for kind in ("dataset", "architecture", "augmentation")]
    names += [("metric", name) for name in config.metrics.values()]
    installed = plugin_versions(*(registry.get(kind, name) for kind, name in names))
    changes = {
        f"trial {trial} was trained with {name} {config.plugins[key]}, now with {name} {version}"
        for key, version in installed.items()
        if (name := key.partition(":")[0]) and config.plugins.get(key, version) != version
    }
    return replace(config, plugins=installed), sorted(changes)
