"""What a trained model says of itself. Everything here that computes runs in the process with Keras."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.data.store import open_dataset
from zoo.data.validation import validation_split
from zoo.errors import ZooError, did_you_mean
from zoo.figures import LayerMaps
from zoo.registry import Registry
from zoo.training.saved import load_file
from zoo.trial import PluginConfig

if TYPE_CHECKING:
    import keras

_LISTED = 12  # layers that an error names


@dataclass(frozen=True)
class Layer:
    """One row of a layer table.

    Args:
        name: what `--layer` takes: the layer's own name, with the names of the networks it is in
            before it where it is not the only one of that name.
        depth: how many networks it is in, besides the whole.
        output: shape for one image, `(height, width, channels)` or `(units,)`; None where nothing
            passed it.
        trained: whether training changed its parameters.
        is_network: whether it is a network of the layers below it.
    """

    name: str
    kind: str
    depth: int
    output: tuple[int, ...] | None
    parameters: int
    trained: bool
    is_network: bool


@dataclass(frozen=True)
class LayerTable:
    """The layers of a network in their order; `str` is the table as text."""

    layers: tuple[Layer, ...]
    parameters: int
    trained: int

    def __str__(self) -> str:
        rows = [("layer", "kind", "output", "parameters", "")]
        for layer in self.layers:
            output = "" if layer.output is None else "×".join(map(str, layer.output))
            note = "frozen" if layer.parameters and not layer.trained else ""
            counted = f"{layer.parameters:,}" if layer.parameters else ""
            rows.append(("  " * layer.depth + layer.name, layer.kind, output, counted, note))
        rows.append(("total", "", "", f"{self.parameters:,}", f"{self.trained:,} of them trained"))
        first, second, third, fourth = (max(len(row[column]) for row in rows) for column in range(4))
        return "\n".join(
            f"{name:<{first}}  {kind:<{second}}  {output:<{third}}  {count:>{fourth}}  {note}".rstrip()
            for name, kind, output, count, note in rows
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # a notebook shows the table


def layer_table(model_file: Path, image: npt.NDArray[Any]) -> LayerTable:
    """The layers of a saved model with the shapes that `image` (height, width, channels) takes in them."""
    model = load_file(model_file)
    outputs = {id(layer): output for layer, output in _pass(model, image)}
    names = _names(model)
    rows = [
        Layer(
            name=names[id(layer)],
            kind=type(layer).__name__,
            depth=depth,
            output=_shape(outputs.get(id(layer))),
            parameters=int(layer.count_params()) if layer.built else 0,
            trained=bool(layer.trainable_weights),
            is_network=_is_network(layer),
        )
        for layer, depth in _walk(model)
    ]
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return LayerTable(tuple(rows), int(model.count_params()), trained)


def maps(model_file: Path, image: npt.NDArray[Any], layer: str | None, at_most: int) -> list[LayerMaps]:
    """What the layers made of `image`, in the order in which it passes them.

    Args:
        image: `uint8`, shape `(height, width, channels)`.
        layer: the name of one; None for every convolution and pooling that gives maps.
        at_most: maps of each.

    Raises:
        ZooError: there is no such layer, or none that gives maps.
    """
    model = load_file(model_file)
    names = _names(model)
    passed = [(names[id(one)], one, output) for one, output in _pass(model, image) if not _is_input(one)]
    with_maps = {name: (one, output[0]) for name, one, output in passed if _shape(output, maps=True)}
    if layer is None:
        chosen = [name for name, (one, _) in with_maps.items() if _convolves_or_pools(one)]
        if not chosen:
            kinds = ", ".join(dict.fromkeys(type(one).__name__ for _, one, _ in passed))
            raise ZooError(f"The network has no convolution or pooling, so no feature maps; it has {kinds}.")
    else:
        chosen = [_chosen(layer, passed, with_maps)]
    return [
        LayerMaps(name, type(one).__name__, np.asarray(output[:, :, :at_most], np.float32), output.shape[2])
        for name in chosen
        for one, output in [with_maps[name]]
    ]


def first_filters(model_file: Path) -> tuple[str, npt.NDArray[Any]]:
    """Name and kernel `(height, width, input channels, filters)` of the first convolution.

    Raises:
        ZooError: there is none.
    """
    import keras
    from keras import ops

    model = load_file(model_file)
    names = _names(model)
    for layer, _ in _walk(model):
        if isinstance(layer, keras.layers.Conv2D):
            return names[id(layer)], ops.convert_to_numpy(layer.kernel)
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D):
            separable = isinstance(layer, keras.layers.SeparableConv2D)
            kernel = ops.convert_to_numpy(layer.depthwise_kernel if separable else layer.kernel)
            # Every input channel has filters of its own, which see nothing of the others.
            return names[id(layer)], kernel.reshape(*kernel.shape[:2], 1, -1)
    raise ZooError("The network has no convolution, so it learned no filters to draw.")


def probabilities(
    model_file: Path, cache: Path, digest: str, validation: Mapping[str, Any]
) -> npt.NDArray[Any]:
    """Class probabilities `(n, classes)` of the validation split's images."""
    from zoo.training.model import predict

    split = validation_split(cache, digest, open_dataset(cache, digest), validation)
    return predict(load_file(model_file), split.images)


