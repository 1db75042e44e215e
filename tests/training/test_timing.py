"""The times of a trial, from a few batches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zoo.registry import Registry
from zoo.training import timing
from zoo.training.timing import time_trial
from zoo.trial import PluginConfig


@pytest.fixture
def measured(keras, prepared, registry, monkeypatch):
    """measured(config) -> its Timing, where a training batch takes 2 s and a validation batch 1 s."""
    seconds = {"train_on_batch": 2.0, "validate": 1.0}
    monkeypatch.setattr(Registry, "load", lambda: registry)
    monkeypatch.setattr(timing, "_seconds_of", lambda step, batches: seconds[step.__name__])
    return lambda config: time_trial(config.as_json(), prepared[0])


def test_epoch_has_all_batches_and_the_validation_images(measured, config):
    times = measured(config)  # 1150 images in batches of 64, 288 in batches of 256; two epochs
    assert (times.batch, times.batch_size, times.epoch) == (2.0, 64, 18 * 2.0 + 2 * 1.0)
    assert times.trial == pytest.approx(times.start + 2 * times.epoch)
    assert times.start > 0
    assert times.device


def test_trial_has_all_folds_and_at_most_max_seconds(measured, config):
    folds = replace(config, validation={"folds": 3, "seed": 0})
    times = measured(folds)
    assert times.trial == pytest.approx(3 * times.start + 6 * times.epoch)
    times = measured(replace(folds, training={**config.training, "max_seconds": 5.0}))
    assert times.trial == pytest.approx(3 * times.start + 5.0)


def test_step_is_measured_a_few_times(keras, monkeypatch):
    steps = []
    seconds = timing._seconds_of(lambda *batch: steps.append(batch), [("images", "labels")])
    assert steps == [("images", "labels")] * 5
    assert 0 <= seconds < 2
    clock = iter(range(0, 90, 3))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing._seconds_of(lambda *batch: steps.append(batch), [("images", "labels")]) == 3
    assert len(steps) == 6  # a slow step is measured once


def test_impossible_baseline_is_an_error(measured, config):
    from zoo.errors import InvalidParameters

    with pytest.raises(InvalidParameters, match=r"^3 units do not fit$"):
        measured(replace(config, architecture=PluginConfig("faulty", {"how": "impossible", "units": 3})))
