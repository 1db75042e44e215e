"""One trial as a job: takes a configuration, sends events, receives answers, writes files.

A trial sends `Started`, any number of `Progress`, an `EpochEnd` for each epoch and `Finished`; see
`zoo.events`. Every `EpochEnd` gets an `Answer`. A complete trial leaves `model.keras`, `summary.txt` and
`predictions.npz` in its directory.

With folds, a new network is trained for each fold; then `Progress` and `EpochEnd` have a `fold`. The saved
model comes from the best fold. Each training image is predicted by the network that was not trained on it.

If the trial directory has checkpoints of an interrupted trial with the same configuration, the trial
continues there: it sends the earlier epochs again, with `is_repeated`, and trains the others.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.store import open_dataset
from zoo.data.validation import fold_of_images, training_and_validation
from zoo.disk_space import keep_trying
from zoo.errors import InvalidParameters, one_line
from zoo.events import Answer, EpochEnd, Event, Finished, Progress, Started, from_json, to_json
from zoo.failpoints import failpoint
from zoo.process import sign_of_life
from zoo.training import backend
from zoo.training.checkpoints import Checkpoints, Snapshot, State
from zoo.training.components import Components, PluginFault, TooLarge, describe_error, plugin_errors
from zoo.training.cores import CoresTimed, core_timer
from zoo.training.fit import fit, training_space
from zoo.training.folds import Fold, Folds
from zoo.training.info import ModelInfo, add_info, decoding_of
from zoo.training.measuring import measure_epoch
from zoo.training.model import assemble, latency_ms, layer_table
from zoo.training.turn import Turn
from zoo.trial import TrialConfig

if TYPE_CHECKING:
    import keras

    from zoo.data import Split

Send = Callable[[Event | CoresTimed], None]
ReceiveAnswer = Callable[[], Answer]

CHECKPOINTS = "checkpoints"  # the folder in the trial directory


def run_trial(
    config: TrialConfig,
    cache: Path,
    folder: Path,
    send: Send,
    receive_answer: ReceiveAnswer,
    *,
    study: str = "",
    number: int | None = None,
    checkpoints: Checkpoints | None = None,
    turn: Turn | None = None,
) -> None:
    """Train the network that `config` describes and leave the trial's files in `folder`.

    Args:
        cache: the folder of the prepared datasets.
        receive_answer: waits for the answer to an `EpochEnd`.
        study, number: study and number of the trial, for the info in the saved model; None if standalone.
        checkpoints: the checkpoints of the trial; by default those in `folder`.
        turn: the turn of a prepared trial. Before, the trial sends no event and writes nothing to `folder`.
    """
    turn = turn or Turn()
    try:
        checkpoints = checkpoints or Checkpoints(folder / CHECKPOINTS)
        event = _Job(config, cache, folder, send, receive_answer, study, number, checkpoints, turn).run()
    except TooLarge as error:
        event = _final_event("pruned", str(error), summary={"parameters": error.num_parameters})
    except InvalidParameters as error:
        event = _final_event("pruned", f"impossible parameters: {one_line(error)}")
    except Exception as error:
        traceback.print_exc()  # goes into the trial's output.log
        event = _final_event("failed", describe_error(error), is_plugin_error=isinstance(error, PluginFault))
    turn.take()  # a trial may fail while it is prepared
    failpoint("worker.finished")
    send(replace(event, time=time.time()))


def _final_event(state: str, reason: str = "", **fields: Any) -> Finished:
    return Finished(time.time(), state, reason, **fields)


@dataclass
class _Job:
    """A running trial; the first fields are the arguments of `run_trial`."""

    config: TrialConfig
    cache: Path
    folder: Path
    send: Send
    receive_answer: ReceiveAnswer
    study: str
    number: int | None
    checkpoints: Checkpoints
    turn: Turn
    network: Any = None  # network of the current fold, as built by the architecture
    classifier: Any = None  # the same network for raw pixels; the model to save
    num_parameters: int = 0
    is_pruned: bool = False
    search_end: str = ""  # why the search, and this trial, ends early: `timeout` or `target`
    is_out_of_time: bool = False  # `max_seconds` ended the training

    def __post_init__(self) -> None:
        self.dataset = open_dataset(self.cache, self.config.digest)
        self.components = Components(self.config, self.dataset)
        self.folds = Folds(self.config)
        self.core_timer = core_timer(self.send)

    def run(self) -> Finished:
        """Train one fold after another, then save the model of the best one."""
        self.components.check_size()
        folds, has_folds = self.folds, self.config.folds > 1
        snapshot, problem = self.checkpoints.load()
        if snapshot is not None:
            folds.restore(snapshot)
        for number in range(1 if snapshot is None else snapshot.fold, self.config.folds + 1):
            folds.results.append(self._train_fold(number, snapshot, problem))
            snapshot, problem = None, ""
            if self.is_pruned:
                fold = f"in fold {number}, " if has_folds else ""
                reason = f"pruned {fold}after epoch {folds.results[-1].num_epochs}"
                return _final_event("pruned", reason, summary=folds.summary(self.num_parameters))
            if self.search_end and number < self.config.folds:
                # The value of this trial would be the mean of fewer folds than in other trials.
                reason = f"interrupted after fold {number} of {self.config.folds}: {self.search_end}"
                return _final_event("failed", reason, is_interrupted=True)
            if has_folds and folds.best() == number:
                folds.best_weights = self.classifier.get_weights()
        if folds.best_weights is not None:
            self.classifier.set_weights(folds.best_weights)
        results = folds.summary(self.num_parameters)
        if "latency_ms" in self.config.measures:
            results["latency_ms"] = latency_ms(self.classifier, self.dataset.train.images[:1])
        keep_trying(  # while the disk is full
            lambda: self._save(results),
            self.folder / "model.keras",
            lambda text: self.send(Progress(1, 1.0, problem=text)),
            needed=4 * self.num_parameters,
            alive=sign_of_life,
        )
        stopped = self.search_end or ("max_seconds" if self.is_out_of_time else "")
        return _final_event("complete", summary=results, stopped=stopped)

    def _train_fold(self, number: int, snapshot: Snapshot | None, problem: str) -> Fold:
        """Train a new network on all folds except `number` (from 1), and validate it on that fold.

        Args:
            snapshot: the state to continue from; `problem` says why no newer one is used.
        """
        import keras

        config = self.config
        if number > 1:  # free the previous network, so that only one is in memory
            self.network = self.classifier = None
            keras.utils.clear_session()
        keras.utils.set_random_seed(config.seed_of_fold(number))
        train, validation = training_and_validation(
            self.cache, config.digest, self.dataset, config.validation, number
        )
        self.network = self.components.build_network()
        layers = self.components.build_augmentation()
        model, self.classifier = assemble(self.network, layers, train.images.shape[1:])
        if not self.num_parameters:  # this is the first network
            self.num_parameters = int(self.network.count_params())
            failpoint("worker.built")
            facts = self.num_parameters, _origin_text(snapshot, config.folds), problem
            self.turn.then(lambda: self.send(_started(*facts)))
        return self._fit(model, train, validation, number, snapshot)

    def _fit(
        self, model: keras.Model, train: Split, validation: Split, number: int, snapshot: Snapshot | None
    ) -> Fold:
        """Fit `model`, send the events, and return the result."""
        config = self.config
        fold = number if config.folds > 1 else None
        epochs, state = self._repeat_epochs(snapshot)
        start = self.turn.seconds() - (0.0 if snapshot is None else snapshot.facts["train_seconds"])

        def on_epoch(epoch: int, metrics: Mapping[str, float], is_last: bool) -> bool:
            epochs.append(metrics)
            if self.core_timer is not None:
                self.core_timer.end_epoch(epoch)
            is_last = is_last and number == config.folds
            failpoint("worker.epoch")
            event = EpochEnd(time.time(), epoch, dict(metrics), fold, is_last)
            self.folds.history.append(to_json(event))
            return self._report(event)

        def on_progress(epoch: int, fraction: float) -> None:
            if self.core_timer is not None:
                self.core_timer.progress(epoch, fraction)
            self.send(Progress(epoch, fraction, fold))

        def keep(copy: Callable[[], State]) -> None:
            seconds = self.turn.seconds() - start
            self.checkpoints.keep(lambda: self.folds.snapshot(number, copy(), seconds, self.number))

        settings = training_space().check(config.training)
        settings["max_seconds"] /= config.folds
        measure = partial(measure_epoch, self.components.metrics) if config.metrics else None
        class_names = tuple(self.dataset.class_names)
        with plugin_errors(self.components.architecture, self.components.augmentation, by_location=True):
            fitted = fit(
                model,
                train,
                validation,
                config.objective,
                config.direction,
                on_epoch,
                on_progress,
                class_names,
                measure,
                (keep, state),
                self.turn,
                **settings,
            )
        self.is_out_of_time |= fitted.is_out_of_time
        best, seconds = fitted.best_epoch, self.turn.seconds() - start
        return Fold(
            len(epochs), best, epochs[best - 1], seconds, fitted.probabilities, np.asarray(validation.labels)
        )

    def _report(self, event: EpochEnd) -> bool:
        """Send the end of an epoch; return False if the answer stops the training."""
        self.send(event)
        answer = self.receive_answer()
        failpoint("worker.answered")
        self.search_end = answer if isinstance(answer, str) else ""
        self.is_pruned = not answer
        return answer is True

    def _repeat_epochs(self, snapshot: Snapshot | None) -> tuple[list[Mapping[str, float]], State | None]:
        """Send the epochs in `snapshot` again; return the metrics in its fold, and the state.

        Only the last answer counts: the other epochs were answered before the interruption.
        """
        if snapshot is None:
            return [], None
        events = [from_json(line) for line in self.folds.history]
        epochs = [event for event in events if isinstance(event, EpochEnd)]
        goes_on = [self._report(replace(event, is_repeated=True)) for event in epochs]
        state = State(snapshot.epoch, snapshot.facts["state"], snapshot.arrays)
        in_fold = [event.metrics for event in epochs if (event.fold or 1) == snapshot.fold]
        return in_fold, state if goes_on[-1] else state.stopped()

    def _save(self, summary: Mapping[str, float]) -> None:
        """Write `predictions.npz`, `summary.txt` and `model.keras`."""
        config, folder = self.config, self.folder
        probabilities, labels = self.folds.predictions()
        if config.folds > 1:  # in the order of the training images
            fold_by_image = fold_of_images(self.cache, config.digest, self.dataset, config.validation)
            position = np.argsort(np.argsort(fold_by_image, kind="stable"))  # of each image in `labels`
            probabilities, labels = probabilities[position], labels[position]
        np.savez(folder / "predictions.npz", probabilities=probabilities, labels=labels)
        failpoint("worker.predictions")
        (folder / "summary.txt").write_text(layer_table(self.network), encoding="utf-8")
        self.classifier.save(folder / "model.keras")
        failpoint("worker.model")
        architecture = self.components.architecture
        add_info(folder / "model.keras", self._model_info(summary), architecture.function.__module__)

    def _model_info(self, summary: Mapping[str, float]) -> ModelInfo:
        config, dataset = self.config, self.dataset
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
            study=self.study,
            trial=self.number,
            metrics=summary,
            plugins={key.partition(":")[0]: version for key, version in config.plugins.items()},
        )


def _started(num_parameters: int, continues: str, problem: str) -> Started:
    import keras

    device, name = backend.device_name(), keras.backend.backend()
    return Started(time.time(), device, name, num_parameters, continues, problem)


def _origin_text(snapshot: Snapshot | None, folds: int) -> str:
    """Return the point at which a trial continues: `trial 3 after epoch 7`, or "" for a new trial."""
    if snapshot is None:
        return ""
    number, of_fold = snapshot.facts["trial"], f" of fold {snapshot.fold}" if folds > 1 else ""
    trial = "the interrupted run" if number is None else f"trial {number}"
    return f"{trial} after epoch {snapshot.epoch}{of_fold}"
