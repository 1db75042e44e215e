"""Whether an architecture keeps the contract: the checks, in their order."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError
from zoo.process import spawn_worker
from zoo.testing import _children
from zoo.testing._failure import Skipped, counted, counted_of, told
from zoo.testing._kit import check_all, docstring, options_of, other_backends, signature
from zoo.testing._networks import SUITE, Network, Place, Portrait
from zoo.testing._state import disturbance

if TYPE_CHECKING:
    import keras
    import numpy as np

    Array = np.ndarray[Any, Any]

_RATE = 0.05  # of the optimiser, in whatever is trained here
_TOLERANCE = 1e-3  # between two machines' probabilities
_DECLARE = "declare needs_plugin_to_load=True (--needs-plugin at the prompt)"


def check_architecture(
    function: Callable[..., Any], *, checks: Sequence[str] | None = None, **options: Any
) -> None:
    """Make every check of an architecture, or those named in `checks`; docs/testing.md tells them all.

    Args:
        input_shapes: list of `(height, width, channels)` it is made for; its space is tried at the
            first. 28×28×1, 32×32×3 and 33×27×3 if not given; `input_shape` is for a single one.
        num_classes: for which it is mostly built; 10. `class_counts`: for which it is too; 2 and 100.
        space: as a study's table: `{"weights": "none"}` pins, `{"filters": {"high": 64}}` narrows.
        points: list of parameters to try instead of corners and random points.
        samples: how many random points; 20. `seconds`: after which no more are tried, and no more networks
            trained or saved; 15. `seed`: 0.
        max_parameters: at most so many weights; 100 million.
        needs_plugin_to_load: its saved models may have layers of the plugin's own.

    Raises:
        CheckFailed: with every check that failed, what was expected, what came, at which parameters,
            and a line that reproduces it.
    """
    __tracebackhide__ = True
    check_all(Network(function, given=options, **options_of(Network, options)), checks)


SUITE.check()(signature)
SUITE.check("signature")(docstring)


@SUITE.check("signature")
def defaults(net: Network) -> str:
    """At its defaults it builds a Keras model that takes images."""
    portrait = net.portrait(net.place())
    if portrait.impossible is not None:
        text = (
            f"expected the defaults to be possible for images of {net.shape} and {net.num_classes} classes, "
            f"but: {portrait.impossible} (if it is not made for them, say for which: input_shapes=[…], "
            "num_classes=… and class_counts=[…]; at the prompt --shape 64x64x3 and --classes)"
        )
        raise net.found(portrait.place, text, portrait.impossible)
    _sound(net, portrait)
    if portrait.too_large:
        raise Skipped(f"{counted(portrait.parameters, 'weight')} are more than max_parameters")
    return counted(portrait.parameters, "weight")


@SUITE.check("defaults")
def search_space(net: Network) -> str:
    """At every corner and at random points it builds a model too, or raises InvalidParameters."""
    tried = impossible = 0
    for portrait in net.points_tried():
        _sound(net, portrait)
        tried += 1
        impossible += portrait.impossible is not None
    planned = len(net.corners) + len(net.sampled)
    some = counted_of(tried, planned, "point")
    return f"{some}; {impossible} of them impossible" if impossible else some


@SUITE.check("search_space")
def small_images(net: Network) -> str:
    """For 8×8 pixels it builds a model, or raises InvalidParameters."""
    places = net.small_places()
    for place in places:
        _sound(net, net.portrait(place))
    return counted(len(places), "point")


@SUITE.check("defaults")
def uncompiled(net: Network) -> None:
    """The model is not compiled."""
    for portrait in net.everywhere():
        if portrait.compiled:
            text = "expected an uncompiled model, since compiling is the study's part, but it is compiled"
            raise net.found(portrait.place, text)


@SUITE.check("defaults")
def output_shape(net: Network) -> None:
    """The output is one array `(batch, num_classes)`."""
    for portrait in net.everywhere(all_class_counts=False):
        _right_shape(net, portrait)


@SUITE.check("output_shape")
def image_sizes(net: Network) -> str:
    """It works for each of the sizes it is made for, one of them odd and not square."""
    for shape in net.shapes:
        portrait = net.portrait(net.place(shape=shape))
        if portrait.impossible is not None:
            text = (
                f"expected a network for images of {shape}, but: {portrait.impossible} "
                "(if it is not made for them, say for which: input_shapes=[…]; at the prompt --shape 64x64x3)"
            )
            raise net.found(portrait.place, text, portrait.impossible)
        _sound(net, portrait)
        _right_shape(net, portrait)
    return ", ".join("×".join(map(str, shape)) for shape in net.shapes)


@SUITE.check("output_shape")
def class_numbers(net: Network) -> str:
    """It works for other numbers of classes too: for 2 and for 100."""
    for classes in net.class_counts:
        portrait = net.portrait(net.place(classes=classes))
        if portrait.impossible is not None:
            text = (
                f"expected a network for {classes} classes, but: {portrait.impossible} "
                "(if it is not made for so many, say for how many: num_classes=… and class_counts=[…]; "
                "at the prompt --classes)"
            )
            raise net.found(portrait.place, text, portrait.impossible)
        _sound(net, portrait)
        _right_shape(net, portrait)
    return " and ".join(map(str, net.class_counts)) or "no other number given"


@SUITE.check("output_shape")
def probabilities(net: Network) -> None:
    """The output is class probabilities: not below 0, and each row sums to 1."""
    from zoo.training.model import check_probabilities

    for portrait in net.everywhere():
        if portrait.outputs is not None and _has_right_shape(portrait):
            try:
                check_probabilities(portrait.outputs)
            except PluginError as error:
                raise net.found(portrait.place, str(error)) from None


@SUITE.check("signature")
def parameter_count(net: Network) -> str:
    """It has no more weights than `max_parameters`, wherever it is built; what has more is not built."""
    defaults = net.portrait(net.place())
    if not (defaults.built or defaults.too_large):
        raise Skipped("there is no network at its defaults")
    largest = 0
    for portrait in net.everywhere():
        largest = max(largest, portrait.parameters)
        if largest > net.max_parameters:
            text = (
                f"expected at most {net.max_parameters:,} weights, but it has {largest:,} "
                "(if it is meant to be so large: max_parameters=…)"
            )
            raise net.found(portrait.place, text)
    return f"at most {largest:,}"


@SUITE.check("defaults")
def repeatable(net: Network) -> None:
    """The same seed gives the same initial weights."""
    import numpy as np

    place = net.place()
    first, second = (net.build(place, net.seed) for _ in range(2))
    if len(first.weights) != len(second.weights):
        counts = f"{len(first.weights)}, then {len(second.weights)}"
        raise net.found(place, f"expected the same weights from the same seed, but there are {counts}")
    for weight, one, other in zip(first.weights, first.get_weights(), second.get_weights(), strict=True):
        if not np.array_equal(one, other):
            text = f"expected the same initial weights from the same seed, but '{weight.path}' differs"
            raise net.found(place, text)


@SUITE.check("defaults")
def global_state(net: Network) -> None:
    """Building changes nothing that outlives it: seeds, environment, Keras's settings, warnings, folder."""
    disturbed = disturbance([*net.everywhere(), net.portrait_again()])
    if disturbed is not None:
        portrait, what = disturbed
        raise net.found(portrait.place, f"expected it to leave alone what others use, but {what}")


