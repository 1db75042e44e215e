"""Opening what a study needs while it runs: its directory, worker processes, dataset, MLflow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from zoo.data.prepare import finish_preparing, start_preparing
from zoo.data.store import PreparedDataset
from zoo.errors import StudyError
from zoo.logs import library_logs
from zoo.record import StudyDirectory
from zoo.registry import Registry, plugin_versions, requirement_of
from zoo.study import StudyDefinition, load_study
from zoo.tracking import Store, connect, is_new_store, preload
from zoo.tuning.display import Display
from zoo.tuning.executors.local import LocalExecutor

Result = TypeVar("Result")


class MLflowConnection:
    """A connection to MLflow's store that opens in the background."""

    def __init__(self) -> None:
        self.is_new = is_new_store()
        self._store: Future[Store] = Future()
        if not self.is_new:
            # Into a new store the first trial's events can wait; until then both cores are busy.
            _start_thread(preload)

    def connect(self) -> None:
        """Start connecting; return at once."""
        self._store = _start_thread(connect)

    def store(self) -> Store:
        """Return the store; wait for it if necessary.

        Raises:
            TrackingError: it cannot be used.
        """
        return self._store.result()

    def check(self) -> None:
        """Raise TrackingError if an existing store cannot be used; a new one is made in the background."""
        if not self.is_new:
            self.store()


@dataclass(frozen=True)
class OpenStudy:
    """A study whose directory is locked, whose dataset is prepared, and whose worker processes start."""

    definition: StudyDefinition
    directory: StudyDirectory
    executor: LocalExecutor
    dataset: PreparedDataset
    mlflow: MLflowConnection
    display: Display


def open_study(
    stack: ExitStack,
    definition: StudyDefinition,
    jobs: int,
    display: Display,
    warnings: Sequence[str] = (),
) -> OpenStudy:
    """Prepare everything that a study needs; leaving `stack` closes it.

    Keras loads in the fork server, the dataset is prepared in a process of its own, and MLflow is imported
    in a thread, all at the same time.

    Raises:
        ZooError: something cannot be opened; then nothing has started.
    """
    directory = StudyDirectory(Path.cwd(), definition.name)
    stack.enter_context(directory.locked())
    stack.enter_context(library_logs(directory.path / "zoo.log"))
    stack.callback(display.end)
    executor = stack.enter_context(LocalExecutor(jobs))
    mlflow = MLflowConnection()
    dataset = _prepare_dataset(definition, directory, display)
    mlflow.connect()  # only now, so that a study without data creates no database
    for warning in (*([dataset.warning] if dataset.warning else []), *warnings):
        display.problem(warning)
    return OpenStudy(definition, directory, executor, dataset, mlflow, display)


def _prepare_dataset(
    definition: StudyDefinition, directory: StudyDirectory, display: Display
) -> PreparedDataset:
    preparing = start_preparing(
        definition.dataset,
        definition.validation,
        directory.cache_dir,
        directory.path / "prepare.log",
        plugin_versions(definition.dataset_entry),
    )
    display.phase("preparing the dataset, loading Keras …")
    try:
        return finish_preparing(preparing, definition.dataset, display.preparing)
    finally:
        preparing.kill()


def load_definition(
    study: str, registry: Registry, overrides: Sequence[str], name: str | None
) -> StudyDefinition:
    """Return the study's definition.

    Raises:
        StudyError: one line for each mistake, and for each distribution that the study's trials used and
            that is not installed now.
    """
    try:
        return load_study(study, registry, overrides=overrides, name=name)
    except StudyError as error:
        directory = StudyDirectory(Path.cwd(), name or Path(study).stem)
        raise StudyError("\n".join([str(error), *_missing_distributions(directory, registry)])) from None


def _missing_distributions(directory: StudyDirectory, registry: Registry) -> list[str]:
    installed = {plugin.distribution for plugin in registry.plugins}
    used: dict[str, str] = {}
    for number in directory.numbers():
        plugins: Mapping[str, str] = (directory.trial(number).config() or {}).get("plugins", {})
        used |= {key.partition(":")[0]: version for key, version in plugins.items()}
    return [
        f"trials of this study used {name} {version}; pip install {requirement_of(name, version)}"
        for name, version in sorted(used.items())
        if name not in installed
    ]


def _start_thread(work: Callable[[], Result]) -> Future[Result]:
    """Run `work` in a daemon thread, so that the process can end without waiting for it."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
