"""Checks that train a network for a few steps, or save it and load it in another process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.errors import PluginError, listed
from zoo.registry import plugin_requirements, top_level_package
from zoo.testing import _workers
from zoo.testing._searched import BATCH_SIZE, Array, SamplePoint, SearchedSubject
from zoo.training.model import predict
from zoo.training.saved import check_layers_registered, custom_objects
from zoo.training.worker import fork_server

LEARNING_RATE = 0.05
_NUM_STEPS = 3  # a weight gets no gradient in the first step if the weight after it starts at zero
_NUM_SEEDS = 3  # with one seed, all ReLUs of a small layer may output 0 for all images
_TOLERANCE = 1e-3  # between the probabilities of two processes or backends
_DECLARE_HINT = "declare needs_plugin_to_load=True, or --needs-plugin on the command line"


@dataclass(frozen=True)
class _SavedModel:
    file_name: str
    point: SamplePoint
    digest: str  # SHA-256 of the weights
    outputs: Array
    modules: set[str]  # modules of the plugin whose classes are in the file


def check_saving(subject: SearchedSubject) -> str:
    """Save networks at diverse points, load them in another process, and compare weights and outputs.

    Raise Violation for a difference or an error. Return a text about what was tried.
    """
    plugin_module = str(subject.function.__module__)
    with TemporaryDirectory() as folder:
        saved, text = subject.run_at_diverse_points(
            lambda point: _save(subject, point, Path(folder)), "network"
        )
        if subject.options.needs_plugin_to_load:
            modules = {plugin_module}.union(*(model.modules for model in saved))
            absent, imported = [], _modules_to_import(plugin_module, modules)
            where = f"with {', '.join(imported)} imported"
        else:
            absent, imported = sorted({"zoo", plugin_module.partition(".")[0]} - {"__main__"}), []
            where = f"without {' and '.join(absent)} installed"
        fork_server().start()
        worker = fork_server().start_worker(_workers.load_models, (Path(folder), absent, imported))
        answers = _workers.receive_answer(worker, f"loading saved models {where}")
    for model in saved:
        _compare(subject, model, answers[model.file_name], where)
    return f"{text}, loaded {where}"


def _modules_to_import(plugin_module: str, modules: set[str]) -> list[str]:
    """Return the modules that the process imports before it loads the models as zoo does.

    For an installed plugin, these are its own modules. zoo imports other modules of a model only if they
    belong to a library that an installed plugin requires. Code that is not installed has no requirements.
    """
    plugin = top_level_package(plugin_module)
    is_installed = plugin in plugin_requirements()
    return sorted(one for one in modules if not is_installed or top_level_package(one) == plugin)


def require_close(
    subject: SearchedSubject, point: SamplePoint, outputs: Array, expected: Array, where: str
) -> None:
    """Raise Violation if `outputs`, which another process computed, differ from `expected`."""
    difference = float(np.abs(outputs - expected).max())
    text = f"expected equal outputs {where}, but they differ by up to {difference:.3g}"
    subject.require(np.allclose(outputs, expected, atol=_TOLERANCE), point, text)


def _save(subject: SearchedSubject, point: SamplePoint, folder: Path) -> _SavedModel:
    import keras

    path = folder / str(len(list(folder.glob("*.keras"))))
    network, images = subject.build(point, subject.options.seed), subject.images(point.shape)
    try:
        check_layers_registered(network)  # raises the error that a trial raises
    except PluginError as error:
        raise subject.violation(point, f"expected a model that can be loaded again, but {error}") from None
    np.save(path.with_suffix(".npy"), images)
    with subject.report_exception(point, "a network that Keras can save"):
        network.save(path.with_suffix(".keras"))
    objects = custom_objects(keras.saving.serialize_keras_object(network))
    classes = sorted({(one["module"], one["class_name"]) for one in objects if one["module"]})
    names = ", ".join(f"{name} ({module})" for module, name in classes)
    names = f"its layer {names} is" if len(classes) == 1 else f"its layers {names} are"
    text = f"expected a model of Keras's own layers, but {names} defined in the plugin; {_DECLARE_HINT}"
    subject.require(not classes or subject.options.needs_plugin_to_load, point, text)
    digest, modules = _workers.digest_of_weights(network), {module for module, _ in classes}
    return _SavedModel(path.name, point, digest, predict(network, images), modules)


def _compare(subject: SearchedSubject, model: _SavedModel, answer: Any, where: str) -> None:
    """Raise Violation if loading the model failed, or if its weights or outputs differ."""
    if isinstance(answer, str):
        # A plain function, such as an activation, appears in the file without its module. So only the error
        # shows that it belongs to the plugin.
        is_own = not subject.options.needs_plugin_to_load and "Could not locate" in answer
        text = f"expected a saved model that can be loaded {where}, got {answer}"
        raise subject.violation(model.point, f"{text}; {_DECLARE_HINT}" if is_own else text)
    digest, outputs = answer
    subject.require(
        digest == model.digest, model.point, f"expected the saved weights after loading {where}, got others"
    )
    require_close(subject, model.point, outputs, model.outputs, where)


def labels_for(subject: SearchedSubject) -> Array:
    """Return labels `(BATCH_SIZE,)`: 0, 1, … up to the number of classes, then again from 0."""
    return np.arange(BATCH_SIZE) % int(subject.options.num_classes)


def check_gradients(subject: SearchedSubject, point: SamplePoint) -> None:
    """Raise Violation if a trainable weight gets no gradient with any seed."""
    missing: dict[int, str] = {}
    for attempt in range(_NUM_SEEDS):
        network = subject.build(point, subject.options.seed + attempt)
        without_gradient = _weights_without_gradient(subject, network, point)
        missing = {
            number: path for number, path in without_gradient.items() if number in missing or not attempt
        }
        if not missing:
            return
    names = listed([f"'{path}'" for path in missing.values()], 3)
    text = (
        f"expected a gradient for every trainable weight, but {names} got none; connect every layer to "
        "the output, or set trainable=False on it"
    )
    raise subject.violation(point, text)


def _weights_without_gradient(subject: SearchedSubject, network: Any, point: SamplePoint) -> dict[int, str]:
    """Return the trainable weights whose gradient is zero in every step: index -> path."""
    import keras

    without_gradient = {number: weight.path for number, weight in enumerate(network.trainable_weights)}

    class WatchingOptimizer(keras.optimizers.SGD):  # type: ignore[misc]
        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            for number, gradient in enumerate(grads):
                if gradient is not None and np.any(keras.ops.convert_to_numpy(gradient) != 0):
                    without_gradient.pop(number, None)
            if any(gradient is not None for gradient in grads):
                super().apply(grads, trainable_variables)

    optimizer = WatchingOptimizer(LEARNING_RATE)
    network.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    with subject.report_exception(point, "a network that can be trained"):
        for _ in range(_NUM_STEPS):
            if without_gradient:
                network.train_on_batch(subject.images(point.shape), labels_for(subject))
    return without_gradient
