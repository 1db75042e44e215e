"""Recorded trials and standalone runs: loading them, and finding one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from zoo.errors import DataError, RecordError, StudyError, did_you_mean
from zoo.events import EpochEnd, Finished
from zoo.record.damage import find_damage
from zoo.record.directories import STATE_DIR, StudyDirectory, study_uid
from zoo.record.results import epochs_of
from zoo.record.trial_directories import StandaloneDirectory, TrialDirectory
from zoo.registry import IN_MEMORY
from zoo.study import Objective, known_studies, rank
from zoo.trial import TrialConfig


@dataclass(frozen=True)
class Run:
    """A recorded trial of a study, or a recorded standalone run."""

    study: str
    number: int | None  # None for a standalone run
    directory: TrialDirectory
    cache_dir: Path  # the cache of prepared datasets
    config: TrialConfig

    @property
    def name(self) -> str:
        """The name in messages: `trial 6`, or `run 20261121-204244-18148`."""
        return f"run {self.directory.path.name}" if self.number is None else f"trial {self.number}"

    @property
    def title(self) -> str:
        """The title of a figure: `mnist_cnn, trial 6`."""
        return f"{self.study}, {self.name}"

    @property
    def description(self) -> str:
        """The subject of a message: `trial 6 of 'mnist_cnn'`."""
        return f"{self.name} of '{self.study}'"

    @cached_property
    def epochs(self) -> list[EpochEnd]:
        return epochs_of(self.directory.events())

    @cached_property
    def final_event(self) -> Finished | None:
        """The event with the final state; None while the trial is running."""
        return self.directory.final_event()

    @property
    def state(self) -> str:
        """`running`, or the final state: `complete`, `pruned` or `failed`; `damaged` if it is lost."""
        if self.final_event is not None:
            return self.final_event.state
        return "damaged" if self.directory.event_log.damaged_lines() else "running"

    @property
    def shown_state(self) -> str:
        """`state` in the form that users see: also `rejected` and `interrupted`."""
        return self.final_event.shown_state if self.final_event else self.state

    @property
    def summary(self) -> Mapping[str, float]:
        """The results; {} while the trial is running."""
        return self.final_event.summary if self.final_event else {}

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"

    def uid(self) -> str | None:
        """Return the `zoo.uid` of the run in MLflow; None if the record does not name it."""
        if isinstance(self.directory, StandaloneDirectory):
            run = self.directory.mlflow_run()
            return None if run is None else trial_uid(run.uid, run.number)
        trials_dir = self.directory.path.parent
        if self.number is None or trials_dir.name != "trials":  # a directory that was moved, for a new study
            return None
        uid = study_uid(trials_dir.parent)
        return trial_uid(uid, self.number) if uid else None

    def check_complete(self) -> None:
        """Raise StudyError if the run is not complete, because it has no model and no predictions."""
        if not self.is_complete:
            state = "is not finished" if self.final_event is None else f"was {self.shown_state}"
            if self.state == "damaged":
                state = f"has a damaged event log ({self.directory.event_log.path})"
            raise StudyError(
                f"{self.description} {state}, so it has no model. "
                f"`zoo compare {self.study}` lists the complete trials."
            )


def trial_uid(study_uid: str, number: int) -> str:
    """Return the `zoo.uid` of a trial's run in MLflow, which is unique among all studies."""
    return f"{study_uid}-{number}"


def load_runs(study: str, report: Callable[[str], None] | None = None) -> list[Run]:
    """Return a study's recorded trials in order, except deleted ones; raise StudyError if none is left.

    `report` gets a line for each damaged file. A trial whose configuration is damaged is left out.
    """
    directory = StudyDirectory(Path.cwd(), study)
    study, deleted = directory.study, directory.deleted_trials()
    if report is not None:
        for line in find_damage(directory).problems:
            report(line)
    runs = []
    for number in directory.numbers():
        trial = directory.trial(number)
        with suppress(RecordError):
            if number not in deleted and (config := trial.trial_config()) is not None:
                runs.append(Run(study, number, trial, directory.cache_dir, config))
    if runs:
        return runs
    if deleted:
        raise StudyError(f"every trial of '{study}' was deleted. {restore_hint(study, deleted)}")
    names = [path.parent.name for path in STATE_DIR.glob("*/trials") if any(path.iterdir())]
    raise StudyError(f"there is no trial of '{study}' in {STATE_DIR}. {unrecorded_hint(study, names)}")


def unrecorded_hint(study: str, recorded: Collection[str]) -> str:
    """Return the advice for a study without trials: the similar name of a recorded one, or to run it."""
    hint = did_you_mean(study, recorded) if recorded else ""
    if not hint.startswith("Did you mean"):
        return f"Run `zoo tune {study}` first. {hint}".rstrip()
    return f"Run `zoo tune {study}` first." if study in known_studies() else hint


