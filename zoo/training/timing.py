"""The estimated time of a trial, from a few measured batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from zoo.data.store import open_dataset
from zoo.data.validation import training_and_validation
from zoo.training import backend
from zoo.training.components import Components
from zoo.training.fit import compile_model, max_epochs, training_space
from zoo.training.model import assemble
from zoo.trial import TrialConfig

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo.training.loop import Batches


@dataclass(frozen=True)
class Timing:
    """The measured times of a network, in seconds, on this machine without other trials.

    Args:
        num_parameters: weights of the network, trainable or not.
        start: building the network, and the first batch, in which the backend compiles the step.
        batch: one training batch, as the median of a few.
        epoch: all training batches, and one pass over the validation images.
        trial: the whole trial, if neither pruning nor patience saves an epoch.
    """

    device: str
    num_parameters: int
    batch_size: int
    start: float
    batch: float
    epoch: float
    trial: float


def time_trial(document: Mapping[str, Any], cache: Path) -> Timing:
    """Return the times of a trial whose configuration is `document`; nothing is recorded.

    Raise the errors of `zoo.training.components.Components.build_network`.
    """
    import keras

    from zoo.training.loop import Batches, create_variables

    config, begin = TrialConfig.from_json(document), time.perf_counter()
    dataset = open_dataset(cache, config.digest)
    components = Components(config, dataset)
    components.check_size()
    keras.utils.set_random_seed(config.seed)
    train, validation = training_and_validation(cache, config.digest, dataset, config.validation, 1)
    network = components.build_network()
    model, _ = assemble(network, components.build_augmentation(), train.images.shape[1:])
    settings = training_space().check(config.training)
    compile_model(model, train, dataset.class_names, settings)
    size = settings["batch_size"]
    batches, val_batches = Batches(train, size), Batches(validation, max(size, 256))
    create_variables(model)
    forward_pass = backend.forward_pass(model)

    def validate(images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        forward_pass(images)

    model.train_on_batch(*batches[0])  # the warm-up: the backend compiles the step
    validate(*val_batches[0])
    start = time.perf_counter() - begin
    batch = _seconds_of(model.train_on_batch, batches)
    epoch = batch * len(batches) + _seconds_of(validate, val_batches) * len(val_batches)
    training = config.folds * max_epochs(settings) * epoch
    trial = config.folds * start + min(training, settings["max_seconds"] or training)
    return Timing(backend.device_name(), int(network.count_params()), size, start, batch, epoch, trial)


def _seconds_of(step: Callable[..., Any], batches: Batches) -> float:
    """Return the median time of up to five batches, fewer if they take more than two seconds."""
    times: list[float] = []
    while not times or (len(times) < 5 and sum(times) < 2.0):
        start = time.perf_counter()
        step(*batches[len(times) % len(batches)])
        times.append(time.perf_counter() - start)
    return median(times)
