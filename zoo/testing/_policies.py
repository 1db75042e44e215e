"""An augmentation policy under test: its layers, applied where the checks want them and looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters, PluginError
from zoo.testing._failure import Broken, called, told
from zoo.testing._kit import Suite
from zoo.testing._points import Point
from zoo.testing._state import changed_again, random_states, watched
from zoo.testing._walk import Walker, check_shapes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Shape = tuple[int, int, int]

SHAPES: tuple[Shape, ...] = ((28, 28, 1), (33, 27, 3))
BATCH = 8  # images
_PLAIN = (0.0, 1.0, 0.3)  # black, white, grey all over


@dataclass(frozen=True)
class Place:
    """Where a policy is tried: its parameters, and the images that its layers are given."""

    shape: Shape
    parameters: Point

    @property
    def key(self) -> str:
        return repr((self.shape, self.parameters))


@dataclass
class Portrait:
    """What was seen of the layers made at one place."""

    place: Place
    impossible: InvalidParameters | None = None
    broken: str = ""  # why there are no layers
    unusable: str = ""  # why they take no images
    cause: BaseException | None = None
    kept: Array | None = None  # images after the layers, outside training
    changed: Array | None = None  # and while training
    changes: list[str] = field(default_factory=list)
    random_states: Mapping[str, str] = field(default_factory=dict)


SUITE = Suite("augmentation")


class Policy(Walker):
    """An augmentation policy with the options of `check_augmentation`, which tells what they mean."""

    suite = SUITE

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        input_shapes: Sequence[Shape] = SHAPES,
        input_shape: Shape | None = None,
        space: Mapping[str, Any] | None = None,
        points: Sequence[Mapping[str, Any]] | None = None,
        samples: int = 20,
        seconds: float = 15.0,
        seed: int = 0,
        probe: Callable[[], Any] | None = None,
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
        self.probe = probe
        self._portraits: dict[str, Portrait] = {}

    def validate(self) -> None:
        check_shapes(self.shapes)
        super().validate()

    # --- where

    @property
    def shape(self) -> Shape:
        return self.shapes[0]

    def place(self, parameters: Point | None = None, shape: Shape | None = None) -> Place:
        """The defaults and the first of the shapes, unless said otherwise."""
        return Place(
            tuple(shape or self.shape),  # type: ignore[arg-type]
            self.defaults if parameters is None else parameters,
        )

    def portrait_at(self, parameters: Point) -> Portrait:
        return self.portrait(self.place(parameters))

    def everywhere(self) -> Iterator[Portrait]:
        """Portraits of the defaults, of the points, and of other sizes."""
        yield self.portrait(self.place())
        yield from self.points_tried()
        yield from (self.portrait(place) for place in self.other_sizes())

    def other_sizes(self) -> list[Place]:
        return [self.place(shape=shape) for shape in self.shapes[1:]]

    def usable_places(self, *, all_sizes: bool = False) -> list[Place]:
        """Of the defaults and of points as different as can be, those that are possible."""
        places = [self.place(), *(self.other_sizes() if all_sizes else []), *map(self.place, self.structures)]
        return [place for place in places if self.portrait(place).changed is not None]

    def found(self, place: Place, text: str, cause: BaseException | None = None) -> Broken:
        """What is wrong at one place."""
        call, again = called(self.name, (), place.parameters), self.again(place.parameters)
        if place.shape != self.place().shape:
            call += f" for images of {place.shape}"
            again["input_shapes"] = [tuple(self.shape), place.shape]
        broken = Broken(text, call, again)
        broken.__cause__ = cause
        return broken

    # --- what

    def images(self, shape: Shape | None = None) -> Array:
        """`(BATCH, height, width, channels)`, float32 in `[0, 1]`, always the same.

        The last ones are of one colour all over: who divides by an image's range divides by 0 there.
        """
        import numpy as np

        images = np.random.default_rng(self.seed).random((BATCH, *(shape or self.shape)), dtype="float32")
        for number, value in enumerate(_PLAIN, start=BATCH - len(_PLAIN)):
            images[number] = value
        return images

    def make(self, parameters: Point, seed: int) -> list[Any]:
        """The layers of a point that is known to be sound."""
        import keras

        keras.utils.set_random_seed(seed)
        with watched():
            return list(self.function(**parameters))

    def portrait(self, place: Place) -> Portrait:
        if place.key not in self._portraits:
            # Each has a seed of its own, so that equal random states betray one who sets it.
            self._portraits[place.key] = self._taken(place, self.seed + len(self._portraits))
        return self._portraits[place.key]

    def portrait_again(self) -> Portrait:
        """Of the defaults, once more and after another seed."""
        return self._taken(self.place(), self.seed + len(self._portraits))

    def _taken(self, place: Place, seed: int) -> Portrait:
        import keras

        from zoo.training.model import check_layers

        keras.utils.set_random_seed(seed)
        portrait = Portrait(place)
        with watched() as changes:
            try:
                layers = self.function(**place.parameters)
                check_layers(layers)
            except InvalidParameters as error:
                portrait.impossible = error
            except PluginError as error:
                portrait.broken, portrait.cause = str(error), error
            except (Exception, SystemExit) as error:
                text = f"expected a list of Keras layers or InvalidParameters, but it raised {told(error)}"
                portrait.broken, portrait.cause = text, error
            else:
                self._look(layers, portrait)
            portrait.random_states = random_states()
        portrait.changes = changed_again(
            changes, lambda: self._look(self.function(**place.parameters), Portrait(place))
        )
        return portrait

    def _look(self, layers: Sequence[Any], portrait: Portrait) -> None:
        images = self.images(portrait.place.shape)
        try:
            portrait.kept = applied(layers, images, training=False)
            portrait.changed = applied(layers, images, training=True)
        except Exception as error:
            portrait.unusable = (
                f"expected layers that take images of {portrait.place.shape}, but they raise {told(error)}"
            )
            portrait.cause = error


def applied(layers: Sequence[Any], images: Array, *, training: bool) -> Array:
    """The images after all layers; `training` reaches also those that do not ask for it."""
    from keras import Sequential, ops

    if not layers:
        return images
    outputs: Array = ops.convert_to_numpy(Sequential(list(layers))(images, training=training))
    return outputs


def compiled(layers: Sequence[Any], shape: Shape) -> Callable[[Array], Array]:
    """A function that applies the layers in training, as part of a compiled model.

    As in a trial's `fit` the size of a batch is unknown when that is compiled: so it is after two sizes.
    """
    if not layers:
        return lambda images: images
    import keras
    import numpy as np

    class InTraining(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.policy = keras.Sequential(list(layers))

        def call(self, images: Any) -> Any:
            return self.policy(images, training=True)

    inputs = keras.Input(shape)
    model = keras.Model(inputs, InTraining()(inputs))
    model.predict(np.zeros((1, *shape), "float32"), verbose=0)

    def apply(images: Array) -> Array:
        outputs: Array = model.predict(images, verbose=0)
        return outputs

    return apply
