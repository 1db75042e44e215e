"""Preparation of a dataset: call the plugin, check its arrays, and write them into the cache.

It runs in a worker process, because a dataset plugin may import Keras, crash or hang, and none of that
may happen in the supervisor.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.data.contract import absent_classes, check_contract
from zoo.data.dataset import Dataset
from zoo.data.reporting import Listener, listening
from zoo.data.sources import fingerprint
from zoo.data.store import SPLITS, PreparedDataset, recall, remember, save_dataset
from zoo.data.validation import cut_validation
from zoo.errors import DataError, ZooError, one_line, portable
from zoo.process import WorkerProcess, enter_worker, spawn_worker
from zoo.registry import Component, Registry
from zoo.trial import PluginConfig


def prepare(
    entry: Component, parameters: Mapping[str, Any], validation: Mapping[str, Any], cache: Path
) -> PreparedDataset:
    """Call the dataset function, check its result, write it into the cache, and cut the validation split.

    The function is not called if the cached dataset is up to date (see `zoo.reads`). Raises ZooError if the
    data cannot be read, or breaks the contract.
    """
    title = f"The dataset '{entry.name}' of {entry.origin}"
    try:
        digest, dataset = _cached(entry, entry.space.check(parameters), cache, title)
        held_out = cut_validation(cache, digest, dataset, validation)
    except OSError as error:
        raise DataError(f"{title} could not be written into {cache}: {one_line(error)}") from error
    return _describe(digest, dataset, held_out)


def start_preparing(
    dataset: PluginConfig,
    validation: Mapping[str, Any],
    cache: Path,
    log: Path,
    plugins: Mapping[str, str] | None = None,
) -> WorkerProcess:
    """Start `prepare` in a fresh process, with its output in `log`; `finish_preparing` returns its result.

    `plugins` is the dataset's plugin, as `DISTRIBUTION:PLUGIN` → version; None loads all plugins.
    """
    worker = spawn_worker(_prepare_and_send, (dataset, dict(validation), cache, log, plugins))
    worker.log_path = log
    return worker


def finish_preparing(
    worker: WorkerProcess, dataset: PluginConfig, listener: Listener | None = None
) -> PreparedDataset:
    """Wait for the worker process and return the prepared dataset.

    `listener` gets every report of `zoo.progress`. Raises ZooError as `prepare`, and DataError if the process
    died.
    """
    step = ""
    while isinstance(answer := worker.receive(), tuple):  # a report of `zoo.progress`
        what, fraction = answer
        step = "" if fraction == 1.0 else f", while {what}"
        if listener is not None:
            listener(what, fraction)
    if answer is None:
        raise DataError(
            f"The process that prepares the dataset '{dataset.name}' died: {worker.finish()}{step}. "
            f"Its output is in {worker.log_path}."
        )
    worker.finish()  # kills the process if the plugin left a thread running
    if isinstance(answer, BaseException):
        raise answer
    assert isinstance(answer, PreparedDataset)
    return answer


def _cached(entry: Component, values: Mapping[str, Any], cache: Path, title: str) -> tuple[str, Dataset]:
    """Return digest and dataset; call the dataset function only if the cache is out of date."""
    with _plugin_errors(title):
        before = fingerprint(entry, values)
        cached = recall(cache, before) if before is not None else None
        if cached is not None:
            return cached
        dataset = entry.function(**values)
        check_contract(dataset)
        warning = " ".join(filter(None, [dataset.warning, absent_classes(dataset)]))
        after = fingerprint(entry, values)
    dataset = replace(dataset, warning=warning)
    digest = save_dataset(cache, dataset)
    if before is not None and before == after:  # no file changed while it was read
        remember(cache, digest, before, dataset)
    return digest, dataset


@contextmanager
def _plugin_errors(title: str) -> Iterator[None]:
    """Put `title` in front of every error in the block."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{title}: {error}") from None
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
) -> None:
    enter_worker({}, log)
    warnings.simplefilter("default")
    try:
        registry = Registry.load() if plugins is None else Registry.load_only(plugins)
        entry = registry.get("dataset", dataset.name)
        with listening(lambda what, fraction: connection.send((what, fraction))):
            prepared = prepare(entry, dataset.parameters, validation, cache)
        connection.send(prepared)
    except ZooError as error:
        traceback.print_exc()
        connection.send(portable(error, DataError))
    except Exception as error:  # a bug in zoo, or a problem of this machine
        traceback.print_exc()
        reason = f"{type(error).__name__}: {one_line(error)}. Its output is in {log}."
        connection.send(DataError(f"The dataset '{dataset.name}' could not be prepared: {reason}"))


def _describe(digest: str, dataset: Dataset, held_out: int) -> PreparedDataset:
    sizes = {name: len(split) for name in SPLITS if (split := getattr(dataset, name)) is not None}
    if dataset.validation is None:
        sizes = {**sizes, "train": sizes["train"] - held_out, "validation": held_out}
    height, width, channels = dataset.train.images.shape[1:]
    return PreparedDataset(
        digest=digest,
        class_names=tuple(dataset.class_names),
        image_shape=(int(height), int(width), int(channels)),
        sizes={name: sizes[name] for name in SPLITS if name in sizes},
        source=dataset.source,
        warning=dataset.warning,
    )
