"""Preparing a dataset: a plugin's arrays, checked, hashed and put into the cache.

It happens in a process of its own, because a dataset plugin may import what it likes (Keras, to
download), crash or hang, and none of that is the supervisor's.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.data.contract import check_contract
from zoo.data.dataset import Dataset
from zoo.data.store import SPLITS, Prepared, cut_validation, save_dataset
from zoo.errors import DataError, ZooError, one_line
from zoo.process import Child, enter_child, spawn
from zoo.registry import Registered, Registry
from zoo.trial import Chosen


def prepare(
    entry: Registered, parameters: Mapping[str, Any], validation: Mapping[str, Any], cache: Path
) -> Prepared:
    """Call the dataset function, check what it returns, cache it, cut its validation split.

    Raises:
        ZooError: the data cannot be read, or the dataset breaks the contract.
    """
    told = f"The dataset '{entry.name}' of {entry.origin}"
    try:
        dataset = entry.function(**entry.space.check(parameters))
        check_contract(dataset)
    except DataError as error:
        raise DataError(f"{told}: {error}") from None
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise DataError(f"{told} could not be read: {type(error).__name__}: {one_line(error)}") from error
    try:
        digest = save_dataset(cache, dataset)
        held_out = cut_validation(cache, digest, dataset, validation)
    except OSError as error:
        raise DataError(f"{told} could not be kept in {cache}: {one_line(error)}") from error
    return _described(digest, dataset, held_out)


def start_preparing(dataset: Chosen, validation: Mapping[str, Any], cache: Path, log: Path) -> Child:
    """Begin to prepare in a fresh process; `finish_preparing` waits for what comes of it.

    Args:
        log: file for what the plugin prints and warns of, so that it stays out of the display.
    """
    return spawn(_prepare_and_send, (dataset, dict(validation), cache, log))


def finish_preparing(child: Child, dataset: Chosen) -> Prepared:
    """The prepared dataset, or the error that kept it from being one.

    Raises:
        ZooError: as `prepare`.
        DataError: the process died.
    """
    answer = child.receive()
    if answer is None:
        raise DataError(f"The process that prepares the dataset '{dataset.name}' died: {child.end()}.")
    child.end()  # a thread that the plugin left running must not hold us up
    if isinstance(answer, BaseException):
        raise answer
    assert isinstance(answer, Prepared)
    return answer


def _prepare_and_send(
    connection: Any, dataset: Chosen, validation: Mapping[str, Any], cache: Path, log: Path
) -> None:
    enter_child({}, log)
    warnings.simplefilter("default")
    try:
        entry = Registry.load().get("dataset", dataset.name)
        connection.send(prepare(entry, dataset.parameters, validation, cache))
    except ZooError as error:
        traceback.print_exc()
        # A plugin's own kind of error might not come out of the pipe as it went in.
        ours = type(error).__module__ == ZooError.__module__
        connection.send(error if ours else DataError(str(error)))


def _described(digest: str, dataset: Dataset, held_out: int) -> Prepared:
    sizes = {name: len(split) for name in SPLITS if (split := getattr(dataset, name)) is not None}
    if dataset.validation is None:
        sizes = {**sizes, "train": sizes["train"] - held_out, "validation": held_out}
    height, width, channels = dataset.train.images.shape[1:]
    return Prepared(
        digest=digest,
        class_names=tuple(dataset.class_names),
        image_shape=(int(height), int(width), int(channels)),
        sizes={name: sizes[name] for name in SPLITS if name in sizes},
        source=dataset.source,
        warning=dataset.warning,
    )