@SUITE.check("probabilities")
def training_step(net: Network) -> str:
    """One step of an optimiser, compiled as in a trial, changes the loss, and it stays finite."""
    import keras
    import numpy as np

    place = net.place()
    network = net.build(place, net.seed)
    if not network.trainable_weights:
        raise net.found(place, "expected trainable weights, but it has none")
    images, labels = net.images(place.shape), _labels(net)
    before = _loss(network, images, labels)
    network.compile(keras.optimizers.SGD(_RATE), "sparse_categorical_crossentropy")
    try:
        network.fit(images, labels, batch_size=len(images), verbose=0)
        after = _loss(network, images, labels)
    except Exception as error:
        raise net.found(place, f"expected to train one step, but it raised {told(error)}", error) from error
    if not np.isfinite([before, after]).all():
        raise net.found(place, f"expected a finite loss, but it went from {before:.6g} to {after:.6g}")
    if before == after:
        raise net.found(place, f"expected one step to change the loss, but it stayed {before:.6g}")
    return f"loss from {before:.4g} to {after:.4g}"


@SUITE.check("training_step")
def gradients(net: Network) -> str:
    """A gradient reaches every trainable weight, within three steps and three seeds."""
    tried, places = 0, net.built_places()
    for place in net.in_time(places):
        _reached(net, place)
        tried += 1
    return counted_of(tried, len(places), "network")


