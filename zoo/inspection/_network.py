"""The layers of a trained network, their outputs and weights: functions for a worker process with Keras."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.data.store import open_dataset
from zoo.data.validation import validation_split
from zoo.errors import ZooError, did_you_mean, shape_text
from zoo.figures import LayerMaps
from zoo.registry import Registry
from zoo.training.saved import load_file
from zoo.trial import PluginConfig

if TYPE_CHECKING:
    import keras

Array = npt.NDArray[Any]

_MAX_LISTED = 12  # layers in an error message


@dataclass(frozen=True)
class Layer:
    """One row of a layer table.

    Args:
        name: the layer's own name. If several layers have this name, it begins with the names of the networks
            that contain the layer: `vgg16/conv`. `--layer` takes this name.
        depth: the number of nested networks that contain the layer.
        output: the output shape for one image, `(height, width, channels)` or `(units,)`; None if the
            layer is not used, or has several outputs.
        trained: True if training changes the layer's parameters.
        is_network: True for a nested network; its layers follow in the table.
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
    """The layers of a network in order; `str` returns a text table.

    Args:
        parameters: number of parameters of the network.
        trained: number of parameters that training changes.
    """

    layers: tuple[Layer, ...]
    parameters: int
    trained: int

    def __str__(self) -> str:
        rows = [("layer", "kind", "output", "parameters", "")]
        for layer in self.layers:
            output = "" if layer.output is None else shape_text(layer.output)
            note = "frozen" if layer.parameters and not layer.trained else ""
            count = f"{layer.parameters:,}" if layer.parameters else ""
            rows.append(("  " * layer.depth + layer.name, layer.kind, output, count, note))
        rows.append(("total", "", "", f"{self.parameters:,}", f"{self.trained:,} of them trained"))
        first, second, third, fourth = (max(len(row[column]) for row in rows) for column in range(4))
        return "\n".join(
            f"{name:<{first}}  {kind:<{second}}  {output:<{third}}  {count:>{fourth}}  {note}".rstrip()
            for name, kind, output, count, note in rows
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # displays the table in a notebook


def layer_table(model_path: Path, image: Array) -> LayerTable:
    """Return the layers of a saved model, with the shapes of their outputs for an image."""
    import keras

    model = load_file(model_path)
    shapes = {key: output.shape[1:] for key, output in layer_outputs(model, image).items()}
    rows = [
        Layer(
            name=name,
            kind=type(layer).__name__,
            depth=depth,
            output=image.shape if isinstance(layer, keras.layers.InputLayer) else shapes.get(id(layer)),
            parameters=int(layer.count_params()) if layer.built else 0,
            trained=bool(layer.trainable_weights),
            is_network=isinstance(layer, keras.Model),
        )
        for name, layer, depth in named_layers(model)
    ]
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return LayerTable(tuple(rows), int(model.count_params()), trained)


def feature_maps(model_path: Path, image: Array, layer_name: str | None, max_maps: int) -> list[LayerMaps]:
    """Return feature maps of layers for an image, in the order of the forward pass.

    Args:
        layer_name: the name of one layer; None for every convolution and pooling layer.
        max_maps: the largest number of maps of each layer.
    """
    from keras import layers

    model = load_file(model_path)
    by_id = {id(layer): (name, layer) for name, layer, _ in named_layers(model)}
    outputs = {by_id[key]: output[0] for key, output in layer_outputs(model, image).items()}
    if layer_name is not None:
        _check_maps(layer_name, {name: output for (name, _), output in outputs.items()})
        selected = {key: output for key, output in outputs.items() if key[0] == layer_name}
    else:
        convolutions = (
            layers.Conv2D | layers.Conv2DTranspose | layers.DepthwiseConv2D | layers.SeparableConv2D
        )
        kinds = convolutions | layers.MaxPooling2D | layers.AveragePooling2D
        selected = {key: output for key, output in outputs.items() if isinstance(key[1], kinds)}
    if not selected:
        found = ", ".join(dict.fromkeys(type(layer).__name__ for _, layer in outputs))
        raise ZooError(
            f"the network has no convolution or pooling layer, so it has no feature maps; it has {found}."
        )
    return [
        LayerMaps(
            name, type(layer).__name__, np.asarray(output[:, :, :max_maps], np.float32), output.shape[2]
        )
        for (name, layer), output in selected.items()
    ]


def first_filters(model_path: Path) -> tuple[str, Array]:
    """Return name and kernel `(height, width, input channels, filters)` of the first convolution."""
    import keras
    from keras import ops

    for name, layer, _ in named_layers(load_file(model_path)):
        if isinstance(layer, keras.layers.Conv2D):
            return name, ops.convert_to_numpy(layer.kernel)
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D):
            separable = isinstance(layer, keras.layers.SeparableConv2D)
            kernel = ops.convert_to_numpy(layer.depthwise_kernel if separable else layer.kernel)
            # Each input channel has its own filters, so all filters are drawn separately.
            return name, kernel.reshape(*kernel.shape[:2], 1, -1)
    raise ZooError("the network has no convolution, so it has no filters to draw.")


