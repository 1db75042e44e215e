"""Preparing a dataset: a plugin's arrays, checked, hashed and put into the cache.

It happens in a process of its own, because a dataset plugin may import what it likes (Keras, to
download), crash or hang, and none of that is the supervisor's.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.data.contract import check_contract
from zoo.data.dataset import Dataset
from zoo.data.store import SPLITS, Prepared, cut_validation, open_dataset, save_dataset
from zoo.errors import DataError, ZooError
from zoo.process import Child, spawn
from zoo.registry import Registered, Registry
from zoo.trial import Chosen


def prepare(
    entry: Registered, parameters: Mapping[str, Any], validation: Mapping[str, Any], cache: Path
) -> Prepared:
    """Call the dataset function, check what it returns, cache it, cut its validation split.

    Raises:
        ZooError: the data cannot be read, or the dataset breaks the contract.
    """
    try:
        dataset = entry.function(**entry.space.check(parameters))
        check_contract(dataset)
    except DataError as error:
        raise DataError(f"The dataset '{entry.name}' of {entry.origin}: {error}") from None
    except ZooError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise DataError(
            f"The dataset '{entry.name}' of {entry.origin} could not be read: {type(error).__name__}: {text}"
        ) from error
    digest = save_dataset(cache, dataset)
    held_out = cut_validation(cache, digest, dataset, validation)
    return _described(digest, dataset, held_out)


def prepare_again(digest: str, validation: Mapping[str, Any], cache: Path) -> Prepared:
    """What is known of a dataset that is in the cache already."""
    dataset = open_dataset(cache, digest)
    return _described(digest, dataset, cut_validation(cache, digest, dataset, validation))


def start_preparing(dataset: Chosen, validation: Mapping[str, Any], cache: Path, log: Path) -> Child:
    """Begin to prepare in a fresh process; `finish_preparing` waits for what comes of it."""
    return spawn(_prepare_and_send, (dataset, dict(validation), cache, log))


def finish_preparing(child: Child, dataset: Chosen) -> Prepared:
    """The prepared dataset, or the error that kept it from being one.

    Raises:
        ZooError: as `prepare`.
        DataError: the process died.
    """
    answer = child.receive()
    status = child.join()
    if answer is None:
        raise DataError(f"Preparing the dataset '{dataset.name}' ended without an answer ({status}).")
    if isinstance(answer, BaseException):
        raise answer
    assert isinstance(answer, Prepared)
    return answer


def _prepare_and_send(
    connection: Any, dataset: Chosen, validation: Mapping[str, Any], cache: Path, log: Path
) -> None:
    with log.open("a", encoding="utf-8") as file, _printing_to(file):
        try:
            entry = Registry.load().get("dataset", dataset.name)
            connection.send(prepare(entry, dataset.parameters, validation, cache))
        except ZooError as error:
            traceback.print_exc()
            connection.send(error)


@contextlib.contextmanager
def _printing_to(file: io.TextIOBase) -> Any:
    """Whatever the plugin prints or warns goes to a file, not between the lines of the display."""
    sys.stdout.flush()
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):  # type: ignore[type-var]
        warnings.simplefilter("default")
        yield


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