def restore_hint(study: str, deleted: Collection[int]) -> str:
    """Return the sentence that says how to restore deleted trials."""
    restored = "it" if len(deleted) == 1 else "one of them"
    return f"`zoo delete {study} --trial {max(deleted)} --restore` restores {restored}."


def no_complete_trial(study: str, deleted: Collection[int]) -> str:
    """Return the message that no complete trial is left; `deleted`: the complete trials that were deleted."""
    if not deleted:
        return f"no trial of '{study}' is complete yet; run `zoo tune {study}`."
    listed = ", ".join(map(str, sorted(deleted)))
    return f"no complete trial of '{study}' is left; deleted: {listed}. {restore_hint(study, deleted)}"


def pick_runs(numbers: Sequence[int], runs: Sequence[Run]) -> list[Run]:
    """Return the runs of the trials `numbers`, in that order; or raise StudyError."""
    by_number = {run.number: run for run in runs}
    for number in numbers:
        if number not in by_number:
            study = runs[0].study
            if number in _directory_of(runs).deleted_trials():
                raise StudyError(f"trial {number} of '{study}' was deleted. {restore_hint(study, [number])}")
            _directory_of(runs).trial(number).config()  # a RecordError if it is damaged
            names = [str(run.number) for run in runs]
            listed = ", ".join(names) if len(names) <= 30 else f"{names[0]} … {names[-1]}"
            raise StudyError(f"there is no trial {number} of '{study}'. Available: {listed}.")
    return [by_number[number] for number in numbers]


def rank_runs(runs: Sequence[Run]) -> list[Run]:
    """Return the complete trials among `runs`, best first, in the order of `zoo.study.rank`."""
    objectives = objectives_of(runs)
    values = {
        index: [run.summary[objective.result] for objective in objectives]
        for index, run in enumerate(runs)
        if run.is_complete and all(objective.result in run.summary for objective in objectives)
    }
    return [runs[index] for index in rank(values, objectives)]


def objectives_of(runs: Sequence[Run]) -> list[Objective]:
    """Return the objectives of the study of `runs`; raise RecordError if its record contradicts itself."""
    config, directory = runs[0].config, _directory_of(runs)
    recorded = directory.objectives()
    for one in recorded:
        if one.metric == config.objective and one.direction != config.direction:
            raise RecordError(
                f"{directory.path / 'objectives.json'} is damaged: it says to {one.direction} {one.metric}, "
                f"but the trials were run to {config.direction} it. `zoo tune {runs[0].study}` writes it "
                "again."
            )
    return recorded or [Objective(config.objective, config.direction)]


def _directory_of(runs: Sequence[Run]) -> StudyDirectory:
    return StudyDirectory(runs[0].directory.path.parents[4], runs[0].study)


def best_run(runs: Sequence[Run]) -> Run:
    """Return the best complete trial; raise StudyError if no trial is complete."""
    ranked = rank_runs(runs)
    if not ranked:
        study = runs[0].study
        raise StudyError(no_complete_trial(study, _directory_of(runs).deleted_trials()))
    return ranked[0]


def run_in(folder: Path) -> Run:
    """Return the run whose record is in `folder`, such as `mlruns/zoo/STUDY/standalone/…`."""
    config = TrialDirectory(folder).trial_config()
    if config is None:
        raise StudyError(
            f"--run: no run in {folder}. Expected a folder with config.json, such as "
            f"{STATE_DIR}/STUDY/standalone/…, which `zoo train` prints."
        )
    folder = folder.resolve()
    study, number = study_and_trial(folder)
    # A copied folder has no `mlruns` above it; then use the cache of the working folder.
    root = folder.parents[4] if folder.match(str(STATE_DIR / "*" / "*" / "*")) else Path.cwd()
    return Run(
        study=study,
        number=number,
        directory=StandaloneDirectory(folder) if number is None else TrialDirectory(folder),
        cache_dir=StudyDirectory(root, study).cache_dir,
        config=config,
    )


def study_and_trial(folder: Path) -> tuple[str, int | None]:
    """Return the study and the trial number of a directory; a standalone run has the number None."""
    return folder.parent.parent.name, int(folder.name) if folder.name.isdigit() else None


def not_in_cache(study: str, digest: str, cache_dir: Path) -> DataError:
    """Return the error about a dataset in memory that is needed, but is no longer in the cache."""
    return DataError(
        f"the trials of '{study}' use a dataset {IN_MEMORY}, and its copy {digest[:12]} is missing or "
        f"damaged in {cache_dir}. Pass the same data in Python, zoo.tune(…, dataset=…), which restores it."
    )
