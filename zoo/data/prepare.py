"""Preparation of a dataset: call the plugin, check its arrays, and write them into the cache.

It runs in a worker process, because a dataset plugin may import Keras, crash or hang, and the supervisor must
not.
"""

from __future__ import annotations

import hashlib
import json
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo._version import __version__
from zoo.data.class_names import similar_class_warning
from zoo.data.columns import columns_digest
from zoo.data.contract import absent_class_warning, check_contract, check_train_has_classes
from zoo.data.dataset import Dataset
from zoo.data.quality import image_warnings, imbalance_warning
from zoo.data.reporting import Listener, report_to
from zoo.data.sources import fingerprint
from zoo.data.splits import split_facts
from zoo.data.store import (
    PreparedDataset,
    digest_of,
    find_dataset,
    open_dataset,
    record_fingerprint,
    save_dataset,
    with_columns,
)
from zoo.data.validation import cut_validation, prepare_groups
from zoo.errors import DataError, ZooError, one_line, portable
from zoo.failpoints import failpoint
from zoo.logs import finish_log
from zoo.process import WorkerProcess, enter_worker, spawn_worker
from zoo.registry import IN_MEMORY, Component, PluginFile, Registry, given_files, using_plugins
from zoo.stalls import receive
from zoo.trial import PluginConfig

MEMORY_SOURCE = "passed in Python"


def prepare(
    component: Component, parameters: Mapping[str, Any], validation: Mapping[str, Any], cache: Path
) -> PreparedDataset:
    """Call the dataset function, check its result, write it into the cache, and cut the validation split.

    No validation split is cut if `validation` is empty. The result has `validation` with the digest of the
    groups that it names. The function is not called if the cached dataset is up to date (see `zoo.reads`).
    Raises ZooError if the data cannot be read, or violates the contract.
    """
    title = f"the dataset '{component.name}' of {component.origin}"
    try:
        digest, dataset = _read_cached(component, component.space.check(parameters), cache, title)
        return _cut(cache, digest, dataset, validation)
    except OSError as error:
        raise _not_written(title, cache, error) from error


def prepare_in_memory(
    dataset: Any, validation: Mapping[str, Any], cache: Path, listener: Listener | None = None
) -> PreparedDataset:
    """Check a dataset that a caller passed, write it into the cache, and cut the validation split.

    This runs in the process that has the arrays, so that they are not sent to another process. If the cache
    has the same content, the dataset is only read once, for its digest.

    Args:
        dataset: a `zoo.Dataset`; its images are not changed.
        validation: as for `prepare`; {} for a dataset that no network is trained on.
        listener: gets reports of the progress.

    Raises:
        DataError: the dataset violates the contract, or its other splits have classes that train lacks.
    """
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"dataset: expected a zoo.Dataset, got {type(dataset).__name__}. Use zoo.Dataset.from_arrays, "
            "from_frame or from_tf_dataset."
        )
    try:
        with titled_errors(f"the dataset {IN_MEMORY}"):
            check_contract(dataset)
            if validation:
                check_train_has_classes(dataset)
            with report_to(listener or (lambda what, fraction: None)):
                digest, stored = _store_in_memory(
                    replace(dataset, source=dataset.source or MEMORY_SOURCE), cache
                )
            return _cut(cache, digest, stored, validation)
    except OSError as error:
        raise _not_written(f"the dataset {IN_MEMORY}", cache, error) from error


