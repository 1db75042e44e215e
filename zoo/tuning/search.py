"""The Optuna study of a zoo study: proposes trials and learns from their results.

Every trial ends in a final state. An interrupted trial (Ctrl-C, a supervisor that was killed, a process that
was killed from outside) does not count and is retried with the same values; a failed trial counts.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from zoo.disk_space import keep_trying
from zoo.errors import ZooError
from zoo.events import EpochEnd, Finished
from zoo.record import StudyDirectory
from zoo.redaction import redact
from zoo.study import Objective, StudyDefinition
from zoo.tuning.ahead import AheadSampler
from zoo.tuning.continuing import PendingTrial
from zoo.tuning.differences import logged_values, optuna_differences
from zoo.tuning.manifest import check_resumable
from zoo.tuning.optuna_trials import KILLED, MAX_PARAMETERS, annotate, finish, report_epoch
from zoo.tuning.ownership import check_owner, claim
from zoo.tuning.patience import Patience
from zoo.tuning.ranking import Ranking
from zoo.tuning.rebuilding import (
    began_with_checksums,
    check_rebuilding,
    interrupted_for_good,
    lacks_trials,
    logged_trials,
    rebuilding_text,
    retried_failures,
)
from zoo.tuning.recorded_search import MANIFEST, importances_of, total_importances
from zoo.tuning.retrying import RETRIED, count_done, earlier_attempts, enqueue_again, retry_failed, retry_once
from zoo.tuning.samplers import Grid, make_pruner, make_sampler
from zoo.tuning.storage import default_storage, open_storage
from zoo.tuning.supervisor import MAX_ATTEMPTS

if TYPE_CHECKING:
    import optuna

# Attributes of the Optuna study.
_UID = "zoo.uid"
DESCRIPTION = "zoo.description"  # one line for human readers
_KEEPS_BEST = "zoo.keeps_best"  # the study began with a version of zoo that keeps only the best models


class OptunaSearch:
    """The trials of a study, in an Optuna study. A `TrialSource`."""

    def __init__(
        self,
        definition: StudyDefinition,
        manifest: Mapping[str, Any],
        directory: StudyDirectory,
        storage: str | None = None,
        accept_versions: bool = False,
        patience: Patience | None = None,
    ) -> None:
        """Open the Optuna study, or create it; the caller holds the lock of `directory`.

        If Optuna lacks trials that `directory` has, it is rebuilt from the event logs, which is reported.
        """
        patience = patience or Patience()
        self._definition = definition
        self.manifest = manifest
        self.objectives: Sequence[Objective] = definition.objectives
        self._digest = manifest["dataset"]["digest"]
        self._grid = Grid(definition) if definition.search.sampler == "grid" else None
        self._asked_trials: dict[int, optuna.Trial] = {}  # by number, until their final state
        self._at_target: set[int] = set()  # running trials whose objective is good enough
        self._best_values: dict[int, dict[int, float]] = {}  # trial number -> fold -> best value so far
        url = storage or default_storage(Path.cwd())
        self._storage = open_storage(url, directory.path.parent, patience=patience)
        self._study = _create_study(definition, self._storage)
        if self._trials() and _UID not in self._study.user_attrs:
            raise ZooError(
                f"the Optuna study '{definition.name}' in {redact(url)} was not made by zoo. "
                f"Give your study another name: run the same command with --name {definition.name}-2"
            )
        if len(self._trials()) > len(self._trials("WAITING")):
            directory.check_uid(self.uid())
        if lacks_trials(self._trials(), directory):
            check_rebuilding(definition, directory, self._trials(), manifest, accept_versions)
            self._rebuild(directory, patience.report)
        self._check_manifest(manifest, accept_versions, directory)
        self._directory_id = claim(self._study, directory, self._trials("RUNNING"))
        trials = self._trials()
        # The number of trials is a part of the seed, so that a resumed study proposes no trial again.
        seed = hashlib.sha256(f"{definition.search.seed}/{len(trials)}".encode()).digest()[:4]
        self._study.sampler = make_sampler(
            definition.search.sampler, int.from_bytes(seed, "big"), definition.search.trials
        )
        self._ahead = AheadSampler(self._study, definition, self._grid)
        self._study.set_user_attr(_UID, self._study.user_attrs.get(_UID) or uuid.uuid4().hex)
        if not trials:
            self._study.set_user_attr(_KEEPS_BEST, True)
            self._study.enqueue_trial(definition.encode(definition.baseline(self._digest, 0)))
        self._study.set_user_attr(MANIFEST, json.dumps(manifest))
        assign = partial(directory.assign, self.uid(), definition.objectives, storage, manifest)
        keep_trying(assign, directory.path, patience.report)
        # `values`, `front` and `best` exclude these trials.
        self.deleted = directory.deleted_trials()
        self.set_aside: set[int] = set()  # their local record is damaged
        self._logged: dict[int, tuple[float, ...]] = {}  # values of event logs where Optuna has others
        # Read from Optuna once, then updated: reading thousands of trials takes long.
        self._num_done: int | None = None
        self._ranked: tuple[Ranking, set[int]] | None = None  # complete trials, and the excluded ones

    def _rebuild(self, directory: StudyDirectory, report: Callable[[str], None]) -> None:
        """Make the Optuna study again from the event logs of its trials."""
        import optuna

        trials = logged_trials(self._definition, directory, self._digest)
        report(rebuilding_text(directory))
        optuna.delete_study(study_name=self._definition.name, storage=self._storage)
        self._study = _create_study(self._definition, self._storage)
        self._study.set_user_attr(_UID, directory.uid())
        self._study.set_user_attr(RETRIED, retried_failures(trials))
        if began_with_checksums(directory):
            self._study.set_user_attr(_KEEPS_BEST, True)
        self._study.add_trials(trials)
        for number in interrupted_for_good(trials):
            enqueue_again(self._study, number)

    def _check_manifest(self, manifest: Mapping[str, Any], accept: bool, directory: StudyDirectory) -> None:
        """Raise ManifestError if trials have run with another manifest; replace an outdated baseline."""
        import optuna

        name, trials, stored = self._definition.name, self._trials(), self._study.user_attrs.get(MANIFEST)
        if len(trials) == len(self._trials("WAITING")):
            # No trial has run yet, so the definition may have changed since the baseline was queued.
            if trials and stored != json.dumps(manifest):
                optuna.delete_study(study_name=name, storage=self._storage)
                self._study = _create_study(self._definition, self._storage)
        elif stored is not None:
            check_resumable(self._definition, directory, json.loads(stored), manifest, accept)

    def uid(self) -> str:
        """Return the unique name of the study in MLflow."""
        return str(self._study.user_attrs[_UID])

    def total(self) -> int:
        """Return the number of trials that the study runs: at most the number of grid points."""
        trials = self._definition.search.trials
        return trials if self._grid is None else min(trials, self._grid.size)

    def done(self) -> int:
        if self._num_done is None:
            self._num_done = count_done(self._study)
        return self._num_done

    def ask(self) -> PendingTrial:
        """Return the next trial: the baseline, then trials to retry, then proposals of the sampler."""
        check_owner(self._study, self._directory_id)
        if self._grid is not None and not self._trials("WAITING"):
            self._study.enqueue_trial(self._grid.next_point(self._trials))
        trial = self._study.ask()
        self._asked_trials[trial.number] = trial
        config = self._definition.sample(trial, self._digest, self._definition.seed_of(trial.number))
        return PendingTrial(trial.number, config, earlier_attempts(self._study, trial))

    def ask_ahead(self) -> PendingTrial | None:
        """Return the trial that `ask` returns next, and queue it; None if it depends on running trials."""
        check_owner(self._study, self._directory_id)
        return self._ahead.next_trial(self.done() + len(self._asked_trials), self._digest)

    def report(self, number: int, event: EpochEnd) -> bool:
        """Report the trial's best value so far; return False if the pruner stops the trial.

        With several objectives no trial is pruned.
        """
        if len(self.objectives) > 1:
            return True
        trial = self._asked_trials[number]
        best_values = self._best_values.setdefault(number, {})
        report_epoch(trial, event, self._definition, best_values)
        value, is_last_fold = fmean(best_values.values()), (event.fold or 1) == self._definition.folds
        if is_last_fold and self._definition.search.has_reached(value, self.objectives[0]):
            self._at_target.add(number)
        # After the last epoch, pruning would save nothing and lose the model.
        return event.is_last or not trial.should_prune()

    def report_logged(self, number: int, epochs: Sequence[EpochEnd]) -> None:
        """Report the epochs of an unfinished trial that a killed supervisor logged but did not report."""
        best_values: dict[int, float] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns of epochs that it has, and keeps their values
            for event in epochs if len(self.objectives) == 1 else ():
                report_epoch(self._asked_trials[number], event, self._definition, best_values)

    def can_retry(self, number: int) -> bool:
        """Return True if a trial that was killed from outside has attempts left."""
        killed = [trial.params for trial in self._trials() if trial.user_attrs.get(KILLED)]
        return killed.count(self._trials()[number].params) + 1 < MAX_ATTEMPTS

    def tell(self, number: int, event: Finished) -> None:
        trial = self._asked_trials.pop(number)
        self._best_values.pop(number, None)
        self._at_target.discard(number)
        annotate(trial, event, self._definition.search.max_parameters)
        if event.is_interrupted:
            # Before `finish`: if the process is killed in between, the trial stays running and is retried.
            enqueue_again(self._study, number)
        finish(self._study, trial, event, self.objectives)
        if self._num_done is not None and not event.is_interrupted:
            self._num_done += 1
        if self._ranked is not None and event.state == "complete" and number not in self._ranked[1]:
            self._ranked[0].add(number, tuple(float(event.summary[one.result]) for one in self.objectives))

    def retry_failed(self) -> list[int]:
        """Queue every failed trial again that was not deleted; return their numbers."""
        self._num_done = None
        return retry_failed(self._study, self.deleted)

    def retry_later(self, numbers: Sequence[int]) -> None:
        """Queue failed trials again, each once."""
        self._num_done = None
        retry_once(self._study, numbers)

    def unfinished_trials(self) -> list[int]:
        """Return the trials that a killed supervisor left running. The caller must hold the study's lock."""
        import optuna

        trials = self._trials("RUNNING")
        for trial in trials:
            # Optuna has no public way to continue a running trial in another process;
            # tests/tuning/test_search.py fails if `_trial_id` disappears.
            self._asked_trials.setdefault(trial.number, optuna.Trial(self._study, trial._trial_id))
        return [trial.number for trial in trials]

    def values(self) -> dict[int, tuple[float, ...]]:
        """Return one value for each objective of every complete trial that was not deleted or set aside."""
        return dict(sorted(self._ranking().values.items()))

    def _ranking(self) -> Ranking:
        excluded = self.deleted | self.set_aside
        if self._ranked is None or self._ranked[1] != excluded:
            read = {trial.number: tuple(trial.values) for trial in self._trials("COMPLETE")} | self._logged
            values = {number: one for number, one in read.items() if one and number not in excluded}
            self._ranked = Ranking(values, self.objectives), excluded
        return self._ranked[0]

    def use_logged_values(self, directory: StudyDirectory) -> dict[int, str]:
        """Use the event log's values where Optuna has others; return a line for each of these trials."""
        differences = optuna_differences(directory, self.objectives, self._trials())
        logged = logged_values(directory, self.objectives) if differences else {}
        self._logged, self._ranked = {number: logged[number][1] for number in differences}, None
        return differences

    def front(self) -> dict[int, tuple[float, ...]]:
        """Return the Pareto front, in the order of `zoo.study.rank`."""
        ranking = self._ranking()
        return {number: ranking.values[number] for number in ranking.front()}

    def surplus(self) -> list[int]:
        """Return the complete trials whose models are not kept.

        Kept are the models of the best trials, and of all trials on the Pareto front.
        """
        keep = self._definition.search.keep_models
        # An older version of zoo kept every model. Resuming the study must not remove these models.
        if isinstance(keep, str) or _KEEPS_BEST not in self._study.user_attrs:
            return []
        return self._ranking().after(keep)

    def best(self) -> tuple[int, float] | None:
        return next(((number, values[0]) for number, values in self.front().items()), None)

    def has_reached_target(self) -> bool:
        """Return True if a complete trial, or a running one in its last fold, has reached the target."""
        search = self._definition.search
        best = None if search.target is None else self.best()
        return bool(self._at_target or (best and search.has_reached(best[1], self.objectives[0])))

    def deleted_complete(self) -> list[int]:
        """Return the numbers of the complete trials that were deleted."""
        return [trial.number for trial in self._trials("COMPLETE") if trial.number in self.deleted]

    def describe(self, text: str) -> None:
        """Keep a description of the study in Optuna, for its dashboard."""
        self._study.set_user_attr(DESCRIPTION, text)

    def importances(self) -> dict[str, float]:
        """Return the importance of each searched parameter, largest first; {} if there are too few trials."""
        return total_importances(importances_of(self._study, self.objectives[0]))

    def num_rejected(self) -> int:
        """Return the number of trials that were not trained because of `max_parameters`."""
        return sum(trial.constraints.get(MAX_PARAMETERS, 0) > 0 for trial in self._trials())

    def _trials(self, state: str = "") -> list[optuna.trial.FrozenTrial]:
        """Return the trials by number; with the name of a state, those in that state."""
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if state in ("", trial.state.name)]


def _create_study(definition: StudyDefinition, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """Return the Optuna study of that name, which is created if there is none."""
    import optuna

    return optuna.create_study(
        study_name=definition.name,
        storage=storage,
        directions=[objective.direction for objective in definition.objectives],
        load_if_exists=True,
        pruner=make_pruner(definition.search.pruner, definition.max_epochs(), definition.folds),
    )
