"""One trial, from its configuration to its files: a pure job that sends events and is answered.

It sends `Started`, any number of `Progress`, an `EpochEnd` for each epoch and `Finished`; see
`zoo.events`. Every `EpochEnd` is answered with True (continue) or False (stop: pruned). A complete
trial leaves `model.keras`, `summary.txt` and `predictions.npz` in its directory.

With folds, one network is trained after another; `Progress` and `EpochEnd` then have a `fold`. The
saved model is that of the best fold; every training image is predicted by the network that was not
trained on it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.store import open_dataset
from zoo.data.validation import fold_of_images, split_for
from zoo.errors import InvalidParameters, one_line
from zoo.events import EpochEnd, Event, Finished, Progress, Started
from zoo.training import backend
from zoo.training.components import Components
from zoo.training.faults import NotFinite, PluginFault, TooLarge, blame_by_location, describe_error
from zoo.training.fit import fit, training_space
from zoo.training.model import assemble, latency_ms, predict, summary
from zoo.training.results import FoldResult, best_fold, collect_predictions, summarize
from zoo.training.saved import note_needs
from zoo.trial import TrialConfig

if TYPE_CHECKING:
    import keras

    from zoo.data import Split

Send = Callable[[Event], None]
ReceiveAnswer = Callable[[], bool]


def run_trial(
    config: TrialConfig, cache: Path, folder: Path, send: Send, receive_answer: ReceiveAnswer
) -> None:
    """Train the network that `config` describes and leave the trial's files in `folder`.

    Args:
        cache: folder of the prepared datasets; `config.digest` names one of them.
        send: takes one event.
        receive_answer: called after each `EpochEnd`; waits for the answer and returns it.
    """
    try:
        finished = _Job(config, cache, folder, send, receive_answer).run()
    except TooLarge as error:
        finished = _finished("pruned", str(error), summary={"parameters": error.num_parameters})
    except InvalidParameters as error:
        finished = _finished("pruned", f"impossible parameters: {one_line(error)}")
    except NotFinite as error:
        finished = _finished("failed", str(error))
    except Exception as error:
        traceback.print_exc()  # into the trial's output.log
        finished = _finished("failed", describe_error(error), is_plugin_error=isinstance(error, PluginFault))
    send(finished)


def _finished(state: str, reason: str = "", **fields: Any) -> Finished:
    return Finished(time.time(), state, reason, **fields)


class _Job:
    """A trial while it runs."""

    def __init__(
        self, config: TrialConfig, cache: Path, folder: Path, send: Send, receive_answer: ReceiveAnswer
    ) -> None:
        self._config = config
        self._cache = cache
        self._folder = folder
        self._send = send
        self._receive_answer = receive_answer
        self._dataset = open_dataset(cache, config.digest)
        self._components = Components(config, self._dataset)
        self._network: Any = None  # of the current fold, as the architecture built it
        self._classifier: Any = None  # the same network, taking raw pixels; the model to save
        self._num_parameters = 0
        self._is_pruned = False
        self._folds: list[FoldResult] = []

    def run(self) -> Finished:
        """Train one fold after another, then save the model of the best one."""
        self._components.check_size()
        best_weights = None
        for number in range(1, self._config.folds + 1):
            self._folds.append(self._train_fold(number))
            if self._is_pruned:
                return _finished("pruned", self._describe_pruning(), summary=self._summarize())
            if self._config.folds > 1 and best_fold(self._folds, self._config) == number:
                best_weights = self._classifier.get_weights()
        if best_weights is not None:
            self._classifier.set_weights(best_weights)
        results = self._summarize()
        if "latency_ms" in self._config.measures:
            results["latency_ms"] = latency_ms(self._classifier, self._dataset.train.images[:1])
        self._save()
        return _finished("complete", summary=results)

    def _train_fold(self, number: int) -> FoldResult:
        """Train a new network on all folds except `number` (from 1), and validate it on that fold."""
        import keras

        config = self._config
        if number > 1:  # free the previous network, so that only one is in memory
            self._network = self._classifier = None
            keras.utils.clear_session()
        keras.utils.set_random_seed(config.seed_of_fold(number))
        train, validation = split_for(self._cache, config.digest, self._dataset, config.validation, number)
        self._network = self._components.build_network()
        layers = self._components.build_augmentation()
        model, self._classifier = assemble(self._network, layers, train.images.shape[1:])
        if number == 1:
            self._send_started()
        result = self._fit(model, train, validation, number)
        if self._is_pruned:
            return result
        probabilities = predict(self._classifier, validation.images)
        return replace(result, probabilities=probabilities, labels=validation.labels)

    def _fit(self, model: keras.Model, train: Split, validation: Split, number: int) -> FoldResult:
        """Fit `model` and send its events; the result has no predictions yet."""
        config = self._config
        fold = number if config.folds > 1 else None
        epochs: list[Mapping[str, float]] = []

        def on_epoch(epoch: int, metrics: Mapping[str, float], is_last: bool) -> bool:
            epochs.append(metrics)
            is_last = is_last and number == config.folds
            self._send(EpochEnd(time.time(), epoch, dict(metrics), fold, is_last))
            self._is_pruned = not self._receive_answer()
            return not self._is_pruned

        def on_progress(epoch: int, fraction: float) -> None:
            self._send(Progress(epoch, fraction, fold))

        settings = training_space().check(config.training)
        callbacks = (on_epoch, on_progress)
        start = time.perf_counter()
        with blame_by_location(self._components.architecture, self._components.augmentation):
            best = fit(model, train, validation, config.objective, config.direction, *callbacks, **settings)
        return FoldResult(len(epochs), best, epochs[best - 1], time.perf_counter() - start)

    def _send_started(self) -> None:
        import keras

        self._num_parameters = int(self._network.count_params())
        device, name = backend.device_name(), keras.backend.backend()
        self._send(Started(time.time(), device, name, self._num_parameters))

    def _summarize(self) -> dict[str, float]:
        return summarize(self._folds, self._config, self._num_parameters)

    def _describe_pruning(self) -> str:
        fold = f"in fold {len(self._folds)}, " if self._config.folds > 1 else ""
        return f"pruned {fold}after epoch {self._folds[-1].num_epochs}"

    def _save(self) -> None:
        """Write the files of a complete trial."""
        config, of_images = self._config, None
        if config.folds > 1:
            of_images = fold_of_images(self._cache, config.digest, self._dataset, config.validation)
        probabilities, labels = collect_predictions(self._folds, of_images)
        np.savez(self._folder / "predictions.npz", probabilities=probabilities, labels=labels)
        (self._folder / "summary.txt").write_text(summary(self._network), encoding="utf-8")
        self._classifier.save(self._folder / "model.keras")
        note_needs(self._folder / "model.keras")
