"""The checks of a dataset, in the order in which they run."""

from __future__ import annotations

import hashlib
import inspect
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.contract import check_contract
from zoo.data.prepare import prepare
from zoo.data.store import digest_of, open_dataset
from zoo.errors import DataError, SpaceError, ZooError
from zoo.process import spawn_worker
from zoo.registry import Component
from zoo.testing import _workers
from zoo.testing.kit import Subject, Suite, Violation, call_text, check_all
from zoo.training.components import describe_error

if TYPE_CHECKING:
    from zoo.data import Dataset, Split

SUITE = Suite("dataset")

_MAX_NAMES = 5
_VALIDATION = {"fraction": 0.1, "seed": 0}


class DatasetSubject(Subject):
    """A dataset under test, with `values` for its own parameters."""

    suite = SUITE

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Any]) -> None:
        # In the line that reproduces a failure, `checks` means the checks to run.
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
    def loads_elsewhere(self) -> tuple[tuple[bool, str], tuple[bool, str]]:
        """Success, and digest or error, of loads in another process: without and with a network."""
        worker = spawn_worker(_workers.load_dataset, (self.importable_origin(), self.parameters))
        # It may load twice, and wait for a network before that.
        timeout = _workers.TIMEOUT_S + 4 * self._load_s
        hint = (
            f" (the first load took {self._load_s:.0f} s; if it is only slow, give parameters that make it "
            f"smaller: check_dataset({self.name}, …=…), or at the prompt --set)"
        )
        without, within = _workers.receive_answer(worker, "a second process", timeout, hint)
        return without, within

    @property
    def splits(self) -> Iterator[tuple[str, Split]]:
        for name in ("train", "validation", "test"):
            split = getattr(self.dataset, name)
            if split is not None:
                yield name, split

    def violation(self, text: str, cause: BaseException | None = None) -> Violation:
        return Violation(text, call_text(self.name, (), self.parameters), cause=cause)


def check_dataset(
    function: Callable[..., Any], /, *, checks: Sequence[str] | None = None, **parameters: Any
) -> None:
    """Run every check of a dataset, or those named in `checks`; docs/testing.md lists them.

    Args:
        parameters: values for the dataset's own parameters: `check_dataset(bars, count=50)`. A parameter
            called `checks` can only be given at the prompt: `zoo plugins check NAME --set checks=…`.

    Raises:
        CheckFailed: with each failed check: what was expected, what was found, and a command that
            reproduces it.
    """
    __tracebackhide__ = True
    check_all(DatasetSubject(function, parameters), checks)


@SUITE.check("signature")
def loads(data: DatasetSubject) -> None:
    """Check that it loads."""
    try:
        _ = data.dataset
    except (Exception, SystemExit) as error:
        raise data.violation(
            f"expected a zoo.Dataset, but it raised {describe_error(error)}", error
        ) from error


@SUITE.check("loads")
def contract(data: DatasetSubject) -> str:
    """Check the images and labels: `uint8` images of one size, integer labels that have a class name."""
    try:
        check_contract(data.dataset)
    except DataError as error:
        raise data.violation(str(error), error) from error
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in data.splits)
    return f"{sizes} of {'×'.join(map(str, data.dataset.train.images.shape[1:]))}"


@SUITE.check("contract")
def classes(data: DatasetSubject) -> None:
    """Check that every split has images of every class."""
    names = data.dataset.class_names
    for split, content in data.splits:
        counts = np.bincount(np.asarray(content.labels), minlength=len(names))
        missing = [f"'{name}'" for name, count in zip(names, counts, strict=True) if not count]
        if missing:
            more = f" and {len(missing) - _MAX_NAMES} more" if len(missing) > _MAX_NAMES else ""
            listed = ", ".join(missing[:_MAX_NAMES]) + more
            text = f"expected images of every class in each split, but the {split} split has none of {listed}"
            raise data.violation(f"{text}; split the images by class, or remove the class name")


