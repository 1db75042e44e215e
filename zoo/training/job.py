"""One trial as a job: it takes a configuration, sends events, receives answers, and writes files.

It sends `Started`, any number of `Progress`, an `EpochEnd` for each epoch and `Finished`; see
`zoo.events`. Every `EpochEnd` gets an `Answer`. A complete trial leaves `model.keras`, `summary.txt` and
`predictions.npz` in its directory.

With folds, a new network is trained for each fold; `Progress` and `EpochEnd` then have a `fold`. The
saved model comes from the best fold. Each training image is predicted by the network that was not trained
on it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.store import open_dataset
from zoo.data.validation import fold_of_images, training_and_validation
from zoo.errors import InvalidParameters, one_line
from zoo.events import Answer, EpochEnd, Event, Finished, Progress, Started
from zoo.failpoints import failpoint
from zoo.training import backend
from zoo.training.components import Components, PluginFault, TooLarge, describe_error, plugin_errors
from zoo.training.fit import fit, training_space
from zoo.training.info import ModelInfo, add_info, decoding_of
from zoo.training.measuring import Measures
from zoo.training.model import assemble, latency_ms, layer_table, predict
from zoo.trial import MODEL_METRICS, TrialConfig

if TYPE_CHECKING:
    import keras

    from zoo.data import Split

Send = Callable[[Event], None]
ReceiveAnswer = Callable[[], Answer]


def run_trial(
    config: TrialConfig,
    cache: Path,
    folder: Path,
    send: Send,
    receive_answer: ReceiveAnswer,
    *,
    study: str = "",
    number: int | None = None,
) -> None:
    """Train the network that `config` describes and leave the trial's files in `folder`.

    Args:
        cache: the folder of the prepared datasets.
        receive_answer: waits for the answer to an `EpochEnd`.
        study, number: study and number of the trial, for the info in the saved model; None if standalone.
    """
    try:
        event = _Job(config, cache, folder, send, receive_answer, (study, number)).run()
    except TooLarge as error:
        event = _final_event("pruned", str(error), summary={"parameters": error.num_parameters})
    except InvalidParameters as error:
        event = _final_event("pruned", f"impossible parameters: {one_line(error)}")
    except Exception as error:
        traceback.print_exc()  # into the trial's output.log
        event = _final_event("failed", describe_error(error), is_plugin_error=isinstance(error, PluginFault))
    failpoint("worker.finished")
    send(event)


def _final_event(state: str, reason: str = "", **fields: Any) -> Finished:
    return Finished(time.time(), state, reason, **fields)


@dataclass
class _Fold:
    """The result of one fold, or of the only training of a trial without folds."""

    num_epochs: int
    best_epoch: int  # from 1
    best_metrics: Mapping[str, float]  # of that epoch
    train_seconds: float  # in `fit`
    probabilities: Any = None  # of the validation images, `(n, num_classes)`; None if it was pruned
    labels: Any = None  # true classes of the validation images, `(n,)`; None if it was pruned


class _Job:
    """A trial while it runs."""

    def __init__(
        self,
        config: TrialConfig,
        cache: Path,
        folder: Path,
        send: Send,
        receive_answer: ReceiveAnswer,
        origin: tuple[str, int | None],
    ) -> None:
        self._config = config
        self._cache = cache
        self._folder = folder
        self._send = send
        self._receive_answer = receive_answer
        self._study, self._number = origin
        self._dataset = open_dataset(cache, config.digest)
        self._components = Components(config, self._dataset)
        self._network: Any = None  # of the current fold, as the architecture built it
        self._classifier: Any = None  # the same network, taking raw pixels; the model to save
        self._num_parameters = 0
        self._is_pruned = False
        self._search_end = ""  # why the search ends, and this trial with it: `timeout` or `target`
        self._is_out_of_time = False  # `max_seconds` have ended the training
        self._folds: list[_Fold] = []

    def run(self) -> Finished:
        """Train one fold after another, then save the model of the best one."""
        self._components.check_size()
        best_weights = None
        has_folds = self._config.folds > 1
        for number in range(1, self._config.folds + 1):
            self._folds.append(self._train_fold(number))
            if self._is_pruned:
                fold = f"in fold {number}, " if has_folds else ""
                reason = f"pruned {fold}after epoch {self._folds[-1].num_epochs}"
                return _final_event("pruned", reason, summary=self._summarize())
            if self._search_end and number < self._config.folds:
                # Its value would be the mean of other folds than that of other trials.
                reason = f"interrupted after fold {number} of {self._config.folds}: {self._search_end}"
                return _final_event("failed", reason, is_interrupted=True)
            if has_folds and self._best_fold() == number:
                best_weights = self._classifier.get_weights()
        if best_weights is not None:
            self._classifier.set_weights(best_weights)
        results = self._summarize()
        if "latency_ms" in self._config.measures:
            results["latency_ms"] = latency_ms(self._classifier, self._dataset.train.images[:1])
        self._save(results)
        stopped = self._search_end or ("max_seconds" if self._is_out_of_time else "")
        return _final_event("complete", summary=results, stopped=stopped)

    def _train_fold(self, number: int) -> _Fold:
        """Train a new network on all folds except `number` (from 1), and validate it on that fold."""
        import keras

        config = self._config
        if number > 1:  # free the previous network, so that only one is in memory
            self._network = self._classifier = None
            keras.utils.clear_session()
        keras.utils.set_random_seed(config.seed_of_fold(number))
        train, validation = training_and_validation(
            self._cache, config.digest, self._dataset, config.validation, number
        )
        self._network = self._components.build_network()
        layers = self._components.build_augmentation()
        model, self._classifier = assemble(self._network, layers, train.images.shape[1:])
        if number == 1:
            self._num_parameters = int(self._network.count_params())
            failpoint("worker.built")
            device, name = backend.device_name(), keras.backend.backend()
            self._send(Started(time.time(), device, name, self._num_parameters))
        fold = self._fit(model, train, validation, number)
        if not self._is_pruned:
            fold.probabilities, fold.labels = predict(self._classifier, validation.images), validation.labels
        return fold

    def _fit(self, model: keras.Model, train: Split, validation: Split, number: int) -> _Fold:
        """Fit `model`, send the events, and return the result without predictions."""
        config = self._config
        fold = number if config.folds > 1 else None
        epochs: list[Mapping[str, float]] = []

        def on_epoch(epoch: int, metrics: Mapping[str, float], is_last: bool) -> bool:
            epochs.append(metrics)
            is_last = is_last and number == config.folds
            failpoint("worker.epoch")
            self._send(EpochEnd(time.time(), epoch, dict(metrics), fold, is_last))
            answer = self._receive_answer()
            failpoint("worker.answered")
            self._search_end = answer if isinstance(answer, str) else ""
            self._is_pruned = not answer
            return answer is True

        def on_progress(epoch: int, fraction: float) -> None:
            self._send(Progress(epoch, fraction, fold))

        settings = training_space().check(config.training)
        settings["max_seconds"] /= config.folds
        measure = Measures(self._components.metrics) if config.metrics else None
        callbacks, class_names = (on_epoch, on_progress), tuple(self._dataset.class_names)
        start = time.perf_counter()
        with plugin_errors(self._components.architecture, self._components.augmentation, by_location=True):
            fitted = fit(
                model,
                train,
                validation,
                config.objective,
                config.direction,
                *callbacks,
                class_names,
                measure,
                **settings,
            )
        self._is_out_of_time |= fitted.is_out_of_time
        best = fitted.best_epoch
        return _Fold(len(epochs), best, epochs[best - 1], time.perf_counter() - start)

    def _best_fold(self) -> int:
        """Return the number (from 1) of the fold with the best objective; the first one of equal folds."""
        values = [fold.best_metrics[self._config.objective] for fold in self._folds]
        return 1 + values.index(max(values) if self._config.direction == "maximize" else min(values))

    def _summarize(self) -> dict[str, float]:
        """Return the summary of the trial; metrics are means over the folds that were trained."""
        config, folds, best = self._config, self._folds, self._best_fold()
        metrics = [config.objective, *(metric for metric in config.measures if metric not in MODEL_METRICS)]
        summary = {f"best_{metric}": fmean(fold.best_metrics[metric] for fold in folds) for metric in metrics}
        if len(folds) > 1:
            values = [fold.best_metrics[config.objective] for fold in folds]
            summary[f"best_{config.objective}_std"] = stdev(values)
        if config.folds > 1:
            summary["best_fold"] = best
        return {
            **summary,
            "best_epoch": folds[best - 1].best_epoch,
            "parameters": self._num_parameters,
            "train_seconds": sum(fold.train_seconds for fold in folds),
        }

    def _save(self, summary: Mapping[str, float]) -> None:
        """Write `predictions.npz`, `summary.txt` and `model.keras`."""
        config, folder = self._config, self._folder
        probabilities = np.concatenate([fold.probabilities for fold in self._folds])
        labels = np.concatenate([fold.labels for fold in self._folds])
        if config.folds > 1:  # in the order of the training images
            fold_by_image = fold_of_images(self._cache, config.digest, self._dataset, config.validation)
            position = np.argsort(np.argsort(fold_by_image, kind="stable"))  # of each image, in `labels`
            probabilities, labels = probabilities[position], labels[position]
        np.savez(folder / "predictions.npz", probabilities=probabilities, labels=labels)
        failpoint("worker.predictions")
        (folder / "summary.txt").write_text(layer_table(self._network), encoding="utf-8")
        self._classifier.save(folder / "model.keras")
        failpoint("worker.model")
        architecture = self._components.architecture
        add_info(folder / "model.keras", self._model_info(summary), architecture.function.__module__)

    def _model_info(self, summary: Mapping[str, float]) -> ModelInfo:
        config, dataset = self._config, self._dataset
        height, width, channels = dataset.train.images.shape[1:]
        return ModelInfo(
            class_names=tuple(dataset.class_names),
            image_height=int(height),
            image_width=int(width),
            channels=int(channels),
            **decoding_of(config.dataset.parameters),
            dataset=config.dataset.name,
            source=dataset.source,
            digest=config.digest,
            licence=dataset.licence,
            architecture=config.architecture.name,
            study=self._study,
            trial=self._number,
            metrics=summary,
            plugins={key.partition(":")[0]: version for key, version in config.plugins.items()},
        )
