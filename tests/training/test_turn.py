"""A trial that is prepared ahead, run in this process."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from zoo.events import EpochEnd, Finished, Started
from zoo.registry import Registry
from zoo.training import job
from zoo.training.turn import Turn
from zoo.trial import PluginConfig

WAITED_S = 1.5


@pytest.fixture
def run_ahead(prepared, registry, tmp_path, monkeypatch):
    """run_ahead(config) -> the events of a trial that waits, and the time when its turn came."""
    monkeypatch.setattr(Registry, "load", lambda: registry)

    def run(config):
        events, turns = [], []

        def wait():
            assert events == []
            assert not (tmp_path / "trial").exists()
            time.sleep(WAITED_S)
            (tmp_path / "trial").mkdir()
            turns.append(time.time())

        job.run_trial(config, prepared[0], tmp_path / "trial", events.append, lambda: True, turn=Turn(wait))
        (turn,) = turns
        return events, turn

    return run


def test_prepared_trial_has_the_results_of_any_trial(run, run_ahead, config):
    config = replace(
        config, augmentation=PluginConfig("affine", {}), training={**config.training, "epochs": 2}
    )
    plain = run(config)
    events, turn = run_ahead(config)
    assert [type(event) for event in events if isinstance(event, Started | EpochEnd | Finished)] == [
        Started, EpochEnd, EpochEnd, Finished,
    ]  # fmt: skip
    without_seconds = [
        {key: value for key, value in event.metrics.items() if key != "epoch_seconds"}
        for event in events
        if isinstance(event, EpochEnd)
    ]
    assert without_seconds == plain.metrics_without_seconds()
    assert min(event.time for event in events if not hasattr(event, "fraction")) >= turn


def test_time_before_the_turn_does_not_count(run_ahead, config):
    began = time.perf_counter()
    events, _ = run_ahead(replace(config, training={**config.training, "epochs": 1}))
    passed = time.perf_counter() - began
    (epoch,) = [event for event in events if isinstance(event, EpochEnd)]
    assert epoch.metrics["epoch_seconds"] < passed - WAITED_S
    assert events[-1].summary["train_seconds"] < passed - WAITED_S


@pytest.mark.parametrize("batch_size", [64, 1024])
def test_time_before_the_turn_is_no_part_of_max_seconds(run_ahead, config, batch_size):
    """With 1024, the only batch of an epoch is its first."""
    training = {**config.training, "epochs": 2, "batch_size": batch_size, "max_seconds": 1000.0}
    events, _ = run_ahead(replace(config, training=training))
    assert (events[-1].state, events[-1].stopped) == ("complete", "")


def test_trial_that_fails_before_its_turn_waits_to_say_so(run_ahead, config):
    events, turn = run_ahead(replace(config, architecture=PluginConfig("conv_net", {"filters": [1] * 99})))
    (event,) = events
    assert (event.state, event.time >= turn) == ("failed", True)
