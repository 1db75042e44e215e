"""Preparing a dataset: a plugin's arrays, checked, hashed and put into the cache.

It happens in a process of its own, because a dataset plugin may import what it likes (Keras, to
download), crash or hang, and none of that is the supervisor's.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.data.contract import absent_classes, check_contract
from zoo.data.dataset import Dataset
from zoo.data.reporting import Listener, listening
from zoo.data.sources import fingerprint
from zoo.data.store import SPLITS, PreparedDataset, cut_validation, recall, remember, save_dataset
from zoo.errors import DataError, ZooError, one_line
from zoo.process import WorkerProcess, enter_worker, spawn_worker
from zoo.registry import Component, Registry
from zoo.trial import PluginConfig


@dataclass(frozen=True)
class Progress:
    """What the preparing process is doing, and which share of it is done, or None where nobody knows."""

    what: str
    fraction: float | None


def prepare(
    entry: Component, parameters: Mapping[str, Any], validation: Mapping[str, Any], cache: Path
) -> PreparedDataset:
    """Call the dataset function, check what it returns, cache it, cut its validation split.

    Where the dataset says which files it reads, and they are as they were, it is in the cache already.

    Raises:
        ZooError: the data cannot be read, or the dataset breaks the contract.
    """
    told = f"The dataset '{entry.name}' of {entry.origin}"
    digest, dataset = _cached(entry, entry.space.check(parameters), cache, told)
    with _keeping(told, cache):
        held_out = cut_validation(cache, digest, dataset, validation)
    return _described(digest, dataset, held_out)


def _cached(entry: Component, values: Mapping[str, Any], cache: Path, told: str) -> tuple[str, Dataset]:
    """Digest and dataset, in the cache from before or from now on."""
    with _reading(told):
        before = fingerprint(entry, values)
        known = recall(cache, before) if before is not None else None
        if known is not None:
            return known
        dataset = entry.function(**values)
        check_contract(dataset)
        warning = " ".join(filter(None, [dataset.warning, absent_classes(dataset)]))
        after = fingerprint(entry, values)
    dataset = replace(dataset, warning=warning)
    with _keeping(told, cache):
        digest = save_dataset(cache, dataset)
        if before is not None and before == after:  # else who knows which of the two was read
            remember(cache, digest, before, dataset)
    return digest, dataset


@contextmanager
def _reading(told: str) -> Iterator[None]:
    """Whatever goes wrong in the dataset's own code is told with its name and version."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{told}: {error}") from None
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{told} could not be read: {type(error).__name__}: {one_line(error)}") from error


@contextmanager
def _keeping(told: str, cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{told} could not be kept in {cache}: {one_line(error)}") from error


def start_preparing(
    dataset: PluginConfig,
    validation: Mapping[str, Any],
    cache: Path,
    log: Path,
    plugins: Mapping[str, str] | None = None,
) -> WorkerProcess:
    """Begin to prepare in a fresh process; `finish_preparing` waits for what comes of it.

    Args:
        log: file for what the plugin prints and warns of, so that it stays out of the display.
        plugins: `DISTRIBUTION:PLUGIN` → version of the one that registered it; None to look among all.
    """
    child = spawn_worker(_prepare_and_send, (dataset, dict(validation), cache, log, plugins))
    child.log_path = log
    return child


def finish_preparing(
    child: WorkerProcess, dataset: PluginConfig, listener: Listener | None = None
) -> PreparedDataset:
    """The prepared dataset, or the error that kept it from being one.

    Args:
        listener: told what the dataset function tells through `zoo.progress`: what it does, and
            which share of it is done, from 0 to 1, or None where nobody knows.

    Raises:
        ZooError: as `prepare`.
        DataError: the process died.
    """
    doing = ""
    while isinstance(answer := child.receive(), Progress):
        doing = "" if answer.fraction == 1.0 else f", while {answer.what}"
        if listener is not None:
            listener(answer.what, answer.fraction)
    if answer is None:
        how = child.finish()
        raise DataError(
            f"The process that prepares the dataset '{dataset.name}' died: {how}{doing}. "
            f"What it printed is in {child.log_path}"
        )
    child.finish()  # a thread that the plugin left running must not hold us up
    if isinstance(answer, BaseException):
        raise answer
    assert isinstance(answer, PreparedDataset)
    return answer


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
        registry = Registry.load() if plugins is None else Registry.of(plugins)
        entry = registry.get("dataset", dataset.name)
        with listening(lambda what, fraction: connection.send(Progress(what, fraction))):
            prepared = prepare(entry, dataset.parameters, validation, cache)
        connection.send(prepared)
    except ZooError as error:
        traceback.print_exc()
        # A plugin's own kind of error might not come out of the pipe as it went in.
        ours = type(error).__module__ == ZooError.__module__
        connection.send(error if ours else DataError(str(error)))
    except Exception as error:  # a mistake of zoo's own, or something that only this machine lacks
        traceback.print_exc()
        reason = f"{type(error).__name__}: {one_line(error)}. What it printed is in {log}"
        connection.send(DataError(f"The dataset '{dataset.name}' could not be prepared: {reason}"))


def _described(digest: str, dataset: Dataset, held_out: int) -> PreparedDataset:
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
