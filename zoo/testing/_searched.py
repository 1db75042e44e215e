"""The subject class of components with a search space: architectures and augmentation policies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np

from zoo.errors import InvalidParameters, SpaceError, ZooError
from zoo.global_state import Change, changes_undone, random_states
from zoo.space import Space
from zoo.testing import _points
from zoo.testing._points import Point
from zoo.testing.kit import Subject, Violation, progress_text, read_options
from zoo.training.components import describe_error

Array = np.ndarray[Any, Any]
Shape = tuple[int, int, int]  # (height, width, channels)
Item = TypeVar("Item")

BATCH_SIZE = 8


@dataclass(frozen=True)
class SearchOptions:
    """Options of `check_architecture` and `check_augmentation`; docs/testing.md explains them."""

    input_shapes: Sequence[Shape] = ((28, 28, 1), (33, 27, 3))
    input_shape: Shape | None = None
    space: Mapping[str, Any] = field(default_factory=dict)
    points: Sequence[Mapping[str, Any]] | None = None
    samples: int = 20
    seconds: float = 15.0
    seed: int = 0

    @property
    def shapes(self) -> list[Shape]:
        """The image sizes of both options."""
        return list(self.input_shapes) if self.input_shape is None else [self.input_shape]


@dataclass(frozen=True)
class SamplePoint:
    """The arguments of one call, and the shape of the images to which the result is applied."""

    parameters: Point
    shape: Shape
    num_classes: int


@dataclass
class Observation:
    """The properties of the result at one point. The network or the layers are not kept, to save memory."""

    point: SamplePoint
    impossible: InvalidParameters | None = None
    is_built: bool = False  # the function returned a network or layers
    failure: Violation | None = None  # of the call; if is_built, of applying the result to images
    changes: list[Change] = field(default_factory=list)  # of global state
    random_states: Mapping[str, str] = field(default_factory=dict)  # after the call

    @property
    def is_usable(self) -> bool:
        """True if the function returned a result that works."""
        return self.is_built and not self.failure


class SearchedSubject(Subject):
    """A function that is tried at its defaults, at the corners of its space, and at random points."""

    product: ClassVar[str]  # what the function returns, for messages
    options_class: ClassVar[type[SearchOptions]]
    observation_class: ClassVar[type[Observation]]

    def __init__(self, function: Callable[..., Any], user_options: Mapping[str, Any]) -> None:
        super().__init__(function, user_options)
        self.options: Any = read_options(self.suite.kind, self.options_class, user_options)
        self._observations: dict[str, Any] = {}
        self._sampling_s = 0.0

    def validate_options(self) -> None:
        shapes = self.options.shapes
        if not shapes or not all(_is_shape(shape) for shape in shapes):
            expected = "expected a list of (height, width, channels), such as [(32, 32, 3)]"
            raise ZooError(f"input_shapes: {expected}, got {shapes!r}.")
        prefix = f"{self.name}: "
        try:
            space = self.searched_space
            prefix += "points: "
            for point in self.options.points or ():
                space.check(point)
        except SpaceError as error:
            raise ZooError(f"{prefix}{error}") from error

    @property
    def shape(self) -> Shape:
        """The first image size, with which points of the space are tried."""
        return tuple(self.options.shapes[0])

    @cached_property
    def searched_space(self) -> Space:
        """The largest space that a study can search within the option `space`."""
        return _points.largest_space(self.space, self.options.space)

    @cached_property
    def defaults(self) -> Point:
        """The defaults within the option `space`."""
        return self.searched_space.defaults()

    @cached_property
    def corners(self) -> list[Point]:
        """The points that are tried without a time limit, in addition to the defaults."""
        if self.options.points is not None:
            return [self.searched_space.check(point) for point in self.options.points]
        return self._ends(choices_only=False)

    @cached_property
    def random_points(self) -> list[Point]:
        """Random points, which are tried until the time limit."""
        if self.options.points is not None:
            return []
        points = _points.random_points(self.searched_space, self.options.samples, self.options.seed)
        return _points.exclude(points, [self.defaults, *self.corners])

    @cached_property
    def diverse_points(self) -> list[Point]:
        """A few points that differ as much as possible: the far corners, and each option of each choice."""
        return self.corners if self.options.points is not None else self._ends(choices_only=True)

    def _ends(self, *, choices_only: bool) -> list[Point]:
        """Return the far corners and the points with one parameter at an end, without the defaults."""
        space = self.searched_space
        ends = _points.single_ends(space, choices_only=choices_only)
        return _points.exclude([*_points.far_corners(space), *ends], [self.defaults])

    def point(
        self, parameters: Point | None = None, *, shape: Shape | None = None, num_classes: int = 0
    ) -> SamplePoint:
        """Return a point. Default: the default parameters, the first size, the usual number of classes."""
        return SamplePoint(
            self.defaults if parameters is None else parameters,
            tuple(shape or self.shape),  # type: ignore[arg-type]
            num_classes or getattr(self.options, "num_classes", 0),
        )

    def other_shapes(self) -> list[SamplePoint]:
        """Return the points with the default parameters and each image size except the first."""
        return [self.point(shape=shape) for shape in self.options.shapes[1:]]

    def run_at_diverse_points(
        self, run: Callable[[SamplePoint], Item], noun: str, shapes: Sequence[SamplePoint] = ()
    ) -> tuple[list[Item], str]:
        """Call `run` at the defaults, then at `shapes` and the diverse points until the time limit.

        Points that are impossible or fail are left out.

        Returns:
            The results of `run`, and a text with the number of points, in which `noun` names a point.
        """
        points = [self.point(), *shapes, *map(self.point, self.diverse_points)]
        usable = [point for point in points if self.observe(point).is_usable]
        results: list[Item] = []
        start = time.monotonic()
        for point in usable:
            if results and time.monotonic() - start > self.options.seconds:
                break
            results.append(run(point))
        return results, progress_text(len(results), len(usable), noun)

    def call(self, point: SamplePoint) -> Any:
        """Return the result of the function; raise Violation if the result has a wrong type."""
        raise NotImplementedError

    def use(self, product: Any, observation: Any) -> None:
        """Apply the result of the function to images, and store the properties in `observation`."""
        raise NotImplementedError

    def is_small_enough(self, observation: Any) -> bool:
        """Return whether the result at the observed point can be built. Overridden for networks."""
        return True

    def images(self, shape: Shape | None = None, count: int = BATCH_SIZE) -> Array:
        """Return images `(count, height, width, channels)`, float32 in `[0, 1]`, the same at each call."""
        generator = np.random.default_rng(self.options.seed)
        return generator.random((count, *(shape or self.shape)), dtype="float32")

    def build(self, point: SamplePoint, seed: int) -> Any:
        """Return the network or the layers at a usable point, after setting the seed."""
        import keras

        keras.utils.set_random_seed(seed)
        with changes_undone():
            return self.call(point)

    def observe(self, point: SamplePoint) -> Any:
        """Return the observation at a point; make the observation at the first call."""
        if repr(point) not in self._observations:
            self._observations[repr(point)] = self.new_observation(point)
        return self._observations[repr(point)]

    def observe_space(self) -> Iterator[Any]:
        """Yield observations at the corners of the space, then at random points until the time limit."""
        for parameters in self.corners:
            yield self.observe(self.point(parameters))
        for parameters in self.random_points:
            point, start = self.point(parameters), time.monotonic()
            if self._sampling_s > self.options.seconds and repr(point) not in self._observations:
                return
            observation = self.observe(point)
            self._sampling_s += time.monotonic() - start
            yield observation

    def observe_all(self) -> Iterator[Any]:
        """Yield observations at the defaults, in the space, and for the other input shapes."""
        yield self.observe(self.point())
        yield from self.observe_space()
        yield from map(self.observe, self.other_shapes())

    def new_observation(self, point: SamplePoint) -> Any:
        """Call the function at a point, apply its result to images, and return the observation."""
        import keras

        observation = self.observation_class(point)
        if not self.is_small_enough(observation):
            return observation
        # Every call starts with another seed. Equal random states after two calls mean that the function
        # sets the seed.
        keras.utils.set_random_seed(self.options.seed + len(self._observations))
        with changes_undone() as changes:
            self._call_and_use(observation)
            observation.random_states = random_states()
        if changes:
            # A function imports its packages at the first call, and an import may change global state. A
            # second call shows which changes the function itself makes.
            with changes_undone() as observation.changes:
                self._call_and_use(self.observation_class(point))
        return observation

    def _call_and_use(self, observation: Observation) -> None:
        expected = f"{self.product} or InvalidParameters"
        try:
            product = self.call(observation.point)
            observation.is_built = True
            expected = f"{self.product} that takes images of {observation.point.shape}"
            self.use(product, observation)
        except InvalidParameters as error:
            observation.impossible, observation.is_built = error, False
        except Violation as violation:
            observation.failure = violation
        except (Exception, SystemExit) as error:
            if problem := self.impossible_reason(observation.point):
                observation.impossible, observation.is_built = InvalidParameters(problem), False
                return
            text = f"expected {expected}, got {describe_error(error)}"
            observation.failure = self.violation(observation.point, text, error)

    def impossible_reason(self, point: SamplePoint) -> str:
        """Return why zoo takes an error at a point for impossible parameters; "" if it does not."""
        return ""

    def call_text(self, point: SamplePoint) -> str:
        raise NotImplementedError

    def violation(self, point: SamplePoint, text: str, cause: BaseException | None = None) -> Violation:
        """Return a Violation with the call at `point`, and with options that try only this point."""
        short = _points.without_defaults(self.searched_space, point.parameters)
        options: dict[str, Any] = {"points": [short] if short else []}
        if point.shape in map(tuple, self.options.shapes[1:]):
            options["input_shapes"] = [self.shape, point.shape]
        return Violation(text, self.call_text(point), options, cause)

    def require(self, is_met: bool, point: SamplePoint, text: str) -> None:
        """Raise Violation with `text` unless `is_met`."""
        if not is_met:
            raise self.violation(point, text)

    def require_no_failure(self, observation: Observation) -> None:
        """Raise Violation if the call failed, or if applying its result to images failed."""
        if observation.failure:
            raise observation.failure

    def observe_possible(self, point: SamplePoint, expected: str, hint: str) -> Any:
        """Return the observation at a point; raise Violation if the point is impossible or the call failed.

        Args:
            expected: what the message says was expected.
            hint: what the message says to do next, for an impossible point.
        """
        observation = self.observe(point)
        if error := observation.impossible:
            raise self.violation(point, f"expected {expected}, but: {error}; {hint}", error)
        self.require_no_failure(observation)
        return observation

    @contextmanager
    def report_exception(self, point: SamplePoint, expected: str) -> Iterator[None]:
        """Raise Violation for any exception in the block; the message begins with what was `expected`."""
        try:
            yield
        except Exception as error:
            text = f"expected {expected}, got {describe_error(error)}"
            raise self.violation(point, text, error) from error


def search_space(subject: SearchedSubject) -> str:
    """Check that the function works at each tried point of its space, or raises InvalidParameters."""
    tried = impossible = 0
    for observation in subject.observe_space():
        subject.require_no_failure(observation)
        tried += 1
        impossible += observation.impossible is not None
    text = progress_text(tried, len(subject.corners) + len(subject.random_points), "point")
    return f"{text}; {impossible} of them impossible" if impossible else text


def global_state(subject: SearchedSubject) -> None:
    """Check that a call changes no global state, such as seeds, environment variables or Keras's settings."""
    expected = "expected unchanged global state, but"
    first_with: dict[tuple[str, str], Observation] = {}
    for observation in [*subject.observe_all(), subject.new_observation(subject.point())]:
        for change in observation.changes:
            text = f"{expected} {change}; remove the code that makes this change"
            subject.require(False, observation.point, text)
        for stream, state in observation.random_states.items():
            first = first_with.setdefault((stream, state), observation)
            text = f"{expected} the function set the seed of {stream}; create a generator in the function"
            subject.require(first is observation, first.point, text)


def _is_shape(shape: Any) -> bool:
    is_triple = isinstance(shape, list | tuple) and len(shape) == 3
    return is_triple and all(isinstance(side, int) and side > 0 for side in shape)
