"""An augmentation policy under test: its layers, applied where the checks want them and looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters, PluginError, ZooError
from zoo.testing._failure import Broken, called, told
from zoo.testing._kit import Suite
from zoo.testing._points import Point
from zoo.testing._state import random_states, watched
from zoo.testing._walk import Walker, is_shape

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Shape = tuple[int, int, int]

BATCH = 8  # images


@dataclass
class Portrait:
    """What was seen of the layers made at one point."""

    parameters: Point
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
        input_shape: Shape = (28, 28, 1),
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
        self.shape = input_shape
        self.probe = probe
        self._portraits: dict[str, Portrait] = {}

    def validate(self) -> None:
        if not is_shape(self.shape):
            text = "input_shape: expected (height, width, channels), such as (32, 32, 3)"
            raise ZooError(f"{text}, but got {self.shape!r}.")
        super().validate()

    def everywhere(self) -> Iterator[Portrait]:
        """Portraits of the defaults and of the points."""
        yield self.portrait_at(self.defaults)
        yield from self.points_tried()

    def found(self, parameters: Point, text: str, cause: BaseException | None = None) -> Broken:
        """What is wrong at one point."""
        broken = Broken(text, called(self.name, (), parameters), self.again(parameters))
        broken.__cause__ = cause
        return broken

    @property
    def images(self) -> Array:
        """`(BATCH, height, width, channels)`, float32 in `[0, 1]`, always the same."""
        import numpy as np

        return np.random.default_rng(self.seed).random((BATCH, *self.shape), dtype="float32")

    def make(self, parameters: Point, seed: int) -> list[Any]:
        """The layers of a point that is known to be sound."""
        import keras

        keras.utils.set_random_seed(seed)
        with watched():
            return list(self.function(**parameters))

    def portrait_at(self, parameters: Point) -> Portrait:
        key = repr(parameters)
        if key not in self._portraits:
            # Each has a seed of its own, so that equal random states betray one who sets it.
            self._portraits[key] = self._taken(parameters, self.seed + len(self._portraits))
        return self._portraits[key]

    def portrait_again(self) -> Portrait:
        """Of the defaults, once more and after another seed."""
        return self._taken(self.defaults, self.seed + len(self._portraits))

    def _taken(self, parameters: Point, seed: int) -> Portrait:
        import keras

        from zoo.training.model import check_layers

        keras.utils.set_random_seed(seed)
        portrait = Portrait(parameters)
        with watched() as changes:
            try:
                layers = self.function(**parameters)
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
        portrait.changes = changes
        return portrait

    def _look(self, layers: Sequence[Any], portrait: Portrait) -> None:
        try:
            portrait.kept = applied(layers, self.images, training=False)
            portrait.changed = applied(layers, self.images, training=True)
        except Exception as error:
            portrait.unusable = (
                f"expected layers that take images of {self.shape}, but they raise {told(error)}"
            )
            portrait.cause = error


def applied(layers: Sequence[Any], images: Array, *, training: bool) -> Array:
    """The images after all layers; `training` reaches also those that do not ask for it."""
    from keras import Sequential, ops

    if not layers:
        return images
    outputs: Array = ops.convert_to_numpy(Sequential(list(layers))(images, training=training))
    return outputs