def augmented(chosen: PluginConfig, batches: Sequence[npt.NDArray[Any]], seed: int) -> list[npt.NDArray[Any]]:
    """What an augmentation policy makes of images while training.

    Args:
        batches: of `uint8` images, shape `(n, height, width, channels)`.

    Returns:
        The batches, each image in one version.
    """
    import keras
    from keras import ops

    from zoo.training.model import check_layers, check_shape

    keras.utils.set_random_seed(seed)
    entry = Registry.load().get("augmentation", chosen.name)
    policy = entry.function(**entry.space.check(chosen.parameters))
    check_layers(policy)
    check_shape(policy, batches[0].shape[1:])
    images = pixels = keras.Input(batches[0].shape[1:])
    images = keras.layers.Rescaling(1 / 255)(images)
    for layer in policy:
        images = layer(images)
    model = keras.Model(pixels, images)
    outputs = [ops.convert_to_numpy(model(batch, training=True)) for batch in batches]
    return [(output * 255).round().clip(0, 255).astype(np.uint8) for output in outputs]


def _walk(model: keras.Model) -> list[tuple[Any, int]]:
    """Every layer once, and in how many networks it is; what is in a network follows it.

    The network that zoo put the scaling of the pixels before is the whole, not one of those.
    """
    networks = [layer for layer in model.layers if _is_network(layer)]
    outermost = [
        inner
        for layer in model.layers
        for inner in (_inner_layers(layer) if networks == [layer] else [layer])
    ]
    found: dict[int, tuple[Any, int]] = {}
    for layer, depth in _downwards(outermost, 0):
        found.setdefault(id(layer), (layer, depth))
    return list(found.values())


def _downwards(layers: Sequence[Any], depth: int) -> Iterator[tuple[Any, int]]:
    for layer in layers:
        yield layer, depth
        if _is_network(layer):
            yield from _downwards(_inner_layers(layer), depth + 1)


def _inner_layers(network: keras.Model) -> list[Any]:
    return [layer for layer in network.layers if not _is_input(layer)]


def _names(model: keras.Model) -> dict[int, str]:
    """What each layer is called, by its id: its own name, with those of its networks where others have it."""
    paths: dict[int, tuple[str, ...]] = {}
    above: list[str] = []
    for layer, depth in _walk(model):
        above[depth:] = [layer.name]
        paths[id(layer)] = tuple(above)
    own = [path[-1] for path in paths.values()]
    return {key: path[-1] if own.count(path[-1]) == 1 else "/".join(path) for key, path in paths.items()}


def _pass(model: keras.Model, image: npt.NDArray[Any]) -> list[tuple[Any, npt.NDArray[Any]]]:
    """Each layer with what it made of `image`, `(1, …)`, in the order in which the image passed them.

    Of a layer that is passed several times, what it made of it first; layers with several outputs are
    left out.
    """
    from keras import ops

    layers = [layer for layer, _ in _walk(model)]
    passed: dict[int, tuple[Any, Any]] = {
        id(layer): (layer, image[None]) for layer in layers if _is_input(layer)
    }

    def keep(layer: Any, output: Any) -> None:
        if hasattr(output, "shape"):
            passed.setdefault(id(layer), (layer, output))

    with _watched([layer for layer in layers if not _is_input(layer)], keep):
        model(image[None], training=False)
    return [(layer, ops.convert_to_numpy(output)) for layer, output in passed.values()]


@contextmanager
def _watched(layers: Sequence[Any], keep: Callable[[Any, Any], None]) -> Iterator[None]:
    """Have `keep` told of everything that `layers` give while in here, however networks are nested.

    A new model from the first input to the outputs of inner layers would be Keras's own way, but the
    layers of a network within a network belong to a graph of their own.
    """

    def watch(layer: Any) -> Callable[..., Any]:
        call = layer.call

        @functools.wraps(call)
        def call_and_tell(*args: Any, **options: Any) -> Any:
            output = call(*args, **options)
            keep(layer, output)
            return output

        return call_and_tell

    for layer in layers:
        layer.call = watch(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def _chosen(
    wanted: str,
    passed: Sequence[tuple[str, Any, npt.NDArray[Any]]],
    with_maps: Mapping[str, Any],
) -> str:
    """The layer called `wanted`, if it gives maps."""
    outputs = {name: output for name, _, output in passed}
    if wanted in with_maps:
        return wanted
    if wanted in outputs:
        numbers = "×".join(map(str, outputs[wanted].shape[1:]))
        raise ZooError(f"The layer '{wanted}' gives {numbers} numbers, not maps; {_listed(with_maps)}")
    several = [name for name in outputs if name.rpartition("/")[2] == wanted]
    if several:
        raise ZooError(f"There are several layers called '{wanted}': {', '.join(several)}.")
    hint = did_you_mean(wanted, outputs)
    if not hint.startswith("Did you mean"):
        hint = _listed(with_maps)[0].upper() + _listed(with_maps)[1:]
    raise ZooError(f"There is no layer '{wanted}'. {hint}")


def _listed(names: Mapping[str, Any]) -> str:
    if not names:
        return "none of this network does."
    first = list(names)[:_LISTED]
    more = ", … (zoo inspect layers has all)" if len(names) > _LISTED else "."
    return f"maps give: {', '.join(first)}{more}"


def _shape(output: npt.NDArray[Any] | None, *, maps: bool = False) -> tuple[int, ...] | None:
    """The shape for one image; with `maps`, only where it is `(height, width, channels)`."""
    if output is None or (maps and output.ndim != 4):
        return None
    return tuple(int(size) for size in output.shape[1:])


def _is_network(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.Model)


def _is_input(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.InputLayer)


def _convolves_or_pools(layer: Any) -> bool:
    import keras

    kinds = keras.layers
    return isinstance(
        layer,
        kinds.Conv2D
        | kinds.Conv2DTranspose
        | kinds.DepthwiseConv2D
        | kinds.SeparableConv2D
        | kinds.MaxPooling2D
        | kinds.AveragePooling2D,
    )
