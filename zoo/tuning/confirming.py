"""`zoo.confirm`: train the best trials of a study again with fresh seeds, and rank them by their means.

The best of many trials is partly the luckiest one: its value is the maximum of noisy values. Fresh seeds give
each finalist new initial weights, another order of the images and other augmentation. The images of the
validation split stay the same. The runs are standalone runs; the study does not change.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Any

from zoo import tracking
from zoo.data import Dataset
from zoo.errors import StudyError
from zoo.events import Finished
from zoo.record import MLflowRun, Run, StandaloneDirectory, best_run, load_runs, rank_runs
from zoo.registry import PluginFile, Registry, takes_plugins
from zoo.study import Objective
from zoo.tracking import TrackingError, confirm_name
from zoo.trial import TrialConfig, derived_seed
from zoo.tuning.continuing import PendingTrial
from zoo.tuning.display import Display, default_display
from zoo.tuning.executors.capacity import AUTO, Jobs
from zoo.tuning.lifecycle import refresh_deleted
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy, check_jobs, load_definition, open_study
from zoo.tuning.reconcile import reconcile_standalone_runs
from zoo.tuning.standalone_run import TrialList, with_installed_plugins, with_recorded_data
from zoo.tuning.supervisor import Supervisor


@dataclass(frozen=True)
class Finalist:
    """A trial that was trained again.

    Args:
        trial: its number.
        searched: its objective in the study.
        values: its objective with each fresh seed, only from complete runs.
    """

    trial: int
    searched: float
    values: Sequence[float]

    @property
    def mean(self) -> float:
        """The mean of `values`; NaN if there are none."""
        return fmean(self.values) if self.values else float("nan")

    @property
    def std(self) -> float:
        """The sample standard deviation of `values`; NaN with fewer than two values."""
        return stdev(self.values) if len(self.values) > 1 else float("nan")


@dataclass(frozen=True)
class Confirmation:
    """The finalists of a study, trained again.

    Args:
        study: its name.
        objective: the objective that ranks the finalists: the first one that every epoch reports.
        finalists: the best mean first; with equal means, the smaller standard deviation.
        searched_order: trial numbers in the order of this objective in the study.
        champion: the trial that is the champion of the study's registered model; None if it is no finalist.
        interrupted: the exit status if a signal stopped the command; else None.
        plugin_files: the plugin files that the study can use.
        is_recorded: MLflow has every run of this command.
    """

    study: str
    objective: Objective
    finalists: Sequence[Finalist]
    searched_order: Sequence[int]
    seeds: int
    champion: int | None = None
    interrupted: int | None = None
    plugin_files: Sequence[PluginFile] = field(default=(), repr=False)
    is_recorded: bool = True

    @property
    def order_changed(self) -> bool:
        return [one.trial for one in self.finalists] != list(self.searched_order)


@takes_plugins
def confirm(
    study: str,
    *,
    dataset: Dataset | None = None,
    top: int = 3,
    seeds: int = 5,
    jobs: Jobs = AUTO,
    name: str | None = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
    command: str = "zoo.confirm",
) -> Confirmation:
    """Train the best trials of a study again with fresh seeds; complete runs are not trained again.

    Args:
        study, dataset, name, plugins, display, command: as for `tune`.
        top: number of trials, the best ones of the study.
        seeds: number of runs of each trial.
        jobs: number of runs at the same time, as for `tune`; not more than `top` are run at once.

    Raises:
        ZooError: the study has no complete trial, or the runs cannot start.
        TooManyFailures: three runs in a row failed.
    """
    _check_least(("--top", top, 1), ("--seeds", seeds, 2))
    display = display or default_display()
    registry = Registry.load()
    definition = load_definition(study, registry, (), name, dataset)
    refresh_deleted(definition.name, display.problem)
    recorded = load_runs(definition.name, display.problem)
    best_run(recorded)  # an error if no trial is complete
    finalists = {int(run.number or 0): run for run in rank_runs(recorded)[:top]}
    jobs, warnings = check_jobs(jobs, definition)
    configs, warnings = {}, [*registry.problems, *warnings]
    files = definition.plugin_files
    for number, run in _longest_first(finalists):
        configs[number], changes = with_installed_plugins(number, run.config, registry, files)
        warnings += changes
    config = next(iter(configs.values()))
    # As recorded, because overrides may have changed the settings of the file.
    definition = with_recorded_data(definition, config, registry)
    with ExitStack() as stack:
        opened = open_study(stack, definition, jobs, display, warnings)
        _check_data(opened, config.digest)
        interrupts = stack.enter_context(opened.interrupts)
        reconcile_standalone_runs(opened)
        repeats = (repeat for repeat in range(1, seeds + 1) if interrupts.signum is None)
        sent = [_train(opened, configs, repeat, seeds, command) for repeat in repeats]
        objective = Objective(config.objective, config.direction)
        found = [
            Finalist(number, run.summary[objective.result], _values(opened, configs, number, seeds))
            for number, run in finalists.items()
        ]
        champion, status = _champion(opened, finalists), interrupts.status()
    ranked = rank_finalists(found, objective)
    searched = sorted(found, key=lambda one: objective.loss(one.searched))
    order = [one.trial for one in searched]
    return Confirmation(definition.name, objective, ranked, order, seeds, champion, status, files, all(sent))


def _longest_first(finalists: Mapping[int, Run]) -> list[tuple[int, Run]]:
    """Sort by training time, longest first, so that with several jobs no core waits for a long last run."""
    return sorted(finalists.items(), key=lambda one: -one[1].summary.get("train_seconds", 0.0))


def _check_least(*options: tuple[str, int, int]) -> None:
    """Raise StudyError for an option, given as `(name, value, least)`, whose value is too small."""
    for option, value, least in options:
        if value < least:
            raise StudyError(f"{option}: expected an integer >= {least}, got {value}")


def _check_data(study: OpenStudy, digest: str) -> None:
    if digest != study.dataset.digest:
        raise StudyError(
            f"the trials of '{study.definition.name}' were trained on other data ({digest[:12]}…, now "
            f"{study.dataset.digest[:12]}…). Restore that data to confirm them."
        )


def _champion(study: OpenStudy, finalists: Mapping[int, Run]) -> int | None:
    """Return the finalist that is the champion of the study's registered model; None if unknown."""
    with suppress(TrackingError):
        found = tracking.champion(study.store.result(), study.definition.name)
        uids = {run.uid(): number for number, run in finalists.items()}
        return None if found is None else uids.get(found.uid)
    return None


