"""Trials that are interrupted, and continue from a checkpoint in the place of another process."""

from __future__ import annotations

import contextlib
import errno
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from zoo.data import Split
from zoo.registry import Registry
from zoo.training import backend, fit, job
from zoo.training.checkpoints import Checkpoints, Snapshot, read_checkpoint, write_checkpoint
from zoo.trial import PluginConfig

TRAINING = {"epochs": 4, "batch_size": 64, "optimizer": "adam", "learning_rate": 0.01}
# Every layer with a random state: dropout, and augmentation in front of the network.
RANDOM = {
    "architecture": PluginConfig("conv_net", {"filters": (8,), "dense_units": (16,), "dropout": 0.3}),
    "augmentation": PluginConfig("affine", {}),
}


class Killed(BaseException):
    """Ends a trial as SIGKILL does: no code of zoo runs after it."""


@pytest.fixture(scope="module")
def attempt(keras, prepared, registry, tmp_path_factory):
    """attempt(config) runs a trial; attempt(config, folder, kill_at=3) is killed while it reports an epoch.

    Epochs count over all folds, from 1. Returns the events and the folder.
    """

    def run(config, folder=None, kill_at=0, answers=lambda epoch: True):
        folder, events = folder or tmp_path_factory.mktemp("trial"), []

        def answer():
            number = sum(event.name == "epoch_end" for event in events)
            if number == kill_at:
                raise Killed
            return answers(number)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Registry, "load", lambda: registry)
            checkpoints = Checkpoints(folder / "checkpoints", min_interval_s=0)
            # A short epoch has no time for a copy; here each epoch is copied and written.
            patch.setattr("zoo.training.checkpoints._COST", float("inf"))
            with contextlib.suppress(Killed):
                job.run_trial(
                    config, prepared[0], folder, events.append, answer, number=3, checkpoints=checkpoints
                )
        return events, folder

    return run


def curve(events):
    """Return fold, epoch and metrics of every epoch, without those that depend on the clock."""
    return [
        (event.fold, event.epoch, {key: one for key, one in event.metrics.items() if key != "epoch_seconds"})
        for event in events
        if event.name == "epoch_end"
    ]


def results(events):
    """Return the final state and the summary, without those results that depend on the clock."""
    final = events[-1]
    summary = {name: value for name, value in final.summary.items() if name != "train_seconds"}
    return final.state, final.reason, final.stopped, summary


def weights(keras, folder):
    return keras.saving.load_model(folder / "model.keras", compile=False).get_weights()