@SUITE.check("probabilities")
def saving(net: Network) -> str:
    """Its saved models load where neither the plugin nor zoo is installed, and give the same outputs.

    With `needs_plugin_to_load` they are loaded where the plugin is imported first.
    """
    from zoo.training.worker import fork_server

    saved: list[tuple[Place, str, Array]] = []
    module = str(net.function.__module__)
    modules = {module}
    places = net.built_places()
    with TemporaryDirectory() as folder:
        for place in net.in_time(places):
            digest, outputs, used = _saved(net, place, Path(folder, str(len(saved))))
            saved.append((place, digest, outputs))
            modules |= used
        if net.needs_plugin_to_load:
            absent, imported = [], sorted(modules)
            where = f"with {', '.join(imported)} imported"
        else:
            absent, imported = sorted({"zoo", module.partition(".")[0]} - {"__main__"}), []
            where = f"without {' and '.join(absent)} installed"
        fork_server().start()
        child = fork_server().start_worker(_children.load_models, (Path(folder), absent, imported))
        loaded = _children.answer_of(child, f"loading saved models {where}")
    for number, (place, digest, outputs) in enumerate(saved):
        _same(net, place, loaded[str(number)], digest, outputs, where)
    return f"{counted_of(len(saved), len(places), 'network')}, loaded {where}"


@SUITE.check("training_step")
def backends(net: Network) -> str:
    """Under TensorFlow and under JAX, as far as installed, it does the same."""
    import keras
    import numpy as np

    here = keras.backend.backend()
    others = other_backends(here)
    if not others:
        raise Skipped(f"only {here} is installed")
    origin = net.found_elsewhere()
    place = net.place()
    network = net.build(place, net.seed)
    outputs = _outputs(network, net.images(place.shape))
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.npz")
        weights = {f"weight_{number}": array for number, array in enumerate(network.get_weights())}
        np.savez(path, images=net.images(place.shape), **weights)
        for backend in others:
            _check_under(net, origin, backend, path, outputs)
    return f"{here} and {', '.join(others)}"


# --- parts


def _sound(net: Network, portrait: Portrait) -> None:
    if portrait.broken:
        raise net.found(portrait.place, portrait.broken, portrait.cause)


def _has_right_shape(portrait: Portrait) -> bool:
    outputs = portrait.outputs
    return outputs is not None and outputs.ndim == 2 and outputs.shape[1] == portrait.place.classes


def _right_shape(net: Network, portrait: Portrait) -> None:
    if portrait.built and not _has_right_shape(portrait):
        outputs = portrait.outputs
        came = portrait.instead if outputs is None else ("batch", *outputs.shape[1:])
        expected = ("batch", portrait.place.classes)
        raise net.found(portrait.place, f"expected an output of shape {expected}, but got {came}")


def _outputs(network: Any, images: Array) -> Array:
    from zoo.training.model import predict

    return predict(network, images)


def _labels(net: Network) -> Array:
    import numpy as np

    return np.arange(len(net.images(net.shape))) % net.num_classes


def _loss(network: Any, images: Array, labels: Array) -> float:
    import numpy as np

    of_truth = _outputs(network, images).astype("float64")[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(of_truth, 1e-300, 1)).mean())