@SUITE.check("contract")
def separate_splits(data: DatasetSubject) -> str:
    """Check that no image is in two splits, byte for byte."""
    seen: dict[bytes, tuple[str, int]] = {}  # digest of an image -> its split and position
    for name, split in data.splits:
        digests = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in split.images]
        shared = [(number, *seen[digest]) for number, digest in enumerate(digests) if digest in seen]
        if shared:
            number, other, position = shared[0]
            raise data.violation(
                f"expected no image in two splits, but {len(shared):,} of the {len(split):,} {name} images "
                f"are also in {other}, such as {name}[{number}], which is {other}[{position}]; remove them"
            )
        seen |= {digest: (name, number) for number, digest in enumerate(digests)}
    return f"{len(seen):,} different images"


@SUITE.check("contract")
def repeatable(data: DatasetSubject) -> None:
    """Check that the same call gives the same arrays, byte for byte."""
    first = data.digest  # before the second load, which may change the same arrays
    random.seed()
    np.random.seed()  # so that a dataset that draws without a seed draws something else
    again = data.function(**data.parameters)
    if digest_of(data.dataset) != first:
        text = "expected a second call to leave the first one's arrays alone, but it changed them; copy them"
        raise data.violation(text)
    if digest_of(again) != first:
        raise data.violation(
            f"expected the same arrays from the same call, but {_difference(data, again)}; "
            "draw with numpy.random.default_rng(0)"
        )


@SUITE.check("repeatable")
def digest(data: DatasetSubject) -> str:
    """Check that another process gets the same arrays, so that a study can be resumed."""
    is_loaded, answer = data.loads_elsewhere[1]
    if not is_loaded:
        raise data.violation(f"expected it to load in another process, but there it raised {answer}")
    if answer != data.digest:
        text = f"expected the digest {data.digest[:12]} in another process too, got {answer[:12]}"
        raise data.violation(f"{text}; sort lists of files, and do not iterate over sets")
    return data.digest[:12]


@SUITE.check("digest")
def offline(data: DatasetSubject) -> None:
    """Check that it loads without a network, once it was loaded."""
    is_loaded, answer = data.loads_elsewhere[0]
    if not is_loaded:
        text = f"expected the second load to need no network, but without one it raised {answer}"
        raise data.violation(f"{text}; keep what was downloaded in a file")
    if answer != data.digest:
        raise data.violation("expected the same arrays without a network, but they differ")


@SUITE.check("repeatable")
def cache(data: DatasetSubject) -> None:
    """Check that the arrays in zoo's cache equal the plugin's, and that a second study reads them there."""
    description = inspect.getdoc(data.function) or ""
    component = Component("dataset", data.name, data.function, data.space, description, "its plugin", "")
    with TemporaryDirectory() as folder:
        cache_dir = Path(folder)
        prepared, times = [], []
        try:
            for _ in range(2):
                prepared.append(prepare(component, data.parameters, _VALIDATION, cache_dir).digest)
                times.append({path: path.stat().st_mtime_ns for path in cache_dir.rglob("*.np[yz]")})
            kept = digest_of(open_dataset(cache_dir, prepared[0]))
        except ZooError as error:
            raise data.violation(f"expected zoo to prepare it for a study, but: {error}", error) from error
        if {*prepared, kept} != {data.digest}:
            raise data.violation("expected the same arrays from zoo's cache, but they differ")
        if times[0] != times[1]:
            raise data.violation("expected the second study to find it in zoo's cache, but it was rewritten")


def _difference(data: DatasetSubject, other: Any) -> str:
    """Return what differs between two loads."""
    for name, split in data.splits:
        twin = getattr(other, name, None)
        for array in ("images", "labels"):
            if twin is None or not np.array_equal(getattr(split, array), getattr(twin, array)):
                return f"the {array} of {name} differ"
    return "the class names differ"
