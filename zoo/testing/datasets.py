"""Datasets under test, and their checks in the order in which they run."""

from __future__ import annotations

import hashlib
import inspect
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.contract import check_contract
from zoo.data.prepare import prepare
from zoo.data.store import digest_of, open_dataset
from zoo.errors import DataError, SpaceError, ZooError, count_text, listed, shape_text
from zoo.process import spawn_worker
from zoo.registry import Component
from zoo.testing import _workers
from zoo.testing.kit import Subject, Suite, Violation, call_text, check_all
from zoo.training.components import describe_error

if TYPE_CHECKING:
    from zoo.data import Dataset

SUITE = Suite("dataset")

_MAX_NAMES = 5
_VALIDATION = {"fraction": 0.1, "seed": 0}


class DatasetSubject(Subject):
    """A dataset under test; `values` are the values of its parameters."""

    suite = SUITE

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Any]) -> None:
        # In the command that reproduces a failure, `checks` is the list of checks to run. A parameter of the
        # dataset with this name is therefore left out of the command.
        super().__init__(function, {name: value for name, value in values.items() if name != "checks"})
        self.values = values
        self._load_s = 0.0

    def validate_options(self) -> None:
        try:
            self.space.check(self.values)
        except SpaceError as error:
            raise ZooError(f"{self.name}: {error}") from None

    @cached_property
    def parameters(self) -> dict[str, Any]:
        return self.space.check(self.values)

    @cached_property
    def dataset(self) -> Dataset:
        start = time.monotonic()
        dataset: Dataset = self.function(**self.parameters)
        self._load_s = time.monotonic() - start
        return dataset

    @cached_property
    def digest(self) -> str:
        """The digest of the first load."""
        return digest_of(self.dataset)

    @cached_property
    def loads_in_other_process(self) -> tuple[tuple[bool, str], tuple[bool, str]]:
        """The results of two loads in another process: the first without a network, the second with one.

        Each result is `(True, digest)` or `(False, error)`.
        """
        worker = spawn_worker(_workers.load_dataset, (self.importable_origin(), self.parameters))
        # The process may load the dataset twice, and the first load may wait for the network.
        timeout = _workers.TIMEOUT_S + 4 * self._load_s
        hint = (
            f"; the first load took {self._load_s:.0f} s. For a slow dataset, set parameters that make it "
            f"smaller: check_dataset({self.name}, …=…), or --set on the command line"
        )
        offline, online = _workers.receive_answer(worker, "loading in another process", timeout, hint)
        return offline, online

    def violation(self, text: str, cause: BaseException | None = None) -> Violation:
        return Violation(text, call_text(self.name, (), self.parameters), cause=cause)


def check_dataset(
    function: Callable[..., Any], /, *, checks: Sequence[str] | None = None, **parameters: Any
) -> None:
    """Run every check of a dataset, or those named in `checks`; docs/testing.md lists them.

    Args:
        parameters: values of the dataset's parameters: `check_dataset(bars, count=50)`. A parameter
            called `checks` can be set only on the command line: `zoo plugins check NAME --set checks=…`.

    Raises:
        CheckFailed: a check failed. The message states for each failed check what was expected, what was
            found, and a command that reproduces the failure.
    """
    __tracebackhide__ = True
    check_all(DatasetSubject(function, parameters), checks)


@SUITE.check("signature")
def loads(subject: DatasetSubject) -> None:
    """Check that the function returns without an exception."""
    try:
        _ = subject.dataset
    except (Exception, SystemExit) as error:
        raise subject.violation(f"expected a zoo.Dataset, got {describe_error(error)}", error) from error


@SUITE.check("loads")
def contract(subject: DatasetSubject) -> str:
    """Check the images and labels: `uint8` images of one size, integer labels that have a class name."""
    try:
        check_contract(subject.dataset)
    except DataError as error:
        raise subject.violation(str(error), error) from error
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in subject.dataset.splits().items())
    return f"{sizes} of {shape_text(subject.dataset.train.images.shape[1:])}"


@SUITE.check("contract")
def classes(subject: DatasetSubject) -> None:
    """Check that every split has images of every class."""
    names = subject.dataset.class_names
    for split, content in subject.dataset.splits().items():
        counts = np.bincount(np.asarray(content.labels), minlength=len(names))
        missing = [f"'{name}'" for name, count in zip(names, counts, strict=True) if not count]
        if missing:
            text = f"expected images of every class in each split, but {split} has no image of "
            text += listed(missing, _MAX_NAMES)
            raise subject.violation(f"{text}; split the images by class, or remove the class name")


