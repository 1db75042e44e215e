"""Whether a dataset keeps the contract: the checks, in their order."""

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

from zoo.errors import DataError, SpaceError, ZooError
from zoo.process import spawn_worker
from zoo.registry import Component
from zoo.testing import _children
from zoo.testing._failure import Broken, called, told
from zoo.testing._kit import Subject, Suite, check_all, docstring, signature

if TYPE_CHECKING:
    from zoo.data import Dataset, Split

SUITE = Suite("dataset")


class Data(Subject):
    """A dataset, with `values` for its own parameters, whatever they are called."""

    suite = SUITE

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Any]) -> None:
        # In a line to type, `checks` are those to make.
        super().__init__(function, {name: value for name, value in values.items() if name != "checks"})
        self.values = values
        self._loading = 0.0  # seconds

    def validate(self) -> None:
        try:
            space = self.space
        except SpaceError:
            return  # which is for the check of the signature to tell
        try:
            space.check(self.values)
        except SpaceError as error:
            raise ZooError(f"{self.name}: {error}") from error

    @cached_property
    def parameters(self) -> dict[str, Any]:
        return self.space.check(self.values)

    @cached_property
    def dataset(self) -> Dataset:
        began = time.monotonic()
        dataset: Dataset = self.function(**self.parameters)
        self._loading = time.monotonic() - began
        return dataset

    @cached_property
    def digest(self) -> str:
        """Of the first load."""
        from zoo.data.store import digest_of

        return digest_of(self.dataset)

    @cached_property
    def child(self) -> tuple[tuple[bool, str], tuple[bool, str]]:
        """Whether it loads in a fresh process, and its digest or the error: without network, and at all."""
        child = spawn_worker(_children.load_dataset, (self.found_elsewhere(), self.parameters))
        # It may load twice, and look for a network in vain before that.
        patience = _children.PATIENCE + 4 * self._loading
        cure = (
            f" (the first load took {self._loading:.0f} s; if it is only slow, give parameters with which it "
            f"is smaller: check_dataset({self.name}, …=…), or at the prompt --set)"
        )
        answer: Any = _children.answer_of(child, "a second process", patience, cure)
        return answer[0], answer[1]

    @property
    def splits(self) -> Iterator[tuple[str, Split]]:
        for name in ("train", "validation", "test"):
            split = getattr(self.dataset, name)
            if split is not None:
                yield name, split

    def found(self, text: str, cause: BaseException | None = None) -> Broken:
        broken = Broken(text, called(self.name, (), self.parameters))
        broken.__cause__ = cause
        return broken


def check_dataset(
    function: Callable[..., Any], /, *, checks: Sequence[str] | None = None, **parameters: Any
) -> None:
    """Make every check of a dataset, or those named in `checks`; docs/testing.md tells them all.

    Args:
        parameters: of the dataset's own, in place of their defaults: `check_dataset(bars, count=50)`. One
            called `checks` can be given by `zoo plugins check NAME --set checks=…` alone.

    Raises:
        CheckFailed: with every check that failed, what was expected, what came, and a line that
            reproduces it.
    """
    __tracebackhide__ = True
    check_all(Data(function, parameters), checks)


SUITE.check()(signature)
SUITE.check("signature")(docstring)


@SUITE.check("signature")
def loads(data: Data) -> None:
    """It loads."""
    try:
        _ = data.dataset
    except (Exception, SystemExit) as error:
        raise data.found(f"expected a zoo.Dataset, but it raised {told(error)}", error) from error


@SUITE.check("loads")
def contract(data: Data) -> str:
    """A zoo.Dataset of `uint8` images of one size, and integer labels that have a class name."""
    from zoo.data.contract import check_contract

    try:
        check_contract(data.dataset)
    except DataError as error:
        raise data.found(str(error), error) from error
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in data.splits)
    return f"{sizes} of {'×'.join(map(str, data.dataset.train.images.shape[1:]))}"


