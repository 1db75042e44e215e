"""One trial, from its configuration to its files: a pure job that sends events and is answered.

It sends `Started`, any number of `Progress`, an `EpochEnd` for each epoch and `Finished`; see
`zoo.events`. Every `EpochEnd` is answered with True (continue) or False (stop: pruned). A complete
trial leaves `model.keras`, `summary.txt` and `predictions.npz` in its directory.

With folds, one network is trained after another; `Progress` and `EpochEnd` then have a `fold`. The
saved model is that of the best fold; every training image is predicted by the network that was not
trained on it.
"""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from zoo.data.store import fold_of_images, open_dataset, split_for
from zoo.errors import InvalidParameters, PluginError, ZooError, one_line
from zoo.events import EpochEnd, Event, Finished, Progress, Started
from zoo.registry import Component, Registry
from zoo.training import backend
from zoo.training.fit import NotFinite, fit, training_space
from zoo.training.model import (
    assemble,
    check_layers,
    check_network,
    check_shape,
    count_parameters,
    latency_ms,
    predict,
    summary,
)
from zoo.training.saved import check_layers_registered, note_needs
from zoo.trial import EPOCH_METRICS, PluginConfig, TrialConfig

if TYPE_CHECKING:
    import keras

    from zoo.data import Split

Send = Callable[[Event], None]
Answer = Callable[[], bool]


def run_trial(config: TrialConfig, cache: Path, folder: Path, send: Send, answer: Answer) -> None:
    """Train what `config` says and leave its files in `folder`.

    Args:
        cache: where prepared datasets are; `config.digest` names the one.
        send: takes one event; `answer` waits for what the supervisor says to an epoch.
    """
    try:
        finished = _Job(config, cache, folder, send, answer).run()
    except TooLarge as error:
        summary = {"parameters": error.parameters}
        finished = Finished(time.time(), "pruned", str(error), summary)
    except InvalidParameters as error:
        finished = Finished(time.time(), "pruned", f"impossible parameters: {one_line(error)}")
    except NotFinite as error:
        finished = Finished(time.time(), "failed", str(error))
    except Exception as error:
        traceback.print_exc()  # into the trial's output.log
        finished = Finished(time.time(), "failed", _reason(error))
    send(finished)


class TooLarge(ZooError):
    """A network has more parameters than the study lets one have."""

    def __init__(self, parameters: int, limit: int) -> None:
        super().__init__(f"{parameters:,} parameters, but max_parameters is {limit:,}")
        self.parameters = parameters


@dataclass
class _Fold:
    """What came of one fold, or of the one training where there are none.

    Args:
        best_epoch: the first is 1; the models have its weights.
        network: as the architecture built it; `kept` takes raw pixels. None once they are dropped.
        probabilities: of the validation images, `(n, classes)`; `labels`, `(n,)`, are the truth.
    """

    epochs: Sequence[Mapping[str, float]]
    best_epoch: int
    seconds: float
    network: Any
    kept: Any
    probabilities: Any = None
    labels: Any = None


