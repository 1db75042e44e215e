"""One trial, from its configuration to its files: a pure job that sends events and is answered.

    {"event": "started", "time": …, "device": "cpu", "backend": "tensorflow", "parameters": 12345}
    {"event": "progress", "epoch": 1, "fraction": 0.4}            only for the display
    {"event": "epoch", "time": …, "epoch": 1, "metrics": {"loss": …, "val_accuracy": …, …}}
    {"event": "finished", "time": …, "state": "complete" | "pruned" | "failed", "reason": …, "summary": {…}}

Every `epoch` is answered with True (go on) or False (stop: pruned). A complete trial leaves
`model.keras`, `summary.txt` and `predictions.npz` in its folder.
"""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.store import open_dataset, split_for
from zoo.errors import InvalidParameters, PluginError, ZooError, one_line
from zoo.registry import Registered, Registry
from zoo.training import backend
from zoo.training.fit import NotFinite, fit, training_space
from zoo.training.model import assemble, check_layers, check_network, check_shape, predict, summary
from zoo.trial import Chosen, TrialConfig

if TYPE_CHECKING:
    import keras

    from zoo.data import Split

Send = Callable[[dict[str, Any]], None]
Answer = Callable[[], bool]


def run_trial(config: TrialConfig, cache: Path, folder: Path, send: Send, answer: Answer) -> None:
    """Train what `config` says and leave its files in `folder`.

    Args:
        cache: where prepared datasets are; `config.digest` names the one.
        send: takes one event; `answer` waits for what the supervisor says to an epoch.
    """
    try:
        finished = _train(config, cache, folder, send, answer)
    except InvalidParameters as error:
        finished = {"state": "pruned", "reason": f"impossible parameters: {one_line(error)}"}
    except NotFinite as error:
        finished = {"state": "failed", "reason": str(error)}
    except Exception as error:
        traceback.print_exc()  # into the trial's output.log
        finished = {"state": "failed", "reason": _reason(error)}
    send({"event": "finished", "time": time.time(), "summary": {}, **finished})


def _train(config: TrialConfig, cache: Path, folder: Path, send: Send, answer: Answer) -> dict[str, Any]:
    import keras
    import numpy as np

    keras.utils.set_random_seed(config.seed)
    dataset = open_dataset(cache, config.digest)
    train, validation = split_for(cache, config.digest, dataset, config.validation)
    registry = Registry.load()
    network = _build_network(registry, config.architecture, train, len(dataset.class_names))
    layers = _build_augmentation(registry, config.augmentation, train)
    model, kept = assemble(network, layers, train.images.shape[1:])
    parameters = int(network.count_params())
    send(
        {
            "event": "started",
            "time": time.time(),
            "device": backend.device_name(),
            "backend": keras.backend.backend(),
            "parameters": parameters,
        }
    )
    began = time.perf_counter()
    epochs: list[Mapping[str, float]] = []
    pruned = False

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
        nonlocal pruned
        epochs.append(metrics)
        send({"event": "epoch", "time": time.time(), "epoch": epoch, "metrics": dict(metrics)})
        pruned = not answer()
        return not pruned

    def on_progress(epoch: int, fraction: float) -> None:
        send({"event": "progress", "epoch": epoch, "fraction": fraction})

    training = training_space().check(config.training)
    best = fit(
        model, train, validation, config.objective, config.direction, on_epoch, on_progress, **training
    )
    seconds = time.perf_counter() - began
    better = max if config.direction == "maximize" else min
    best_value = better(metrics[config.objective] for metrics in epochs)
    outcome = {
        f"best_{config.objective}": best_value,
        "best_epoch": best or len(epochs),
        "parameters": parameters,
        "train_seconds": seconds,
    }
    if pruned:
        return {"state": "pruned", "reason": f"pruned after epoch {len(epochs)}", "summary": outcome}
    probabilities = predict(kept, validation.images)
    np.savez(folder / "predictions.npz", probabilities=probabilities, labels=validation.labels)
    (folder / "summary.txt").write_text(summary(network), encoding="utf-8")
    kept.save(folder / "model.keras")
    return {"state": "complete", "reason": "", "summary": outcome}


def _build_network(registry: Registry, chosen: Chosen, train: Split, num_classes: int) -> keras.Model:
    import numpy as np

    entry = registry.get("architecture", chosen.name)
    input_shape = tuple(int(size) for size in train.images.shape[1:])  # (height, width, channels)
    with _at_fault(entry):
        network = entry.function(input_shape, num_classes, **entry.space.check(chosen.parameters))
        check_network(network, num_classes, np.asarray(train.images[:2]).astype("float32") / 255)
    return network


def _build_augmentation(registry: Registry, chosen: Chosen, train: Split) -> list[Any]:
    entry = registry.get("augmentation", chosen.name)
    with _at_fault(entry):
        layers = entry.function(**entry.space.check(chosen.parameters))
        check_layers(layers)
        check_shape(layers, train.images.shape[1:])
    return list(layers)


@contextmanager
def _at_fault(entry: Registered) -> Iterator[None]:
    """Whatever goes wrong in here is told with the plugin's name and version."""
    told = f"The {entry.kind} '{entry.name}' of {entry.origin}"
    try:
        yield
    except PluginError as error:
        raise PluginError(f"{told}: {error}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, ZooError) or _is_out_of_memory(error):
            raise
        raise PluginError(f"{told} raised {_reason(error)}") from error


def evaluate_model(model_path: Path, cache: Path, digest: str) -> dict[str, float]:
    """Loss and accuracy of a saved model on the test split of a prepared dataset."""
    import keras
    import numpy as np

    model = keras.saving.load_model(model_path, compile=False)
    test = open_dataset(cache, digest).test
    assert test is not None
    probabilities = predict(model, test.images)
    labels = np.asarray(test.labels)
    of_truth = probabilities[np.arange(len(labels)), labels]
    return {
        "test_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "test_loss": float(-np.log(np.clip(of_truth, 1e-7, 1)).mean()),
    }


def _reason(error: BaseException) -> str:
    """The error in one line; backends that ran out of memory say so in many, Keras in bold."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", one_line(error))
    if _is_out_of_memory(error):
        return f"out of memory: {text[:300]}" if text else "out of memory"
    return text[:1000] if isinstance(error, ZooError) else f"{type(error).__name__}: {text[:1000]}"


def _is_out_of_memory(error: BaseException) -> bool:
    """Every backend has its own error for that."""
    names = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
    return type(error).__name__ in names or "RESOURCE_EXHAUSTED" in one_line(error)