@SUITE.check("contract")
def classes(data: Data) -> None:
    """Every split has images of every class."""
    import numpy as np

    names = data.dataset.class_names
    for split, of in data.splits:
        counts = np.bincount(np.asarray(of.labels), minlength=len(names))
        missing = [f"'{name}'" for name, count in zip(names, counts, strict=True) if not count]
        if missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise data.found(
                f"expected every class in {split}, but it has no image of {', '.join(missing[:5])}{more}"
            )


@SUITE.check("contract")
def separate_splits(data: Data) -> str:
    """No image is in two splits, byte for byte."""
    seen: dict[bytes, str] = {}
    for name, split in data.splits:
        here: dict[bytes, str] = {}
        shared: list[tuple[str, str]] = []
        for number, image in enumerate(split.images):
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            here.setdefault(digest, f"{name}[{number}]")
            if digest in seen:
                shared.append((f"{name}[{number}]", seen[digest]))
        if shared:
            one, other = shared[0]
            raise data.found(
                f"expected no image in two splits, but of the {len(split):,} images in {name} "
                f"{len(shared):,} are in another too, such as {one}, which is {other}"
            )
        seen |= here
    return f"{len(seen):,} different images"


@SUITE.check("contract")
def repeatable(data: Data) -> None:
    """The same call gives the same arrays, byte for byte."""
    import numpy as np

    from zoo.data.store import digest_of

    first = data.digest  # before the second load, which may change the same arrays
    random.seed()
    np.random.seed()  # so that whoever draws without a seed of their own draws something else
    again = data.function(**data.parameters)
    if digest_of(data.dataset) != first:
        raise data.found("expected a second call to leave the first one's arrays alone, but it changed them")
    if digest_of(again) != first:
        raise data.found(f"expected the same arrays from the same call, but {_difference(data, again)}")


@SUITE.check("repeatable")
def digest(data: Data) -> str:
    """Another process gets the same arrays too, so that a study can be gone on with."""
    loaded, told_there = data.child[1]
    if not loaded:
        raise data.found(f"expected it to load in another process, but there it raised {told_there}")
    if told_there != data.digest:
        raise data.found(
            f"expected the digest {data.digest[:12]} in another process too, but got {told_there[:12]}"
        )
    return data.digest[:12]


@SUITE.check("digest")
def offline(data: Data) -> None:
    """Once loaded, it loads again without a network."""
    loaded, told_there = data.child[0]
    if not loaded:
        raise data.found(
            f"expected the second load to need no network, but without one it raised {told_there}"
        )
    if told_there != data.digest:
        raise data.found("expected the same arrays without a network, but they differ")


@SUITE.check("repeatable")
def cache(data: Data) -> None:
    """zoo's cache keeps it byte for byte; a second study finds it there and writes nothing."""
    from zoo.data.prepare import prepare
    from zoo.data.store import digest_of, open_dataset

    entry = Component(
        "dataset", data.name, data.function, data.space, inspect.getdoc(data.function) or "", "its plugin", ""
    )
    with TemporaryDirectory() as folder:
        cached = Path(folder)
        try:
            first = prepare(entry, data.parameters, {"fraction": 0.1, "seed": 0}, cached)
            before = _written(cached)
            second = prepare(entry, data.parameters, {"fraction": 0.1, "seed": 0}, cached)
            kept = digest_of(open_dataset(cached, first.digest))
        except ZooError as error:
            raise data.found(f"expected zoo to prepare it for a study, but: {error}", error) from error
        if {first.digest, second.digest, kept} != {data.digest}:
            raise data.found("expected the same arrays from zoo's cache, but they differ")
        if _written(cached) != before:
            raise data.found("expected the second study to find it in zoo's cache, but it was written again")


def _written(folder: Path) -> dict[str, int]:
    """When each file was last written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.np[yz]")}


def _difference(data: Data, other: Any) -> str:
    """Where two loads differ."""
    import numpy as np

    for name, split in data.splits:
        twin = getattr(other, name, None)
        for what in ("images", "labels"):
            if twin is None or not np.array_equal(getattr(split, what), getattr(twin, what)):
                return f"the {what} of {name} differ"
    return "the names of the classes differ"