SGD = {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine"}
PLATEAU = {"schedule": "plateau", "learning_rate": 0.3, "epochs": 8, "optimizer": "sgd"}
CASES = {
    # settings of the training, other settings, and the epoch at which the trial is killed
    "random layers, cosine": (SGD, RANDOM, 3),
    "plateau, registered metric": (PLATEAU, {"objective": "val_macro_f1"}, 6),
    "ended by patience": ({"patience": 1, "learning_rate": 0.2, "epochs": 8}, {}, math.inf),
    "folds": ({"epochs": 2}, {"validation": {"folds": 2, "seed": 0}, **RANDOM}, 4),
}
MORE_CASES = {
    "adamw": ({"optimizer": "adamw", "weight_decay": 0.01}, RANDOM, 2),
    "nadam": ({"optimizer": "nadam"}, {}, 2),
    "rmsprop, smoothed": ({"optimizer": "rmsprop", "label_smoothing": 0.1}, RANDOM, 3),
    "first epoch": ({}, RANDOM, 1),
    "last epoch": ({}, RANDOM, 4),
    "end of a fold": ({"epochs": 2}, {"validation": {"folds": 3, "seed": 0}}, 3),
}


@pytest.mark.parametrize(
    "case", [*CASES, *(pytest.param(case, marks=pytest.mark.faults) for case in MORE_CASES)]
)
def test_continued_trial_equals_the_undisturbed_one(case, attempt, config, keras):
    training, changes, kill_at = {**CASES, **MORE_CASES}[case]
    trial = replace(config, training={**TRAINING, **training}, **changes)
    undisturbed, whole = attempt(trial)
    kill_at = min(kill_at, len(curve(undisturbed)))
    _, folder = attempt(trial, kill_at=kill_at)
    continued, _ = attempt(trial, folder)
    assert curve(continued) == curve(undisturbed)
    assert results(continued) == results(undisturbed)
    for one, other in zip(weights(keras, folder), weights(keras, whole), strict=True):
        np.testing.assert_array_equal(one, other)
    repeated = [event.epoch for event in continued if getattr(event, "is_repeated", False)]
    assert len(repeated) == kill_at - 1, "only the epoch of the kill is trained twice"
    assert bool(continued[0].continues) == (kill_at > 1)


@pytest.fixture(scope="module")
def interrupted(attempt, config):
    """Return the folder of a trial that was killed in its third epoch, and its undisturbed events."""
    trial = replace(config, training={**TRAINING, "epochs": 3})
    return trial, attempt(trial)[0], attempt(trial, kill_at=3)[1]


@pytest.fixture
def copy(interrupted, tmp_path):
    """Return the configuration, the undisturbed events, and a copy of the folder."""
    import shutil

    trial, undisturbed, folder = interrupted
    return trial, undisturbed, shutil.copytree(folder, tmp_path / "003")


def files(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


class TestDamagedCheckpoint:
    def damage(self, path):
        content = bytearray(path.read_bytes())
        content[random.Random(0).randrange(len(content) // 2, len(content))] ^= 4
        path.write_bytes(content)

    def test_is_named_and_the_older_one_is_used(self, copy, attempt):
        trial, undisturbed, folder = copy
        newest = folder / "checkpoints" / "01-00002.ckpt"
        self.damage(newest)
        events, _ = attempt(trial, folder)
        assert events[0].continues == "trial 3 after epoch 1"
        assert events[0].problem == (
            f"the checkpoint {newest} is damaged: the checksum of an array does not match"
        )
        assert curve(events) == curve(undisturbed)

    def test_trial_without_another_starts_anew(self, copy, attempt):
        trial, undisturbed, folder = copy
        for path in (folder / "checkpoints").iterdir():
            path.write_bytes(path.read_bytes()[:100])
        events, _ = attempt(trial, folder)
        assert events[0].continues == ""
        assert events[0].problem.count("is damaged: ") == 2
        assert curve(events) == curve(undisturbed)

    def test_checkpoint_of_another_keras_is_not_used(self, copy, attempt, monkeypatch):
        trial, undisturbed, folder = copy
        other = {"keras": "9.0", "backend": "jax"}
        monkeypatch.setattr("zoo.training.checkpoints.versions", lambda: other)
        events, _ = attempt(trial, folder)
        assert events[0].problem.endswith(" with tensorflow")
        assert curve(events) == curve(undisturbed)

    def test_header_without_its_checksum_is_damaged(self, interrupted, tmp_path):
        """One changed bit can hide the key of the checksum."""
        content = (interrupted[2] / "checkpoints" / "01-00002.ckpt").read_bytes()
        path = tmp_path / "one.ckpt"
        path.write_bytes(content.replace(b'"zoo.check"', b'"zoo.chekk"', 1))
        with pytest.raises(ValueError, match="its header has no checksum"):
            read_checkpoint(path)

    def test_no_random_damage_is_read(self, interrupted, tmp_path, seed):
        """Every changed bit and every cut is found."""
        source = interrupted[2] / "checkpoints" / "01-00002.ckpt"
        content, path, choice = source.read_bytes(), tmp_path / "one.ckpt", random.Random(seed)
        for _ in range(200):
            damaged = bytearray(content)
            if choice.random() < 0.8:
                damaged[choice.randrange(len(damaged))] ^= 1 << choice.randrange(8)
            else:
                del damaged[choice.randrange(len(damaged)) :]
            path.write_bytes(damaged)
            with pytest.raises((ValueError, LookupError, TypeError)):
                read_checkpoint(path)


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "end"), [(False, ("pruned", "")), ("timeout", ("complete", "timeout"))]
    )
    def test_last_repeated_epoch_can_end_the_trial(self, answer, end, copy, attempt):
        trial, _, folder = copy
        events, _ = attempt(trial, folder, answers=lambda number: answer)
        assert [event.epoch for event in events if event.name == "epoch_end"] == [1, 2]
        assert (events[-1].state, events[-1].stopped) == end
        assert events[-1].summary["best_epoch"] == 2

    def test_earlier_repeated_epochs_cannot(self, copy, attempt):
        trial, undisturbed, folder = copy
        events, _ = attempt(trial, folder, answers=lambda number: number != 1)
        assert results(events) == results(undisturbed)


FINE_TUNING = {"fine_tune_layers": 2, "fine_tune_epochs": 2, "schedule": "cosine"}


class TestFineTuning:
    """The second phase continues, also if the interruption came between the phases."""

    def model(self, keras):
        keras.utils.set_random_seed(0)
        layers = keras.layers
        base = [layers.Conv2D(4, 3), layers.ReLU()]
        for layer in base:
            layer.trainable = False
        head = [layers.Flatten(), layers.Dropout(0.2), layers.Dense(2, activation="softmax")]
        return keras.Sequential([keras.Input((6, 6, 1)), layers.Rescaling(1 / 255), *base, *head])

    def train(self, keras, state=None):
        """Return the curve, the copies of the state, and the final weights."""
        choice = np.random.default_rng(0)
        split = Split(choice.integers(0, 255, (48, 6, 6, 1)).astype("uint8"), np.arange(48) % 2)
        epochs, states, model = [], [], self.model(keras)

        def on_epoch(epoch, metrics, is_last):
            # The global generators continue, too, as a plugin's own layer may use them.
            numbers = random.random(), np.random.random(), float(keras.random.uniform(()))
            epochs.append((epoch, metrics["loss"], metrics["val_loss"], is_last, *numbers))
            return True

        def keep(copy):
            states.append(copy())

        callbacks = (on_epoch, lambda *_: None)
        fit(
            *(model, split, split, "val_loss", "minimize", *callbacks),
            resuming=(keep, state),
            epochs=2,
            batch_size=16,
            **FINE_TUNING,
        )
        return epochs, states, model.get_weights()

    def test_each_state_leads_to_the_same_end(self, keras):
        epochs, states, weights = self.train(keras)
        assert [state.first for state in states] == [0, 0, 2, 2]
        for state in states[1:3]:
            continued, _, final = self.train(keras, state)
            assert continued == epochs[state.epoch :]
            for one, other in zip(weights, final, strict=True):
                np.testing.assert_array_equal(one, other)


class TestFiles:
    def snapshot(self, epoch=1, **arrays):
        return Snapshot(1, epoch, {"value": 0.1}, arrays)

    def test_every_type_and_shape_is_read_as_it_was_written(self, tmp_path, keras):
        import ml_dtypes

        arrays = [np.float32(3.5), np.zeros((0, 3)), np.arange(6).reshape(2, 3).T, np.ones(2, bool)]
        half = [np.arange(3).astype(ml_dtypes.bfloat16)]
        write_checkpoint(tmp_path / "a.ckpt", self.snapshot(mixed=arrays, half=half))
        found = read_checkpoint(tmp_path / "a.ckpt")
        assert found.facts == {"value": 0.1}
        for one, other in zip([*arrays, *half], [*found.arrays["mixed"], *found.arrays["half"]], strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_array_equal(one, other)

    def test_two_newest_are_kept(self, tmp_path):
        checkpoints = Checkpoints(tmp_path / "checkpoints", min_interval_s=0)
        for epoch in (8, 9, 10, 11):
            checkpoints._copying._interval_s = checkpoints._writing._interval_s = 0
            checkpoints.keep(lambda epoch=epoch: self.snapshot(epoch))
        assert files(tmp_path) == ["01-00010.ckpt", "01-00011.ckpt"]

    def test_short_trial_writes_none_until_it_is_asked(self, tmp_path):
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        checkpoints.keep(self.snapshot)
        assert not (tmp_path / "checkpoints").exists()
        checkpoints.flush()
        checkpoints.flush()  # nothing is left to write
        assert files(tmp_path) == ["01-00001.ckpt"]

    def test_full_disk_costs_the_checkpoint_only(self, tmp_path, monkeypatch, capsys):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("zoo.training.checkpoints.write_checkpoint", full)
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        checkpoints.keep(self.snapshot)
        checkpoints.flush()
        assert "no checkpoint was written to" in capsys.readouterr().out

    def test_slow_writing_is_done_seldom(self, tmp_path, monkeypatch):
        """An epoch takes 1 s and a write 2 s: one of 200 epochs writes, and costs 1 % of the time."""
        clock, written = [0.0], []
        monkeypatch.setattr("zoo.training.checkpoints.time.monotonic", lambda: clock[0])

        def write(path, snapshot):
            clock[0] += 2.0
            written.append(snapshot.epoch)

        monkeypatch.setattr("zoo.training.checkpoints.write_checkpoint", write)
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        for epoch in range(1, 601):
            clock[0] += 1.0
            checkpoints.keep(lambda epoch=epoch: self.snapshot(epoch))
        assert written == [2, 202, 402]


def test_random_states_are_restored(keras):
    keras.utils.set_random_seed(3)
    states = backend.random_states()

    def numbers():
        gauss = random.gauss(0, 1), np.random.normal()
        return gauss, random.random(), np.random.random(), float(keras.random.uniform(()))

    first = numbers()
    assert numbers() != first
    backend.set_random_states(states)
    assert numbers()[:3] == first[:3]
    states = backend.random_states()  # now with Keras' generator, which the first numbers have created
    second = numbers()
    keras.utils.set_random_seed(4)
    backend.set_random_states(states)
    assert numbers() == second


def test_copy_of_the_state_changes_no_random_number(keras):
    keras.utils.set_random_seed(3)
    first = float(keras.random.uniform(())), random.random()
    keras.utils.set_random_seed(3)
    backend.random_states()
    assert (float(keras.random.uniform(())), random.random()) == first
