"""Saved models of an architecture under test, loaded again in a process of their own."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.errors import PluginError
from zoo.testing import _workers
from zoo.testing._failures import counted_of
from zoo.testing._network import Network
from zoo.testing._searched import Array, SamplePoint
from zoo.training.model import predict
from zoo.training.worker import fork_server

_TOLERANCE = 1e-3  # between probabilities that two processes or backends compute
_DECLARE = "declare needs_plugin_to_load=True (--needs-plugin at the prompt)"


@dataclass(frozen=True)
class _SavedModel:
    point: SamplePoint
    digest: str  # of the weights
    outputs: Array
    modules: set[str]  # modules of the plugin whose classes are in the file


def check_saving(net: Network) -> str:
    """Save the networks at different points, load them in another process, and compare; return what was done.

    Raises:
        Violation: a model cannot be saved or loaded, or is another one afterwards.
    """
    points = net.usable_structures()
    saved: list[_SavedModel] = []
    plugin_module = str(net.function.__module__)
    with TemporaryDirectory() as folder:
        for point in net.within_time(points):
            saved.append(_save(net, point, Path(folder, str(len(saved)))))
        if net.options.needs_plugin_to_load:
            absent, imported = [], sorted({plugin_module}.union(*(model.modules for model in saved)))
            where = f"with {', '.join(imported)} imported"
        else:
            absent, imported = sorted({"zoo", plugin_module.partition(".")[0]} - {"__main__"}), []
            where = f"without {' and '.join(absent)} installed"
        fork_server().start()
        worker = fork_server().start_worker(_workers.load_models, (Path(folder), absent, imported))
        answers = _workers.receive_answer(worker, f"loading saved models {where}")
    for number, model in enumerate(saved):
        _compare(net, model, answers[str(number)], where)
    return f"{counted_of(len(saved), len(points), 'network')}, loaded {where}"


def require_close(net: Network, point: SamplePoint, outputs: Array, expected: Array, where: str) -> None:
    """Raise Violation if outputs that were computed elsewhere differ."""
    difference = float(np.abs(outputs - expected).max())
    text = f"expected the same outputs {where}, but they differ by up to {difference:.3g}"
    net.require(np.allclose(outputs, expected, atol=_TOLERANCE), point, text)


def _save(net: Network, point: SamplePoint, path: Path) -> _SavedModel:

    from zoo.training.saved import check_layers_registered

    network, images = net.build(point, net.options.seed), net.images(point.shape)
    try:
        check_layers_registered(network)  # as a trial does, with its message
    except PluginError as error:
        raise net.violation(point, f"expected a model that can be loaded again, but {error}") from None
    np.save(path.with_suffix(".npy"), images)
    with net.no_exception(point, "to save it as .keras"):
        network.save(path.with_suffix(".keras"))
    with zipfile.ZipFile(path.with_suffix(".keras")) as archive:
        classes = sorted(set(_plugin_classes(json.loads(archive.read("config.json")))))
    names = ", ".join(f"{name} ({module})" for module, name in classes)
    names = f"its layer {names} is" if len(classes) == 1 else f"its layers {names} are"
    text = f"expected a model of Keras's own layers, but {names} the plugin's own; {_DECLARE}"
    net.require(not classes or net.options.needs_plugin_to_load, point, text)
    modules = {module for module, _ in classes}
    return _SavedModel(point, _workers.digest_of_weights(network), predict(network, images), modules)


def _plugin_classes(config: Any) -> Iterator[tuple[str, str]]:
    """Yield module and name of the classes and functions in a saved configuration that are not Keras's."""
    if isinstance(config, list):
        for entry in config:
            yield from _plugin_classes(entry)
    elif isinstance(config, dict):
        module, name = config.get("module"), config.get("class_name")
        if isinstance(module, str) and module.partition(".")[0] not in ("keras", "builtins"):
            yield module, str(config.get("config") if name == "function" else name)
        yield from _plugin_classes(list(config.values()))


def _compare(net: Network, model: _SavedModel, answer: Any, where: str) -> None:
    """Raise Violation if the model was not loaded, or is not the one that was saved."""
    if isinstance(answer, str):
        # The file does not have the module of a plain function, such as an activation of the plugin.
        is_own = not net.options.needs_plugin_to_load and "Could not locate" in answer
        text = f"expected its saved model to load {where}, but it raised {answer}"
        raise net.violation(model.point, f"{text}; {_DECLARE}" if is_own else text)
    digest, outputs = answer
    net.require(digest == model.digest, model.point, f"expected the saved weights {where}, but they differ")
    require_close(net, model.point, outputs, model.outputs, where)
