"""Finding a trial as it was recorded: by study and number, the best one, or by its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.errors import StudyError, did_you_mean
from zoo.study import Objective, pareto_front
from zoo.trial import TrialConfig
from zoo.tuning.record import STATE, StudyRecord, TrainingRecord, TrialRecord


@dataclass(frozen=True)
class Run:
    """One trial of a study, or one training outside the search.

    Args:
        name: `trial 6`, or `training 20261121-204244-18148`.
        number: of the trial; None for a training.
    """

    study: str
    name: str
    number: int | None
    folder: Path
    cache: Path
    config: TrialConfig

    @property
    def title(self) -> str:
        return f"{self.study}, {self.name}"

    @property
    def told(self) -> str:
        """At the beginning of a sentence."""
        return f"{self.name.capitalize()} of '{self.study}'"

    @cached_property
    def _events(self) -> list[dict[str, Any]]:
        return TrialRecord(self.folder).events()

    @property
    def epochs(self) -> list[dict[str, Any]]:
        return [event for event in self._events if event["event"] == "epoch"]

    @cached_property
    def finished(self) -> Mapping[str, Any]:
        """How it ended: `state`, `reason`, `summary`; `{}` while it runs."""
        return next((event for event in self._events if event["event"] == "finished"), {})

    @property
    def is_complete(self) -> bool:
        return self.finished.get("state") == "complete"

    @property
    def value(self) -> float | None:
        """The best of its objective; None where it came to none."""
        value = (self.finished.get("summary") or {}).get(f"best_{self.config.objective}")
        return None if value is None else float(value)

    def values(self, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
        """What it came to, for each objective; None where it did not come to all of them."""
        summary = self.finished.get("summary") or {}
        values = [summary[one.result] for one in objectives if summary.get(one.result) is not None]
        return tuple(values) if self.is_complete and len(values) == len(objectives) else None

    @property
    def uid(self) -> str | None:
        """By which MLflow knows its run; None where nothing here says it."""
        from zoo.tracking import trial_uid

        if self.number is None:
            run = TrainingRecord(self.folder).run()
            return trial_uid(run["uid"], run["number"]) if run is not None else None
        if self.folder.parent.name != "trials":  # put aside, when a study of its name was begun anew
            return None
        owner = self.folder.parents[1] / "uid"
        return trial_uid(owner.read_text(encoding="utf-8").strip(), self.number) if owner.exists() else None

    def check_complete(self) -> None:
        """A trial that was not completed left neither model nor predictions.

        Raises:
            StudyError: this is one.
        """
        if self.is_complete:
            return
        state = f"was {self.finished['state']}" if self.finished else "is not finished"
        raise StudyError(
            f"{self.told} {state}, so it has no model; "
            f"zoo compare --study {self.study} lists those that were completed."
        )


def find_run(study: str | None, trial: int | None, run: str | os.PathLike[str] | None) -> Run:
    """A trial by study and number, the champion without a number, or the run of a folder.

    Raises:
        StudyError: there is no such study, trial or folder, or no trial is complete.
    """
    if run is not None:
        if study is not None or trial is not None:
            raise StudyError("--run names a run by itself; leave --study and --trial out")
        return _run_in(Path(run))
    if study is None:
        raise StudyError("Which run? Name a study, --study STUDY, or the folder of a run, --run FOLDER")
    if trial is None:
        return champion(all_runs(study))
    return pick(study, [trial], all_runs(study))[0]


def all_runs(study: str) -> list[Run]:
    """Every trial of a study that has a record here, by number; at least one.

    Raises:
        StudyError: there is none.
    """
    root = Path.cwd()
    study = Path(study).stem if study.endswith(".toml") else study
    record = StudyRecord(root, study)
    found = [
        Run(study, f"trial {number}", number, folder, record.cache, TrialConfig.from_json(config))
        for number in record.numbers()
        for folder in [record.trial(number).folder]
        if (config := record.trial(number).config()) is not None
    ]
    if found:
        return found
    known = [path.parent.name for path in (root / STATE).glob("*/trials") if any(path.iterdir())]
    hint = did_you_mean(study, known) if known else ""
    raise StudyError(
        f"There are no trials of a study named '{study}' in {STATE}; "
        f"`zoo tune --study {study}` makes some. {hint}".rstrip()
    )


def pick(study: str, trials: list[int], runs: list[Run]) -> list[Run]:
    """The runs of these numbers, in their order.

    Raises:
        StudyError: one is not there.
    """
    by_number = {run.number: run for run in runs}
    for trial in trials:
        if trial not in by_number:
            numbers = [run.number for run in runs]
            listed = ", ".join(map(str, numbers)) if len(numbers) <= 30 else f"{numbers[0]} … {numbers[-1]}"
            raise StudyError(f"There is no trial {trial} of '{study}'. There is: {listed}.")
    return [by_number[trial] for trial in trials]


def best_first(runs: list[Run]) -> list[Run]:
    """The complete trials of a study; first those that no other beats, in the order of `pareto_front`.

    So the first of them is the best that `zoo tune` names.
    """
    config, record = runs[0].config, StudyRecord(Path.cwd(), runs[0].study)
    objectives = record.objectives() or [Objective(config.objective, config.direction)]
    by_place = dict(enumerate(runs))
    values = {place: one for place, run in by_place.items() if (one := run.values(objectives)) is not None}
    front = pareto_front(values, objectives)
    others = sorted(values.keys() - front, key=lambda place: (objectives[0].loss(values[place][0]), place))
    return [by_place[place] for place in [*front, *others]]


def champion(runs: list[Run]) -> Run:
    """The best complete trial.

    Raises:
        StudyError: none is complete.
    """
    ranked = best_first(runs)
    if not ranked:
        raise StudyError(f"No trial of '{runs[0].study}' is complete yet, so there is no best one.")
    return ranked[0]


def _run_in(folder: Path) -> Run:
    """The run whose record is in `folder`, such as `mlruns/zoo/STUDY/training/…`."""
    config = TrialRecord(folder).config()
    if config is None:
        raise StudyError(
            f"--run: {folder} holds no run; expected a folder with config.json in it, such as "
            f"{STATE}/STUDY/training/…, which zoo train prints"
        )
    folder = folder.resolve()
    study, is_trial = folder.parent.parent.name, folder.name.isdigit()
    # Elsewhere than in a study's record it has all it needs but for the prepared dataset.
    root = folder.parents[4] if folder.match(str(STATE / "*" / "*" / "*")) else Path.cwd()
    return Run(
        study=study,
        name=f"trial {int(folder.name)}" if is_trial else f"training {folder.name}",
        number=int(folder.name) if is_trial else None,
        folder=folder,
        cache=StudyRecord(root, study).cache,
        config=TrialConfig.from_json(config),
    )