@SUITE.check("contract")
def separate_splits(subject: DatasetSubject) -> str:
    """Check that no image is in two splits, byte for byte."""
    positions: dict[bytes, tuple[str, int]] = {}  # digest of an image -> split and index of the image
    for name, split in subject.dataset.splits().items():
        digests = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in split.images]
        copies = [(index, *positions[digest]) for index, digest in enumerate(digests) if digest in positions]
        if copies:
            index, other, other_index = copies[0]
            are = "is" if len(copies) == 1 else "are"
            raise subject.violation(
                f"expected no image in two splits, but {len(copies):,} of the {len(split):,} {name} images "
                f"{are} also in {other}, such as {name}[{index}], which equals {other}[{other_index}]; "
                "remove the copies"
            )
        positions |= {digest: (name, index) for index, digest in enumerate(digests)}
    return f"{count_text(len(positions), 'different image')}"


@SUITE.check("contract")
def repeatable(subject: DatasetSubject) -> None:
    """Check that the same call gives the same arrays, byte for byte."""
    first = subject.digest  # computed before the second load, which may change the arrays of the first load
    random.seed()
    np.random.seed()  # other numbers for a dataset that uses the global generator without a seed
    second_dataset = subject.function(**subject.parameters)
    if digest_of(subject.dataset) != first:
        raise subject.violation(
            "expected the arrays of the first call to stay unchanged, but a second call changed them; return "
            "new arrays at each call"
        )
    if digest_of(second_dataset) != first:
        raise subject.violation(
            f"expected the same arrays from the same call, but {_difference(subject, second_dataset)}; "
            "use numpy.random.default_rng(0)"
        )


@SUITE.check("repeatable")
def digest(subject: DatasetSubject) -> str:
    """Check that another process gets the same arrays, so that a study can be resumed."""
    is_loaded, answer = subject.loads_in_other_process[1]
    if not is_loaded:
        raise subject.violation(
            f"expected the dataset to load in another process, but there the function raised {answer}"
        )
    if answer != subject.digest:
        text = f"expected the digest {subject.digest[:12]} in another process, got {answer[:12]}"
        raise subject.violation(f"{text}; sort lists of files, and do not iterate over sets")
    return subject.digest[:12]


@SUITE.check("digest")
def offline(subject: DatasetSubject) -> None:
    """Check that the dataset loads without a network after it was loaded once."""
    is_loaded, answer = subject.loads_in_other_process[0]
    if not is_loaded:
        text = (
            f"expected a second load to need no network, but without a network the function raised {answer}"
        )
        raise subject.violation(f"{text}; save downloaded data in a file")
    if answer != subject.digest:
        raise subject.violation(
            "expected the same arrays without a network, got others; save downloaded data in a file"
        )


@SUITE.check("repeatable")
def cache(subject: DatasetSubject) -> None:
    """Check that zoo's cache contains the same arrays, and that a second study reads them from the cache."""
    description = inspect.getdoc(subject.function) or ""
    component = Component(
        "dataset", subject.name, subject.function, subject.space, description, "its plugin", ""
    )
    with TemporaryDirectory() as folder:
        cache_dir = Path(folder)
        digests, times = [], []
        try:
            for _ in range(2):
                digests.append(prepare(component, subject.parameters, _VALIDATION, cache_dir).digest)
                times.append({path: path.stat().st_mtime_ns for path in cache_dir.rglob("*.np[yz]")})
            cached = digest_of(open_dataset(cache_dir, digests[0]))
        except ZooError as error:
            text = f"expected a dataset that zoo can prepare for a study, but: {error}"
            raise subject.violation(text, error) from error
        if {*digests, cached} != {subject.digest}:
            raise subject.violation(
                "expected equal arrays in zoo's cache and from the function, but they differ"
            )
        if times[0] != times[1]:
            raise subject.violation(
                "expected the second study to read zoo's cache, but it wrote the arrays again"
            )


def _difference(subject: DatasetSubject, other: Any) -> str:
    """Return a description of the first difference between two loads."""
    for name, split in subject.dataset.splits().items():
        other_split = getattr(other, name, None)
        for array in ("images", "labels"):
            if other_split is None or not np.array_equal(getattr(split, array), getattr(other_split, array)):
                return f"the {array} of {name} differ"
    return "the class names differ"