def predict(model_path: Path, cache_dir: Path, digest: str, validation: Mapping[str, Any]) -> Array:
    """Return class probabilities `(n, classes)` of the validation split."""
    from zoo.training import model

    split = validation_split(cache_dir, digest, open_dataset(cache_dir, digest), validation)
    return model.predict(load_file(model_path), split.images)


def augment(config: PluginConfig, batches: Sequence[Array], seed: int) -> list[Array]:
    """Return batches of `uint8` images after an augmentation policy, in training mode."""
    import keras
    from keras import ops

    from zoo.training.model import assemble, check_layers, check_shape

    keras.utils.set_random_seed(seed)
    component = Registry.load().get("augmentation", config.name)
    policy = component.function(**component.space.check(config.parameters))
    shape = batches[0].shape[1:]
    check_layers(policy)
    check_shape(policy, shape)
    model, _ = assemble(keras.layers.Identity(), policy, shape)
    outputs = [ops.convert_to_numpy(model(batch, training=True)) for batch in batches]
    return [(output * 255).round().clip(0, 255).astype(np.uint8) for output in outputs]


def named_layers(model: keras.Model) -> list[tuple[str, Any, int]]:
    """Return each layer of a model once, with name and depth as in `Layer`: `(name, layer, depth)`.

    A nested network precedes its layers. A model that zoo trained consists of scaling layers and the plugin's
    network. The layers of this network are listed as layers of the model itself.
    """
    import keras

    networks = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    found: dict[int, tuple[Any, tuple[str, ...]]] = {}  # id -> the layer, and the names on its path

    def visit(layers: Sequence[Any], outer: tuple[str, ...]) -> None:
        for layer in layers:
            path = outer if networks == [layer] else (*outer, layer.name)
            if path is not outer:
                found.setdefault(id(layer), (layer, path))
            if isinstance(layer, keras.Model):
                visit([one for one in layer.layers if not isinstance(one, keras.layers.InputLayer)], path)

    visit(model.layers, ())
    counts = Counter(path[-1] for _, path in found.values())
    return [
        (path[-1] if counts[path[-1]] == 1 else "/".join(path), layer, len(path) - 1)
        for layer, path in found.values()
    ]


def layer_outputs(model: keras.Model, image: Array) -> dict[int, Array]:
    """Return the output `(1, …)` of each layer for `image`, by the layer's id, in the order of computation.

    If a layer is used several times, its first output is returned. A layer with several outputs is left out.

    A new Keras model cannot return these outputs, because the layers of a nested network belong to another
    graph. Therefore, the `call` of every layer is replaced during the forward pass.
    """
    from keras import ops

    layers = [layer for _, layer, _ in named_layers(model)]
    outputs: dict[int, Any] = {}

    def watch(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def call_and_keep(*args: Any, **options: Any) -> Any:
            output = call(*args, **options)
            if hasattr(output, "shape"):
                outputs.setdefault(id(layer), output)
            return output

        return call_and_keep

    for layer in layers:
        layer.call = watch(layer, layer.call)
    try:
        model(image[None], training=False)
    finally:
        for layer in layers:
            del layer.call
    return {key: ops.convert_to_numpy(output) for key, output in outputs.items()}


def _check_maps(name: str, outputs: Mapping[str, Array]) -> None:
    """Raise ZooError if the layer `name` has no feature maps, that is, no output with three dimensions."""
    names_with_maps = [one for one, output in outputs.items() if output.ndim == 3]
    if name in names_with_maps:
        return
    more = ", …; `zoo inspect layers` lists all" if len(names_with_maps) > _MAX_LISTED else ""
    available = f"Layers with feature maps: {', '.join(names_with_maps[:_MAX_LISTED]) or 'none'}{more}."
    if name in outputs:
        shape = shape_text(outputs[name].shape)
        raise ZooError(f"the layer '{name}' has no feature maps: its output has shape {shape}. {available}")
    same_name = [one for one in outputs if one.rpartition("/")[2] == name]
    if same_name:
        raise ZooError(f"{len(same_name)} layers are named '{name}': choose one of {', '.join(same_name)}.")
    hint = did_you_mean(name, outputs)
    raise ZooError(f"there is no layer '{name}'. {hint if hint.startswith('Did you mean') else available}")