def rank_finalists(finalists: Sequence[Finalist], objective: Objective) -> list[Finalist]:
    """Return the finalists, best mean first; finalists without a value come last."""

    def key(one: Finalist) -> tuple[bool, float, float]:
        spread = one.std if len(one.values) > 1 else 0.0
        return (not one.values, objective.loss(one.mean) if one.values else 0.0, spread)

    return sorted(finalists, key=key)


def fresh_seed(config: TrialConfig, repeat: int) -> TrialConfig:
    """Return the configuration of a trial with its fresh seed number `repeat`, always the same."""
    return replace(config, seed=derived_seed(f"{config.seed}/confirm/{repeat}"))


def _train(
    study: OpenStudy, configs: Mapping[int, TrialConfig], repeat: int, seeds: int, command: str
) -> bool:
    """Train the finalists with seed number `repeat`, except complete runs; True if MLflow has all runs."""
    uid, directories, pending = uuid.uuid4().hex, {}, []
    for number, config in configs.items():
        directory = _directory(study, number, repeat, uid)
        trial = PendingTrial(number, fresh_seed(config, repeat))
        if _complete_run(directory, trial.config) is None:
            directories[number] = directory
            pending.append(trial)
    if not pending:
        return True
    study.display.phase(f"seed {repeat} of {seeds} …")
    with MLflowRecord(study, uid, repeat=repeat, command=command) as record:
        Supervisor(study, TrialList(pending), record, directories.__getitem__).run()
        record.status = "FINISHED"
    for directory in directories.values():
        if record.is_complete and directory.final_event() is not None:
            directory.mark_complete_in_mlflow()
    return record.is_complete


def _directory(study: OpenStudy, number: int, repeat: int, uid: str = "") -> StandaloneDirectory:
    run = MLflowRun(uid, confirm_name(number, repeat), number, repeat=repeat)
    return study.directory.confirming_run(run)


def _complete_run(directory: StandaloneDirectory, config: TrialConfig) -> Finished | None:
    """Return the final event of the complete run of this configuration; None if the directory has none."""
    event = directory.final_event()
    is_complete = event is not None and event.state == "complete"
    return event if is_complete and directory.config() == config.as_json() else None


def _values(study: OpenStudy, configs: Mapping[int, TrialConfig], number: int, seeds: int) -> list[float]:
    """Return the objective of a finalist's complete runs, in the order of the seeds."""
    values = []
    result = Objective(configs[number].objective, configs[number].direction).result
    for repeat in range(1, seeds + 1):
        event = _complete_run(_directory(study, number, repeat), fresh_seed(configs[number], repeat))
        values += [event.summary[result]] if event is not None else []
    return values
