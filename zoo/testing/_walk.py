"""Subjects whose keywords are a search space: where they are tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from zoo.errors import SpaceError, ZooError
from zoo.space import Space
from zoo.testing import _points
from zoo.testing._kit import Subject
from zoo.testing._points import Point

Item = TypeVar("Item")


class Walker(Subject):
    """A function that is tried at its defaults, at the corners of its space and at random points.

    Args:
        space: as a study's table: a value pins a parameter, a table narrows its range.
        points: tried instead of corners and random points; each may leave out what is the default.
        samples: how many random points, every other one a corner; the same for the same `seed`.
        seconds: after which no more random points are tried. Corners are tried in any case.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        given: Mapping[str, Any],
        *,
        space: Mapping[str, Any],
        points: Sequence[Mapping[str, Any]] | None,
        samples: int,
        seconds: float,
        seed: int,
    ) -> None:
        super().__init__(function, given)
        self.table = space
        self.given_points = points
        self.samples = samples
        self.seconds = seconds
        self.seed = seed
        self._tried: set[str] = set()
        self._sampling = 0.0  # seconds

    def validate(self) -> None:
        try:
            _ = self.space
        except SpaceError:
            return  # which is for the check of the signature to tell
        try:
            walked = self.walked
        except SpaceError as error:
            raise ZooError(f"{self.name}: {error}") from error
        for point in self.given_points or ():
            try:
                walked.check(point)
            except SpaceError as error:
                raise ZooError(f"{self.name}: points: {error}") from error

    @cached_property
    def walked(self) -> Space:
        return _points.walked(self.space, self.table)

    @cached_property
    def defaults(self) -> Point:
        return self.walked.defaults()

    @cached_property
    def corners(self) -> list[Point]:
        """Where it is tried in any case, besides its defaults."""
        if self.given_points is not None:
            return [self.walked.check(point) for point in self.given_points]
        both = [*_points.far_corners(self.walked), *_points.alone(self.walked)]
        return list(_points.different(both))

    @cached_property
    def sampled(self) -> list[Point]:
        """Random points, tried as long as there is time."""
        if self.given_points is not None:
            return []
        known = {repr(point) for point in (self.defaults, *self.corners)}
        points = _points.different(_points.sampled(self.walked, self.samples, self.seed))
        return [point for point in points if repr(point) not in known]

    @cached_property
    def structures(self) -> list[Point]:
        """Points between them as different as can be: the far corners, and each option of each choice."""
        if self.given_points is not None:
            return self.corners
        both = [*_points.far_corners(self.walked), *_points.alone(self.walked, choices_only=True)]
        return list(_points.different(both))

    def portrait_at(self, parameters: Point) -> Any:
        """What is seen of the function at one point; taken once."""
        raise NotImplementedError

    def points_tried(self) -> Iterator[Any]:
        """Portraits at the corners, then at the random points for which there was time."""
        for point in self.corners:
            yield self.portrait_at(point)
        for point in self.sampled:
            if repr(point) not in self._tried:
                if self._sampling > self.seconds:
                    return
                began = time.monotonic()
                self.portrait_at(point)
                self._sampling += time.monotonic() - began
                self._tried.add(repr(point))
            yield self.portrait_at(point)

    def again(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The option with which a check looks at one point alone."""
        short = _points.changed(self.walked, dict(parameters))
        return {"points": [short] if short else []}

    def in_time(self, items: Iterable[Item]) -> Iterator[Item]:
        """The first of `items` in any case, the others as long as there is time."""
        began = time.monotonic()
        for position, item in enumerate(items):
            if position and time.monotonic() - began > self.seconds:
                return
            yield item


def check_shapes(shapes: Any) -> None:
    """Whether they are sizes of images, as an option gives them.

    Raises:
        ZooError: they are not.
    """
    if not shapes or not all(_is_shape(shape) for shape in shapes):
        raise ZooError(
            "input_shapes: expected a list of (height, width, channels), such as [(32, 32, 3)], "
            f"but got {shapes!r}."
        )


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, list | tuple)
        and len(shape) == 3
        and all(isinstance(side, int) and side > 0 for side in shape)
    )