class _Job:
    """One trial at work."""

    def __init__(self, config: TrialConfig, cache: Path, folder: Path, send: Send, answer: Answer) -> None:
        self._config = config
        self._cache = cache
        self._folder = folder
        self._send = send
        self._answer = answer
        self._dataset = open_dataset(cache, config.digest)
        self._registry = Registry.of(config.plugins) if config.plugins else Registry.load()
        self._parameters = 0
        self._pruned = False
        self._done: list[_Fold] = []

    def run(self) -> Finished:
        """Train one fold after another and keep the model of the best; how the trial ended."""
        self._refuse_too_large()
        weights: Any = None  # of the best fold so far
        for number in range(1, self._config.folds + 1):
            fold = self._train_fold(number)
            self._done.append(fold)
            if self._pruned:
                return Finished(time.time(), "pruned", self._why_pruned(), self._summary())
            if self._config.folds > 1 and self._best_fold() == number:
                weights = fold.kept.get_weights()
        if weights is not None:
            fold.kept.set_weights(weights)
        results = self._summary()
        if "latency_ms" in self._config.measures:
            results["latency_ms"] = latency_ms(fold.kept, self._dataset.train.images[:1])
        self._keep(fold)
        return Finished(time.time(), "complete", summary=results)

    def _refuse_too_large(self) -> None:
        """Before a single weight is made: that of a network far too large may not fit into memory."""
        if self._config.max_parameters is not None:
            _, build = self._architecture()
            self._check_size(count_parameters(build))

    def _check_size(self, parameters: int | None) -> None:
        limit = self._config.max_parameters
        if limit is not None and parameters is not None and parameters > limit:
            raise TooLarge(parameters, limit)

    def _train_fold(self, number: int) -> _Fold:
        """Train a new network on all folds but this one, the first of which is 1."""
        import keras

        config = self._config
        if self._done:  # one network in memory at a time
            self._done[-1].network = self._done[-1].kept = None
            keras.utils.clear_session()
        keras.utils.set_random_seed(config.seed_of_fold(number))
        train, validation = split_for(self._cache, config.digest, self._dataset, config.validation, number)
        network = self._build_network()
        layers = _build_augmentation(self._registry, config.augmentation, train)
        model, kept = assemble(network, layers, train.images.shape[1:])
        if number == 1:
            self._say_started(network)
        fold = self._fit(model, train, validation, number)
        fold.network, fold.kept = network, kept
        if not self._pruned:
            fold.probabilities, fold.labels = predict(kept, validation.images), validation.labels
        return fold

    def _fit(self, model: keras.Model, train: Split, validation: Split, number: int) -> _Fold:
        """Fit `model`, and send an event for every epoch."""
        config = self._config
        fold = number if config.folds > 1 else None
        epochs: list[Mapping[str, float]] = []

        def on_epoch(epoch: int, metrics: Mapping[str, float], is_last: bool) -> bool:
            epochs.append(metrics)
            is_last = is_last and number == config.folds
            self._send(EpochEnd(time.time(), epoch, dict(metrics), fold, is_last))
            self._pruned = not self._answer()
            return not self._pruned

        def on_progress(epoch: int, fraction: float) -> None:
            self._send(Progress(epoch, fraction, fold))

        training = training_space().check(config.training)
        began = time.perf_counter()
        best = fit(
            model, train, validation, config.objective, config.direction, on_epoch, on_progress, **training
        )
        return _Fold(epochs, best or len(epochs), time.perf_counter() - began, None, None)

    def _say_started(self, network: keras.Model) -> None:
        import keras

        self._parameters = int(network.count_params())
        device, name = backend.device_name(), keras.backend.backend()
        self._send(Started(time.time(), device, name, self._parameters))

    def _best_of(self, fold: _Fold) -> float:
        """The objective in the best epoch of a fold."""
        better = max if self._config.direction == "maximize" else min
        return better(metrics[self._config.objective] for metrics in fold.epochs)

    def _best_fold(self) -> int:
        """The one with the best objective; of equals the first."""
        values = [self._best_of(fold) for fold in self._done]
        better = max if self._config.direction == "maximize" else min
        return 1 + values.index(better(values))

    def _summary(self) -> dict[str, float]:
        """What the trial came to; of folds the mean, as far as they have come."""
        config, values = self._config, [self._best_of(fold) for fold in self._done]
        results: dict[str, float] = {f"best_{config.objective}": fmean(values)}
        if config.folds > 1:
            if len(values) > 1:
                results[f"best_{config.objective}_std"] = stdev(values)
            results["best_fold"] = self._best_fold()
        for metric in config.measures:
            if metric in EPOCH_METRICS:
                results[f"best_{metric}"] = fmean(
                    fold.epochs[fold.best_epoch - 1][metric] for fold in self._done
                )
        return {
            **results,
            "best_epoch": self._done[self._best_fold() - 1].best_epoch,
            "parameters": self._parameters,
            "train_seconds": sum(fold.seconds for fold in self._done),
        }

    def _why_pruned(self) -> str:
        fold = f"in fold {len(self._done)}, " if self._config.folds > 1 else ""
        return f"pruned {fold}after epoch {len(self._done[-1].epochs)}"

    def _keep(self, fold: _Fold) -> None:
        """Write the files of a complete trial; `fold` has the models."""
        import numpy as np

        probabilities = np.concatenate([one.probabilities for one in self._done])
        labels = np.concatenate([one.labels for one in self._done])
        if self._config.folds > 1:  # in the order of the training split again
            of_images = fold_of_images(self._cache, self._config.digest, self._config.validation)
            order = np.argsort(of_images, kind="stable")  # of the images as they were validated
            back = np.argsort(order)
            probabilities, labels = probabilities[back], labels[back]
        np.savez(self._folder / "predictions.npz", probabilities=probabilities, labels=labels)
        (self._folder / "summary.txt").write_text(summary(fold.network), encoding="utf-8")
        fold.kept.save(self._folder / "model.keras")
        note_needs(self._folder / "model.keras")

    def _architecture(self) -> tuple[Component, Callable[[], Any]]:
        """What is registered, and how its network is built."""
        entry = self._registry.get("architecture", self._config.architecture.name)
        parameters = entry.space.check(self._config.architecture.parameters)
        input_shape = tuple(int(size) for size in self._dataset.train.images.shape[1:])
        classes = len(self._dataset.class_names)
        return entry, lambda: entry.function(input_shape, classes, **parameters)

    def _build_network(self) -> keras.Model:
        import numpy as np

        entry, build = self._architecture()
        images = np.asarray(self._dataset.train.images[:2]).astype("float32") / 255
        with _at_fault(entry):
            network = build()
            check_network(network, len(self._dataset.class_names), images)
            check_layers_registered(network)
        self._check_size(network.count_params())
        return network


def _build_augmentation(registry: Registry, chosen: PluginConfig, train: Split) -> list[Any]:
    entry = registry.get("augmentation", chosen.name)
    with _at_fault(entry):
        layers = entry.function(**entry.space.check(chosen.parameters))
        check_layers(layers)
        check_shape(layers, train.images.shape[1:])
    return list(layers)


@contextmanager
def _at_fault(entry: Component) -> Iterator[None]:
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