@contextmanager
def titled_errors(title: str) -> Iterator[None]:
    """Begin the message of every DataError in the `with` block with `title`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{title}: {error}") from None


def _store_in_memory(dataset: Dataset, cache: Path) -> tuple[str, Dataset]:
    """Return digest and dataset with warnings; write the dataset into the cache if the cache lacks it."""
    digest = digest_of(dataset)
    columns = columns_digest(dataset)
    facts = [IN_MEMORY, __version__, digest, dataset.source, dataset.warning, dataset.licence, columns]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    if (cached := find_dataset(cache, key)) is not None:
        return cached
    dataset = with_warnings(dataset)
    save_dataset(cache, dataset, digest)
    record_fingerprint(cache, digest, key, dataset)
    return digest, dataset


def with_warnings(dataset: Dataset) -> Dataset:
    """Return the dataset with the warnings about its classes and images."""
    checks = (absent_class_warning, similar_class_warning, imbalance_warning, image_warnings)
    found = [check(dataset) for check in checks]
    return replace(dataset, warning=" ".join(filter(None, [dataset.warning, *found])))


def prepared_before(digest: str, validation: Mapping[str, Any], cache: Path) -> PreparedDataset:
    """Return the facts about a dataset in the cache; raise DataError if it is missing or damaged."""
    return _cut(cache, digest, with_columns(cache, digest, open_dataset(cache, digest)), validation)


def prepare_in_process(
    dataset: PluginConfig,
    validation: Mapping[str, Any],
    cache: Path,
    log: Path,
    listener: Listener | None = None,
    plugins: Mapping[str, str] | None = None,
) -> PreparedDataset:
    """Call `prepare` in a fresh process, and return its result.

    Args:
        log: gets the output of the process.
        listener: gets every report of `zoo.progress`.
        plugins: the version of the dataset's plugin, by name `DISTRIBUTION:PLUGIN`; None loads all plugins.

    Raises:
        ZooError: as for `prepare`; DataError if the process died, Stalled if it hung.
    """
    arguments = (dataset, dict(validation), cache, log, plugins, given_files())
    worker = spawn_worker(_prepare_and_send, arguments)
    worker.log_path = log
    try:
        answer = _receive_answer(worker, dataset.name, listener)
    finally:
        worker.kill()
        finish_log(log)
    if isinstance(answer, BaseException):
        raise answer
    assert isinstance(answer, PreparedDataset)
    return answer


def _receive_answer(worker: WorkerProcess, name: str, listener: Listener | None) -> Any:
    """Return the answer of the worker process, which follows its reports of `zoo.progress`."""
    step, process = "", f"the process that prepares the dataset '{name}'"
    fix = "If it was only slow, report with `zoo.progress`, or set a longer `stall_timeout` in [search]."
    while isinstance(answer := receive(worker, process, fix), tuple):
        what, fraction = answer
        step = "" if fraction == 1.0 else f", while {what}"
        if listener is not None:
            listener(what, fraction)
    ended = worker.finish()  # kills the process if the plugin left a thread running
    if answer is None:
        raise DataError(f"{process} died: {ended}{step}. Its output is in {worker.log_path}.")
    return answer


def _not_written(title: str, cache: Path, error: OSError) -> DataError:
    return DataError(
        f"{title} could not be written into {cache}: {one_line(error)}. "
        "Check the permissions and the free space."
    )


def _read_cached(
    component: Component, values: Mapping[str, Any], cache: Path, title: str
) -> tuple[str, Dataset]:
    """Return digest and dataset from the cache; if outdated, call the dataset function first."""
    with _plugin_errors(title):
        before = fingerprint(component, values)
        cached = find_dataset(cache, before) if before is not None else None
        if cached is not None:
            return cached
        failpoint("dataset.reading")
        dataset = component.function(**values)
        check_contract(dataset)
        dataset = with_warnings(dataset)
        after = fingerprint(component, values)
    digest = save_dataset(cache, dataset)
    failpoint("dataset.stored")
    if before is not None and before == after:  # no file changed during the reading
        record_fingerprint(cache, digest, before, dataset)
    return digest, dataset


@contextmanager
def _plugin_errors(title: str) -> Iterator[None]:
    """Add `title` before the message of every error in the block, except the plugin's own ZooErrors."""
    try:
        with titled_errors(title):
            yield
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{title} could not be read: {type(error).__name__}: {one_line(error)}") from error


def _prepare_and_send(
    connection: Any,
    dataset: PluginConfig,
    validation: Mapping[str, Any],
    cache: Path,
    log: Path,
    plugins: Mapping[str, str] | None,
    plugin_files: Sequence[PluginFile],
) -> None:
    """Call `prepare` in the worker process; send reports, then the result or the error."""
    enter_worker({}, log)
    warnings.simplefilter("default")
    try:
        with using_plugins(plugin_files, has_keras=True):
            registry = Registry.load() if plugins is None else Registry.load_only(plugins)
            component = registry.get("dataset", dataset.name)
            with report_to(lambda what, fraction: connection.send((what, fraction))):
                prepared = prepare(component, dataset.parameters, validation, cache)
        failpoint("dataset.ready")
        connection.send(prepared)
    except ZooError as error:
        traceback.print_exc()
        connection.send(portable(error, DataError))
    except Exception as error:  # a bug in zoo, or a problem of this machine
        traceback.print_exc()
        reason = f"{type(error).__name__}: {one_line(error)}. Its output is in {log}."
        connection.send(DataError(f"the dataset '{dataset.name}' could not be prepared: {reason}"))


def _cut(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> PreparedDataset:
    """Cut the validation split, if `validation` is not empty, and return the facts about the dataset."""
    validation, warning = prepare_groups(cache, digest, dataset, validation)
    sizes = {name: len(split) for name, split in dataset.splits().items()}
    if validation:
        num_validated = cut_validation(cache, digest, dataset, validation)
        if dataset.validation is None:
            sizes = {"train": sizes.pop("train") - num_validated, "validation": num_validated, **sizes}
    return PreparedDataset(
        digest=digest,
        class_names=tuple(dataset.class_names),
        image_shape=dataset.train.images.shape[1:],
        sizes=sizes,
        source=dataset.source,
        warning=" ".join(filter(None, [dataset.warning, warning])),
        validation=validation,
        splits=split_facts(cache, digest, dataset, validation),
    )
