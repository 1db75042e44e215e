"""Opening the directory, worker processes, dataset and MLflow store that a running study needs."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from zoo import figures, tracking
from zoo.data import Dataset
from zoo.data.prepare import prepare_in_memory, prepare_in_process, prepared_before
from zoo.data.store import PreparedDataset, open_dataset
from zoo.data.verification import verify_dataset
from zoo.errors import DataError, StudyError
from zoo.garbage import collections_after_imports
from zoo.logs import library_logs
from zoo.record import StudyDirectory, damaged_files, not_in_cache
from zoo.registry import (
    IN_MEMORY,
    Registry,
    is_file_key,
    kept_path,
    plugin_versions,
    requirement_of,
    using_plugins,
)
from zoo.stalls import stall_timeout
from zoo.study import StudyDefinition, load_study
from zoo.tracking import StoreAway, StoreConnection, is_new_store
from zoo.training.backend import check_backend
from zoo.training.worker import start_loading_keras
from zoo.tuning.display import Display
from zoo.tuning.executors import Engine, Executor, open_executor
from zoo.tuning.executors.capacity import Jobs, measures_latency, parse_jobs
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.label_checks import check_labels, warning_for_study


@dataclass(frozen=True)
class OpenStudy:
    """A study that can run: its directory is locked, its dataset is prepared, and Keras is loading."""

    definition: StudyDefinition
    directory: StudyDirectory
    executor: Executor
    dataset: PreparedDataset
    store: StoreConnection  # `result` waits until a new store is created, and raises if that fails
    is_new_store: bool
    display: Display
    verified: Future[None]  # `result` raises DataError if the prepared dataset is damaged
    interrupts: Interrupts = field(default_factory=Interrupts)


def open_study(
    stack: ExitStack,
    definition: StudyDefinition,
    jobs: Jobs,
    display: Display,
    warnings: Sequence[str] = (),
    engine: Engine = Engine(),  # noqa: B008
    *,
    trains: bool = True,
) -> OpenStudy:
    """Prepare everything that a study needs; leaving `stack` closes it.

    Keras loads in the fork server, the dataset is prepared in its own process, and MLflow is imported
    in a thread, all at the same time. A dataset in memory is prepared in this process, which has its arrays.
    Without `trains`, no trial is expected, and Keras is loaded only when a process needs it.
    """
    directory = StudyDirectory(Path.cwd(), definition.name)
    stack.enter_context(collections_after_imports())
    stack.enter_context(using_plugins(definition.plugin_files))  # worker processes get the files, too
    stack.enter_context(stall_timeout(definition.search.stall_timeout))
    stack.enter_context(directory.locked())
    stack.enter_context(library_logs(directory.path / "zoo.log"))
    stack.callback(display.end)
    for line in damaged_files(directory):  # checked now, because zoo writes some of them again later
        display.problem(line)
    start_loading_keras() if trains else check_backend()
    executor = open_executor(stack, engine, jobs, definition, display)
    is_new = is_new_store()
    _start_thread(partial(_preload, has_store=not is_new))
    display.phase("preparing the dataset, loading Keras …" if trains else "preparing the dataset …")
    dataset = prepare_dataset(definition, directory, directory.path / "prepare.log", display)
    validation = dataset.validation or definition.validation
    verified = _start_thread(partial(verify_dataset, directory.cache_dir, dataset.digest, validation))
    definition = replace(definition, validation=validation)  # the groups must be known before a split is made
    check_labels(definition, directory.cache_dir, dataset.digest)
    dataset = replace(dataset, warning=warning_for_study(definition, dataset.warning))
    store = StoreConnection()  # not earlier: without data, no database must be created
    for warning in filter(None, (dataset.warning, *warnings)):
        display.problem(warning)
    if not is_new:
        try:
            store.result()
        except StoreAway as error:
            if not trains:  # only MLflow's part is left to do
                raise
            command = f"zoo sync {shlex.quote(definition.name)}"
            display.problem(
                f"{error.problem}. The study runs; MLflow gets what it lacks when it answers, or by "
                f"`{command}`"
            )
    return OpenStudy(definition, directory, executor, dataset, store, is_new, display, verified)


def _preload(*, has_store: bool) -> None:
    """Import what the record needs before a trial has to wait for this process.

    A new store is needed only for the first events; Keras and the dataset come first.
    """
    if has_store:
        tracking.preload()
    figures.preload()


def prepare_dataset(
    definition: StudyDefinition, directory: StudyDirectory, log: Path, display: Display
) -> PreparedDataset:
    """Return the facts about the prepared dataset of a study; the process that prepares it writes `log`."""
    validation, cache = definition.validation, directory.cache_dir
    if definition.in_memory is not None:
        return prepare_in_memory(definition.in_memory, validation, cache, display.preparing)
    if definition.dataset.name == IN_MEMORY and (digest := directory.digest_in_memory()) is not None:
        try:
            open_dataset(cache, digest)
        except DataError:
            raise not_in_cache(directory.study, digest, cache) from None
        return prepared_before(digest, validation, cache)
    plugins = plugin_versions(definition.dataset_component)
    return prepare_in_process(definition.dataset, validation, cache, log, display.preparing, plugins)


def check_jobs(jobs: Jobs, definition: StudyDefinition) -> tuple[Jobs, list[str]]:
    """Return `jobs`, and a warning if parallel trials disturb an objective; raise StudyError if invalid."""
    jobs = parse_jobs(jobs)
    if isinstance(jobs, int) and jobs > 1 and measures_latency(definition):
        return jobs, [
            f"with --jobs {jobs}, latency_ms is measured while other trials train, so it is not reliable; "
            "use --jobs 1"
        ]
    return jobs, []


def _start_thread(work: Callable[[], Any]) -> Future[Any]:
    """Run `work` in a daemon thread, so that the process can end without waiting for it."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def load_definition(
    study: str,
    registry: Registry,
    overrides: Sequence[str],
    name: str | None,
    in_memory: Dataset | None = None,
) -> StudyDefinition:
    """Return the study's definition; a StudyError also names missing plugins that trials have used.

    A file without `dataset` describes a study on data in memory if its trials used such data.
    """
    directory = StudyDirectory(Path.cwd(), name or Path(study).name)
    default = IN_MEMORY if directory.digest_in_memory() else None
    try:
        return load_study(
            study, registry, overrides=overrides, name=name, in_memory=in_memory, default_dataset=default
        )
    except StudyError as error:
        plugins = [pair for one in directory.configs() for pair in one.get("plugins", {}).items()]
        used = {key.partition(":")[0]: version for key, version in plugins}
        missing = used.keys() - {plugin.distribution for plugin in registry.plugins}
        files = {key.partition(":")[0] for key, _ in plugins if is_file_key(key)}
        hints = [
            f"trials of this study used {one} {used[one]}; "
            + (
                f"add `--plugin {one}`; a copy is {kept_path(directory.path, one, used[one])}"
                if one in files
                else f"pip install {requirement_of(one, used[one])}"
            )
            for one in sorted(missing)
        ]
        raise StudyError("\n".join([str(error), *hints])) from None