def _reached(net: Network, place: Place) -> None:
    """Broken where a trainable weight never gets a gradient.

    Several steps, because a weight behind one that starts at zero gets its gradient once that has
    moved; several seeds, because a few ReLUs may all be off by chance.
    """
    missing: dict[int, str] = {}
    for attempt in range(3):
        network = net.build(place, net.seed + attempt)
        never = _without_gradient(net, network, place)
        missing = {number: path for number, path in never.items() if number in missing or not attempt}
        if not missing:
            return
    shown = ", ".join(f"'{path}'" for path in list(missing.values())[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    raise net.found(place, f"expected a gradient for every trainable weight, but none reaches {shown}{more}")


def _without_gradient(net: Network, network: keras.Model, place: Place, steps: int = 3) -> dict[int, str]:
    """Number and path of every trainable weight whose gradient is zero in each of some steps."""
    import keras
    import numpy as np

    never = {number: weight.path for number, weight in enumerate(network.trainable_weights)}

    class Watching(keras.optimizers.SGD):  # type: ignore[misc]
        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            for number, gradient in enumerate(grads):
                if gradient is not None and np.any(keras.ops.convert_to_numpy(gradient) != 0):
                    never.pop(number, None)
            if any(gradient is not None for gradient in grads):
                super().apply(grads, trainable_variables)

    network.compile(Watching(_RATE), "sparse_categorical_crossentropy", run_eagerly=True)
    try:
        for _ in range(steps):
            if never:
                network.train_on_batch(net.images(place.shape), _labels(net))
    except Exception as error:
        raise net.found(place, f"expected to train it, but that raised {told(error)}", error) from error
    return never


def _saved(net: Network, place: Place, path: Path) -> tuple[str, Array, set[str]]:
    """Save the network of a place; the digest of its weights, its outputs, and whose classes are in it."""
    import numpy as np

    from zoo.training.saved import check_layers_registered

    network, images = net.build(place, net.seed), net.images(place.shape)
    try:
        check_layers_registered(network)  # as a trial does, and with its words
    except PluginError as error:
        raise net.found(place, f"expected a model that can be loaded again, but {error}") from None
    np.save(path.with_suffix(".npy"), images)
    try:
        network.save(path.with_suffix(".keras"))
    except Exception as error:
        raise net.found(
            place, f"expected to save it as .keras, but that raised {told(error)}", error
        ) from error
    with zipfile.ZipFile(path.with_suffix(".keras")) as archive:
        own = sorted(set(_own(json.loads(archive.read("config.json")))))
    if own and not net.needs_plugin_to_load:
        text = f"expected a model of Keras's own layers, but {_listed(own)} the plugin's own; {_DECLARE}"
        raise net.found(place, text)
    return _children.digest_of_weights(network), _outputs(network, images), {module for module, _ in own}


def _own(config: Any) -> Iterator[tuple[str, str]]:
    """Module and name of the classes and functions in a saved model's configuration, other than Keras's."""
    if isinstance(config, list):
        for entry in config:
            yield from _own(entry)
    elif isinstance(config, dict):
        module, name = config.get("module"), config.get("class_name")
        if isinstance(module, str) and module.partition(".")[0] not in ("keras", "builtins"):
            yield module, str(config.get("config") if name == "function" else name)
        yield from _own(list(config.values()))


def _listed(own: Sequence[tuple[str, str]]) -> str:
    """`its layer Gain (zoo_gain.layers) is`."""
    names = ", ".join(f"{name} ({module})" for module, name in own)
    return f"its layer {names} is" if len(own) == 1 else f"its layers {names} are"


def _same(net: Network, place: Place, loaded: Any, digest: str, outputs: Array, where: str) -> None:
    """Broken where a model that was loaded is not the one that was saved."""
    import numpy as np

    if isinstance(loaded, str):
        # Of a function of the plugin's own, such as an activation, no module is in the file.
        own = not net.needs_plugin_to_load and "Could not locate" in loaded
        raise net.found(
            place, f"expected its saved model to load {where}, but {loaded}{f'; {_DECLARE}' if own else ''}"
        )
    if loaded[0] != digest:
        raise net.found(place, f"expected the saved weights again {where}, but they differ")
    if not np.allclose(loaded[1], outputs, atol=_TOLERANCE):
        apart = float(np.abs(loaded[1] - outputs).max())
        raise net.found(place, f"expected the same outputs {where}, but they differ by up to {apart:.3g}")


def _check_under(net: Network, origin: Any, backend: str, weights: Path, outputs: Array) -> None:
    """Broken where another backend, in a process of its own, does not do the same."""
    import numpy as np

    place = net.place()
    here = {"points": [], "input_shapes": [place.shape], "class_counts": []}
    options = {name: value for name, value in net.given.items() if name != "input_shape"} | here
    names = ["probabilities", "training_step"]
    child = spawn_worker(_children.under_backend, (backend, origin, SUITE.kind, options, names, weights))
    results, again = _children.answer_of(child, f"under {backend}")
    for _, state, text in results:
        if state != "passed":
            raise net.found(place, f"expected the same under {backend}, but there {text.splitlines()[0]}")
    if isinstance(again, str):
        raise net.found(place, f"expected a network of the same weights under {backend}, but {again}")
    if not np.allclose(again, outputs, atol=_TOLERANCE):
        apart = float(np.abs(again - outputs).max())
        raise net.found(
            place, f"expected the same outputs under {backend}, but they differ by up to {apart:.3g}"
        )
