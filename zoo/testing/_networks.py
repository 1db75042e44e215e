"""An architecture under test: its networks, built where the checks want them and looked at once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters
from zoo.testing._failure import Broken, called, told
from zoo.testing._kit import Suite
from zoo.testing._points import Point
from zoo.testing._state import changed_again, random_states, watched
from zoo.testing._walk import Walker, check_shapes

if TYPE_CHECKING:
    import keras
    import numpy as np

    Array = np.ndarray[Any, Any]

Shape = tuple[int, int, int]

SHAPES: tuple[Shape, ...] = ((28, 28, 1), (32, 32, 3), (33, 27, 3))
SMALL = 8  # pixels: the images of scikit-learn's digits, with which people try things
BATCH = 8  # images


@dataclass(frozen=True)
class Place:
    """One call of an architecture."""

    shape: Shape
    classes: int
    parameters: Point

    @property
    def key(self) -> str:
        return repr((self.shape, self.classes, self.parameters))


@dataclass
class Portrait:
    """What was seen of one network; the network itself is let go."""

    place: Place
    impossible: InvalidParameters | None = None
    broken: str = ""  # why there is no network, or none that takes images
    cause: BaseException | None = None
    compiled: bool = False
    outputs: Array | None = None  # (batch, num_classes), float32
    instead: str = ""  # what came where one array was expected
    parameters: int = 0
    too_large: bool = False  # more parameters than allowed, so not built
    changes: list[str] = field(default_factory=list)
    random_states: Mapping[str, str] = field(default_factory=dict)

    @property
    def built(self) -> bool:
        return self.impossible is None and not self.broken and not self.too_large


SUITE = Suite("architecture")


class Network(Walker):
    """An architecture with the options of `check_architecture`, which tells what they mean."""

    suite = SUITE

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        input_shapes: Sequence[Shape] = SHAPES,
        input_shape: Shape | None = None,
        num_classes: int = 10,
        class_counts: Sequence[int] = (2, 100),
        space: Mapping[str, Any] | None = None,
        points: Sequence[Mapping[str, Any]] | None = None,
        samples: int = 20,
        seconds: float = 15.0,
        seed: int = 0,
        max_parameters: int = 100_000_000,
        needs_plugin_to_load: bool = False,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            function,
            given or {},
            space=space or {},
            points=points,
            samples=samples,
            seconds=seconds,
            seed=seed,
        )
        self.shapes = list(input_shapes) if input_shape is None else [input_shape]
        self.num_classes = num_classes
        self.class_counts = class_counts
        self.max_parameters = max_parameters
        self.needs_plugin_to_load = needs_plugin_to_load
        self._portraits: dict[str, Portrait] = {}

    def validate(self) -> None:
        check_shapes(self.shapes)
        super().validate()

    def begin(self, names: Sequence[str]) -> None:
        from zoo.training.worker import fork_server

        if "saving" in names:  # in a process that has Keras loaded by then
            fork_server().start()

    # --- where

    @property
    def shape(self) -> Shape:
        return self.shapes[0]

    def place(self, parameters: Point | None = None, shape: Shape | None = None, classes: int = 0) -> Place:
        """The defaults, the first of the shapes, and the usual number of classes, unless said otherwise."""
        return Place(
            tuple(shape or self.shape),  # type: ignore[arg-type]
            classes or self.num_classes,
            self.defaults if parameters is None else parameters,
        )

    def portrait_at(self, parameters: Point) -> Portrait:
        return self.portrait(self.place(parameters))

    def everywhere(self, *, all_class_counts: bool = True) -> Iterator[Portrait]:
        """Portraits of the defaults, of the points, of other sizes and of other numbers of classes."""
        yield self.portrait(self.place())
        yield from self.points_tried()
        yield from (self.portrait(self.place(shape=shape)) for shape in self.shapes[1:])
        if all_class_counts:
            yield from (self.portrait(self.place(classes=classes)) for classes in self.class_counts)

    def small_places(self) -> list[Place]:
        height, width, channels = self.shape
        small = (min(height, SMALL), min(width, SMALL), channels)
        points = [self.defaults, *(self.structures if self.given_points is None else self.corners)]
        return [self.place(point, shape=small) for point in points]

    def built_places(self) -> list[Place]:
        """Of the defaults and of points as different as can be, those that are possible."""
        places = [self.place(), *map(self.place, self.structures)]
        return [place for place in places if self.portrait(place).built]

    def found(self, place: Place, text: str, cause: BaseException | None = None) -> Broken:
        """What is wrong at one place."""
        again = self.again(place.parameters)
        if place.shape in map(tuple, self.shapes[1:]):
            again["input_shapes"] = [tuple(self.shape), place.shape]
        if place.classes != self.num_classes:
            again["class_counts"] = [place.classes]
        broken = Broken(text, called(self.name, (place.shape, place.classes), place.parameters), again)
        broken.__cause__ = cause
        return broken

    # --- what

    def images(self, shape: Shape, count: int = BATCH) -> Array:
        """`(count, height, width, channels)`, float32 in `[0, 1]`, always the same."""
        import numpy as np

        return np.random.default_rng(self.seed).random((count, *shape), dtype="float32")

    def call(self, place: Place) -> Any:
        return self.function(place.shape, place.classes, **place.parameters)

    def build(self, place: Place, seed: int) -> keras.Model:
        """The network of a place that is known to be sound, with its weights."""
        import keras

        keras.utils.set_random_seed(seed)
        with watched():
            network = self.call(place)
            network(self.images(place.shape, 1), training=False)  # some have weights only then
        return network

    def portrait(self, place: Place) -> Portrait:
        if place.key not in self._portraits:
            # Each build has a seed of its own, so that equal random states betray one who sets it.
            self._portraits[place.key] = self._taken(place, self.seed + len(self._portraits))
        return self._portraits[place.key]

    def portrait_again(self) -> Portrait:
        """Of the defaults, once more and after another seed."""
        return self._taken(self.place(), self.seed + len(self._portraits))

    def _taken(self, place: Place, seed: int) -> Portrait:
        import keras

        portrait = Portrait(place, parameters=self._counted(place))
        portrait.too_large = portrait.parameters > self.max_parameters
        if portrait.too_large:
            return portrait
        keras.utils.set_random_seed(seed)
        expected = "a network or InvalidParameters"
        with watched() as changes:
            try:
                network = self.call(place)
                expected = f"a network that takes images of {place.shape}"
                self._look(network, portrait)
            except InvalidParameters as error:
                portrait.impossible = error
            except (Exception, SystemExit) as error:
                portrait.broken, portrait.cause = f"expected {expected}, but it raised {told(error)}", error
            portrait.random_states = random_states()
        portrait.changes = changed_again(changes, lambda: self._look(self.call(place), Portrait(place)))
        return portrait

    def _counted(self, place: Place) -> int:
        """The weights of a network, counted before it is built: one of 10¹² would take the machine with it.

        0 where that cannot be told, or where there is no network.
        """
        from zoo.training.model import count_parameters

        gc.freeze()  # or Keras, which collects garbage afterwards, goes through all of TensorFlow each time
        with watched():
            try:
                return count_parameters(lambda: self.call(place)) or 0
            except InvalidParameters:
                return 0
            finally:
                gc.unfreeze()

    def _look(self, network: Any, portrait: Portrait) -> None:
        import keras

        if not isinstance(network, keras.Model):
            portrait.broken = f"expected a keras.Model, but got {type(network).__name__}"
            return
        portrait.compiled = bool(network.compiled)
        outputs = network(self.images(portrait.place.shape), training=False)
        portrait.parameters = int(network.count_params())
        if isinstance(outputs, list | tuple | dict):
            portrait.instead = f"a {type(outputs).__name__} of {len(outputs)}"
        else:
            portrait.outputs = keras.ops.convert_to_numpy(outputs).astype("float32")

    def outputs_with(self, weights: Path) -> Array:
        """Outputs at the defaults with the weights and images of a file, as another backend left them."""
        import numpy as np

        from zoo.training.model import predict

        network = self.build(self.place(), self.seed)
        with np.load(weights) as file:
            network.set_weights([file[f"weight_{number}"] for number in range(len(file.files) - 1)])
            return predict(network, file["images"])
