"""`zoo.dry_run`: what a study would do, and how long it would take."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from zoo.data import Dataset
from zoo.data.store import PreparedDataset, open_dataset
from zoo.durations import duration_text
from zoo.errors import StudyError, ZooError, count_text, shape_text
from zoo.record import StudyDirectory
from zoo.registry import using_plugins
from zoo.training.timing import Timing, time_trial
from zoo.training.worker import call_in_worker, start_loading_keras
from zoo.tuning.display import Display, default_display
from zoo.tuning.label_checks import check_labels, warning_for_study
from zoo.tuning.opening import prepare_dataset
from zoo.tuning.samplers import combinations_text
from zoo.tuning.study_run import define_study

_LISTED = 12  # classes or parameters that are listed one by one


@dataclass(frozen=True)
class DryRun:
    """A description of what a study would do; `str` returns a table.

    Args:
        study: the name of the study.
        dataset: the facts about its prepared dataset.
        class_counts: number of images of each class in the training data, before a validation split is cut.
        searched: names of the searched parameters.
        combinations: the number of combinations of their values, `continuous`, or `more than 20,000`.
        architecture: the architecture of the baseline.
        timing: the measured times of the baseline.
        trials: the largest number of trials.
        timeout: the timeout of the search in seconds; None without one.
    """

    study: str
    dataset: PreparedDataset
    class_counts: Mapping[str, int]
    searched: Sequence[str]
    combinations: str
    architecture: str
    timing: Timing
    trials: int
    timeout: float | None

    @property
    def total(self) -> float:
        """Seconds of all trials, one at a time, if none is pruned and all take as long as the baseline."""
        return self.trials * self.timing.trial

    @property
    def trials_in_timeout(self) -> int:
        """Number of trials that end within the timeout, at least 1, since the first one always starts."""
        if self.timeout is None:
            return self.trials
        return max(1, min(self.trials, int(self.timeout / self.timing.trial)))

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of the table: title and value."""
        data, timing = self.dataset, self.timing
        searched = ", ".join(self.searched[:_LISTED]) + (", …" if len(self.searched) > _LISTED else "")
        searched = f"{count_text(len(self.searched), 'parameter')}: {searched}" if searched else "nothing"
        trials = count_text(self.trials, "trial")
        rows = [
            ("dataset", data.source),
            ("images", ", ".join(f"{name} {size:,}" for name, size in data.sizes.items())),
            ("image shape", shape_text(data.image_shape)),
            ("classes", f"{len(self.class_counts)}: {_counts_text(self.class_counts)}"),
            ("searched", searched),
            ("combinations", self.combinations),
            ("baseline", f"{self.architecture}, {timing.num_parameters:,} weights, on {timing.device}"),
            ("a batch", f"{_seconds_text(timing.batch)} ({count_text(timing.batch_size, 'image')})"),
            ("an epoch", _seconds_text(timing.epoch)),
            ("a trial", f"{_seconds_text(timing.trial)} with all its epochs"),
            ("the study", f"{_seconds_text(self.total)} at most: {trials}, one at a time, none pruned"),
        ]
        if self.timeout is not None:
            number = f"about {self.trials_in_timeout} of {trials}"
            rows.append((f"within {duration_text(self.timeout)}", number))
        return rows

    def __str__(self) -> str:
        width = max(len(title) for title, _ in self.rows())
        return "\n".join(f"{title:<{width}}  {value}" for title, value in self.rows())


def dry_run(
    study: str,
    *,
    trials: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Any] = (),
    dataset: Dataset | None = None,
    name: str | None = None,
    timeout: str | float | None = None,
    display: Display | None = None,
) -> DryRun:
    """Prepare a study's data, time a batch of its baseline, and return what the study would do.

    No trial runs, and nothing is recorded. The arguments are as for `tune`.

    Raises:
        ZooError: the study cannot start, or its baseline cannot be trained.
    """
    settings = {"trials": trials, "sampler": sampler, "pruner": pruner, "timeout": timeout}
    display = display or default_display()
    with ExitStack() as stack:
        stack.enter_context(using_plugins(plugins))
        definition, _, warnings = define_study(study, dataset, overrides, name, 1, settings)
        stack.enter_context(using_plugins(definition.plugin_files))  # worker processes get the files, too
        directory = StudyDirectory(Path.cwd(), definition.name)
        cache_dir = directory.cache_dir
        stack.callback(display.end)
        folder = stack.enter_context(_log_folder())
        start_loading_keras()
        display.phase("preparing the dataset, loading Keras …")
        prepared = prepare_dataset(definition, directory, folder / "prepare.log", display)
        definition = replace(definition, validation=prepared.validation or definition.validation)
        check_labels(definition, cache_dir, prepared.digest)
        prepared = replace(prepared, warning=warning_for_study(definition, prepared.warning))
        for warning in filter(None, (prepared.warning, *warnings)):
            display.problem(warning)
        display.phase("timing a batch of the baseline …")
        config = definition.baseline(prepared.digest, definition.seed_of(0))
        try:
            log = folder / "output.log"
            timing: Timing = call_in_worker(time_trial, config.as_json(), cache_dir, log_path=log)
        except ZooError as error:
            raise StudyError(f"the baseline of '{definition.name}' cannot be trained: {error}") from None
    labels = open_dataset(cache_dir, prepared.digest).train.labels
    counts = np.bincount(labels, minlength=len(prepared.class_names))
    return DryRun(
        study=definition.name,
        dataset=prepared,
        class_counts=dict(zip(prepared.class_names, map(int, counts), strict=True)),
        searched=definition.searched(),
        combinations=combinations_text(definition),
        architecture=config.architecture.name,
        timing=timing,
        trials=definition.search.trials,
        timeout=definition.search.timeout,
    )


@contextmanager
def _log_folder() -> Iterator[Path]:
    """Yield a new folder outside the record; keep it after an error, because messages name its files."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-dry-run-"))
    yield folder
    rmtree(folder, ignore_errors=True)


def _counts_text(counts: Mapping[str, int]) -> str:
    if len(counts) <= _LISTED:
        return ", ".join(f"{name} {count:,}" for name, count in counts.items())
    smallest, largest = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    return f"from {count_text(counts[smallest], 'image')} ({smallest}) to {counts[largest]:,} ({largest})"


def _seconds_text(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else duration_text(seconds)
