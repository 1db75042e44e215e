"""Networks under test that are trained a few steps, or saved and loaded again in a process of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.errors import PluginError
from zoo.testing import _workers
from zoo.testing._searched import BATCH_SIZE, Array, SamplePoint, SearchedSubject
from zoo.training.model import predict
from zoo.training.saved import check_layers_registered, custom_objects
from zoo.training.worker import fork_server

LEARNING_RATE = 0.05
_STEPS = 3  # a weight behind one that starts at zero gets its gradient after the first step
_SEEDS = 3  # a few ReLUs may all be off by chance
_TOLERANCE = 1e-3  # between probabilities that two processes or backends compute
_DECLARE = "declare needs_plugin_to_load=True (--needs-plugin at the prompt)"


@dataclass(frozen=True)
class _SavedModel:
    file_name: str
    point: SamplePoint
    digest: str  # of the weights
    outputs: Array
    modules: set[str]  # modules of the plugin whose classes are in the file


def check_saving(net: SearchedSubject) -> str:
    """Save the networks at different points, load them elsewhere, and compare; return what was done."""
    plugin_module = str(net.function.__module__)
    with TemporaryDirectory() as folder:
        saved, text = net.at_structures(lambda point: _save(net, point, Path(folder)), "network")
        if net.options.needs_plugin_to_load:
            absent, imported = [], sorted({plugin_module}.union(*(model.modules for model in saved)))
            where = f"with {', '.join(imported)} imported"
        else:
            absent, imported = sorted({"zoo", plugin_module.partition(".")[0]} - {"__main__"}), []
            where = f"without {' and '.join(absent)} installed"
        fork_server().start()
        worker = fork_server().start_worker(_workers.load_models, (Path(folder), absent, imported))
        answers = _workers.receive_answer(worker, f"loading saved models {where}")
    for model in saved:
        _compare(net, model, answers[model.file_name], where)
    return f"{text}, loaded {where}"


def require_close(
    net: SearchedSubject, point: SamplePoint, outputs: Array, expected: Array, where: str
) -> None:
    """Raise Violation if outputs that were computed elsewhere differ."""
    difference = float(np.abs(outputs - expected).max())
    text = f"expected the same outputs {where}, but they differ by up to {difference:.3g}"
    net.require(np.allclose(outputs, expected, atol=_TOLERANCE), point, text)


def _save(net: SearchedSubject, point: SamplePoint, folder: Path) -> _SavedModel:
    import keras

    path = folder / str(len(list(folder.glob("*.keras"))))
    network, images = net.build(point, net.options.seed), net.images(point.shape)
    try:
        check_layers_registered(network)  # as a trial does, with its message
    except PluginError as error:
        raise net.violation(point, f"expected a model that can be loaded again, but {error}") from None
    np.save(path.with_suffix(".npy"), images)
    with net.no_exception(point, "to save it as .keras"):
        network.save(path.with_suffix(".keras"))
    objects = custom_objects(keras.saving.serialize_keras_object(network))
    classes = sorted({(one["module"], one["class_name"]) for one in objects if one["module"]})
    names = ", ".join(f"{name} ({module})" for module, name in classes)
    names = f"its layer {names} is" if len(classes) == 1 else f"its layers {names} are"
    text = f"expected a model of Keras's own layers, but {names} the plugin's own; {_DECLARE}"
    net.require(not classes or net.options.needs_plugin_to_load, point, text)
    digest, modules = _workers.digest_of_weights(network), {module for module, _ in classes}
    return _SavedModel(path.name, point, digest, predict(network, images), modules)


def _compare(net: SearchedSubject, model: _SavedModel, answer: Any, where: str) -> None:
    """Raise Violation if the model was not loaded, or is not the one that was saved."""
    if isinstance(answer, str):
        # The file does not have the module of a plain function, such as an activation of the plugin.
        is_own = not net.options.needs_plugin_to_load and "Could not locate" in answer
        text = f"expected its saved model to load {where}, but it raised {answer}"
        raise net.violation(model.point, f"{text}; {_DECLARE}" if is_own else text)
    digest, outputs = answer
    net.require(digest == model.digest, model.point, f"expected the saved weights {where}, but they differ")
    require_close(net, model.point, outputs, model.outputs, where)


def labels_for(net: SearchedSubject) -> Array:
    return np.arange(BATCH_SIZE) % int(net.options.num_classes)


def check_gradients(net: SearchedSubject, point: SamplePoint) -> None:
    """Raise Violation if a trainable weight never gets a gradient."""
    missing: dict[int, str] = {}
    for attempt in range(_SEEDS):
        network = net.build(point, net.options.seed + attempt)
        unreached = _unreached(net, network, point)
        missing = {number: path for number, path in unreached.items() if number in missing or not attempt}
        if not missing:
            return
    names = ", ".join(f"'{path}'" for path in list(missing.values())[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    text = f"expected a gradient for every trainable weight, but none reaches {names}{more}"
    raise net.violation(point, text)


def _unreached(net: SearchedSubject, network: Any, point: SamplePoint) -> dict[int, str]:
    """Return number -> path of each trainable weight whose gradient is zero in every step."""
    import keras

    unreached = {number: weight.path for number, weight in enumerate(network.trainable_weights)}

    class WatchingOptimizer(keras.optimizers.SGD):  # type: ignore[misc]
        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            for number, gradient in enumerate(grads):
                if gradient is not None and np.any(keras.ops.convert_to_numpy(gradient) != 0):
                    unreached.pop(number, None)
            if any(gradient is not None for gradient in grads):
                super().apply(grads, trainable_variables)

    optimizer = WatchingOptimizer(LEARNING_RATE)
    network.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    with net.no_exception(point, "to train it"):
        for _ in range(_STEPS):
            if unreached:
                network.train_on_batch(net.images(point.shape), labels_for(net))
    return unreached
