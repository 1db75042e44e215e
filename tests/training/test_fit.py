"""Training: optimizers, learning rate schedules, the best epoch, reports."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.data import Split
from zoo.errors import ZooError
from zoo.training import fit, training_space
from zoo.training.class_weights import class_weights
from zoo.training.fit import _make_optimizer

OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd")


@pytest.fixture(scope="module")
def splits():
    """Two classes of 4×4 images that are easily separated: dark and light."""
    random = np.random.default_rng(0)
    labels = np.arange(96) % 2
    images = (random.integers(0, 60, (96, 4, 4, 1)) + 180 * labels[:, None, None, None]).astype("uint8")
    return Split(images[:64], labels[:64]), Split(images[64:], labels[64:])


@pytest.fixture
def model(keras):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.fixture
def train(model, splits):
    """train(epochs=3) -> the best epoch and the metrics of every epoch."""

    def run(objective="val_loss", direction="minimize", **training):
        reported, lasts = [], []

        def on_epoch(epoch, metrics, is_last):
            reported.append(dict(metrics))
            lasts.append(is_last)
            assert epoch == len(reported)
            return True

        settings = {"epochs": 4, "batch_size": 16, "learning_rate": 0.05, **training}
        result = fit(model, *splits, objective, direction, on_epoch, lambda *_: None, **settings)
        assert lasts == [False] * (len(lasts) - 1) + [True]
        return (result if "max_seconds" in training else result.best_epoch), reported

    return run


class TestLoss:
    @pytest.mark.parametrize("setting", [{"label_smoothing": 0.3}, {"focal_gamma": 2.0}])
    def test_val_loss_is_plain_cross_entropy(self, train, model, splits, keras, setting):
        best, reported = train(epochs=2, learning_rate=0.001, patience=9, **setting)
        probabilities = model.predict(splits[1].images, verbose=0)
        expected = keras.losses.sparse_categorical_crossentropy(splits[1].labels, probabilities)
        assert reported[best - 1]["val_loss"] == pytest.approx(float(np.mean(expected)), rel=1e-5)
        assert reported[best - 1]["loss"] != pytest.approx(reported[best - 1]["val_loss"], rel=0.05)

    def test_own_pass_measures_what_keras_measures(self, model, splits, keras):
        def values(measure):
            keras.utils.set_random_seed(0)
            network = keras.models.clone_model(model)
            reported, ignore = [], lambda epoch, fraction: None
            arguments = ("val_loss", "minimize", lambda *epoch: reported.append(epoch[1]) or True, ignore)
            fit(network, *splits, *arguments, (), measure, epochs=3, batch_size=16, schedule="plateau")
            return [{name: value for name, value in one.items() if "seconds" not in name} for one in reported]

        for own, kerass in zip(values(lambda *epoch: {}), values(None), strict=True):
            assert own == pytest.approx(kerass, rel=1e-5)

    def test_without_settings_nothing_is_predicted(self, train, keras, monkeypatch):
        monkeypatch.setattr(keras.Model, "predict", None)
        train(epochs=1, class_weight="none", label_smoothing=0.0, focal_gamma=0.0)

    def test_measure_gets_every_epochs_probabilities(self, model, splits):
        got = []

        def measure(epoch, labels, probabilities):
            got.append((epoch, labels.tolist(), probabilities.shape, probabilities.dtype))
            return {"val_epoch": float(epoch)}

        arguments = ("val_epoch", "minimize", lambda *epoch: True, lambda epoch, fraction: None)
        fitted = fit(model, *splits, *arguments, (), measure, epochs=2, batch_size=16)
        assert fitted.best_epoch == 1
        labels = splits[1].labels.tolist()
        assert got == [(epoch, labels, (32, 2), np.float32) for epoch in (1, 2)]

    @pytest.mark.parametrize("setting", ["balanced", {"light": 3.0}])
    def test_classes_are_weighted(self, keras, model, splits, setting):
        rows = np.r_[0:64:2, 1:9:2]  # 32 dark images, 4 light ones
        train, names = Split(splits[0].images[rows], splits[0].labels[rows]), ("dark", "light")
        probabilities = model.predict(train.images, verbose=0)  # of the only batch, before its step
        losses = np.asarray(keras.losses.sparse_categorical_crossentropy(train.labels, probabilities))
        reported, ignore = [], lambda epoch, fraction: None
        arguments = ("loss", "minimize", lambda *epoch: reported.append(epoch[1]) or True, ignore)
        fit(model, train, splits[1], *arguments, names, epochs=1, class_weight=setting)
        weights = class_weights(setting, train.labels, names)[train.labels]
        assert reported[0]["loss"] == pytest.approx(float((weights * losses).mean()), rel=1e-4)


class TestOptimizers:
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_every_optimizer_learns(self, train, model, name):
        _, reported = train(optimizer=name)
        assert reported[-1]["val_loss"] < reported[0]["val_loss"]
        assert type(model.optimizer).__name__.lower() == name

    def test_space_has_every_optimizer(self):
        assert tuple(training_space()["optimizer"].domain.values()) == OPTIMIZERS

    def test_only_sgd_uses_momentum(self, keras):
        sgd = _make_optimizer("sgd", 0.1, momentum=0.5, weight_decay=0.25)
        assert (sgd.momentum, sgd.nesterov, sgd.weight_decay) == (0.5, True, None)
        assert not _make_optimizer("sgd", 0.1, momentum=0.0, weight_decay=0.25).nesterov
        for name in OPTIMIZERS[:-1]:
            configs = [_make_optimizer(name, 0.1, momentum, 0.25).get_config() for momentum in (0.5, 0.9)]
            assert configs[0] == {**configs[1], "name": configs[0]["name"]}

    def test_only_adamw_uses_weight_decay(self, keras):
        decays = {
            name: _make_optimizer(name, 0.1, 0.5, weight_decay=0.25).weight_decay for name in OPTIMIZERS
        }
        assert decays == {**dict.fromkeys(OPTIMIZERS), "adamw": 0.25}

    def test_parameters_of_other_optimizers_are_inactive(self):
        space = training_space()
        defaults = space.defaults()
        assert {"momentum", "weight_decay"}.isdisjoint(space.active({**defaults, "optimizer": "adam"}))
        assert "momentum" in space.active({**defaults, "optimizer": "sgd"})
        assert "weight_decay" in space.active({**defaults, "optimizer": "adamw"})


class TestSchedules:
    def rates(self, reported):
        return [metrics["learning_rate"] for metrics in reported]

    def test_constant_rate_does_not_change(self, train):
        _, reported = train(schedule="constant")
        assert self.rates(reported) == pytest.approx([0.05] * 4)

    def test_cosine_decays_to_zero_over_all_epochs(self, train):
        _, reported = train(schedule="cosine")
        expected = [0.05 * (1 + np.cos(np.pi * done)) / 2 for done in (0, 0.25, 0.5, 0.75)]
        assert self.rates(reported) == pytest.approx(expected, rel=1e-4)

    def test_plateau_divides_rate_after_two_worse_epochs(self, train):
        # The learning rate is too large, so the loss does not fall.
        _, reported = train(schedule="plateau", optimizer="sgd", learning_rate=1.0, momentum=0.99, epochs=9)
        rates = self.rates(reported)
        assert rates[0] == pytest.approx(1.0)
        assert set(np.round(np.divide(rates[1:], rates[:-1]), 4)) <= {1.0, 0.3333}
        losses = [metrics["val_loss"] for metrics in reported]
        lowest, num_worse = np.inf, 0
        for position, loss in enumerate(losses[:-1]):
            num_worse = 0 if loss < lowest - 1e-4 else num_worse + 1
            lowest = min(lowest, loss)
            assert (rates[position + 1] < rates[position] * 0.9) == (num_worse == 2)
            num_worse %= 2

    def test_space_has_every_schedule(self):
        assert tuple(training_space()["schedule"].domain.values()) == ("constant", "cosine", "plateau")


class TestBestEpoch:
    def test_weights_of_best_epoch_are_restored(self, train, model, splits, keras):
        best, reported = train(optimizer="sgd", learning_rate=1.0, momentum=0.99, epochs=6, patience=6)
        losses = [metrics["val_loss"] for metrics in reported]
        assert best == 1 + int(np.argmin(losses))
        probabilities = keras.ops.convert_to_numpy(model(splits[1].images))
        of_label = probabilities[np.arange(32), splits[1].labels]
        assert -np.log(np.clip(of_label, 1e-7, 1)).mean() == pytest.approx(min(losses), rel=1e-3)

    def test_training_ends_after_patience(self, train):
        best, reported = train("loss", "maximize", epochs=20, patience=3)
        assert (best, len(reported)) == (1, 4)

    def test_last_epoch_can_be_the_best(self, train):
        best, reported = train(epochs=3)
        assert (best, len(reported)) == (3, 3)

    def test_stop_ends_the_training(self, model, splits):
        seen_epochs = []

        def on_epoch(epoch, metrics, is_last):
            seen_epochs.append(epoch)
            assert not is_last
            return epoch < 2

        fit(model, *splits, "val_loss", "minimize", on_epoch, lambda *_: None, epochs=9, batch_size=16)
        assert seen_epochs == [1, 2]


class TestMaxSeconds:
    """A clock that is read shows a second more each time; an epoch has eight batches."""

    @pytest.fixture
    def train_for(self, train, model, monkeypatch):
        """train_for(5) -> number of epochs and of trained batches, and the result of `fit`."""
        clock = iter(range(1000))
        module = sys.modules["zoo.training.turn"]
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))

        def run(max_seconds, **training):
            result, reported = train(max_seconds=max_seconds, batch_size=8, **training)
            assert all("val_loss" in metrics for metrics in reported)
            return len(reported), int(model.optimizer.iterations.numpy()), result

        return run

    def test_training_ends_within_an_epoch(self, train_for):
        num_epochs, num_batches, result = train_for(5)
        assert (num_epochs, num_batches, result[:2]) == (1, 5, (1, True))

    def test_training_ends_after_an_epoch(self, train_for):
        num_epochs, num_batches, result = train_for(9.5)
        assert (num_epochs, num_batches, result.is_out_of_time) == (1, 8, True)

    def test_later_epoch_may_be_incomplete(self, train_for):
        num_epochs, num_batches, result = train_for(15)
        assert (num_epochs, result.is_out_of_time) == (2, True)
        assert 8 < num_batches < 16

    def test_zero_is_no_limit(self, train_for):
        num_epochs, num_batches, result = train_for(0)
        assert (num_epochs, num_batches, result.is_out_of_time) == (4, 32, False)

    def test_training_that_ends_by_itself_is_not_marked(self, train_for):
        num_epochs, num_batches, result = train_for(9.5, epochs=1)
        assert (num_epochs, num_batches, result.is_out_of_time) == (1, 8, False)


class TestFinite:
    @pytest.fixture
    def loop(self, keras):
        from zoo.training import loop

        return loop

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_value_that_is_not_finite_is_reported(self, loop, value):
        with pytest.raises(
            ZooError, match=rf"^val_loss became {value} in epoch 3; try a lower learning_rate$"
        ):
            loop.check_finite(3, {"loss": 0.5, "val_loss": value})

    def test_finite_values_pass(self, loop):
        loop.check_finite(1, {"loss": 0.0, "accuracy": 1.0, "val_loss": 1e30})


def test_progress_is_reported_a_few_times_per_second(model, splits, monkeypatch):
    """Not at every batch, since each report is a message to the supervisor."""
    clock = iter(np.arange(0, 1000, 0.2))
    module = sys.modules["zoo.training.turn"]
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    reports = []
    fit(
        model,
        *splits,
        "val_loss",
        "minimize",
        lambda *_: True,
        lambda epoch, fraction: reports.append((epoch, fraction)),
        epochs=1,
        batch_size=8,
    )
    assert reports == [(1, 0.125), (1, 0.375), (1, 0.625), (1, 0.875)]


def test_no_callback_defines_on_train_batch_end(model, splits, keras, monkeypatch):
    """With such a callback, Keras reads the metrics after every batch, and so waits for the GPU."""
    lists = []
    original_fit = keras.Model.fit

    def recording_fit(self, *arguments, callbacks, **keywords):
        lists.append(keras.callbacks.CallbackList(callbacks, model=self))
        return original_fit(self, *arguments, callbacks=callbacks, **keywords)

    monkeypatch.setattr(keras.Model, "fit", recording_fit)
    fit(model, *splits, "val_loss", "minimize", lambda *_: True, lambda *_: None, epochs=1, batch_size=16)
    (callbacks,) = lists
    ends = [type(callback).on_train_batch_end for callback in callbacks.callbacks]
    assert set(ends) == {keras.callbacks.Callback.on_train_batch_end}


def test_training_step_is_traced_once(model, splits, keras, monkeypatch):
    steps, train_step = [], keras.Model.train_step

    def count(model, data):
        steps.append(data)
        return train_step(model, data)

    monkeypatch.setattr(keras.Model, "train_step", count)
    fit(model, *splits, "val_loss", "minimize", lambda *_: True, lambda *_: None, epochs=2, batch_size=16)
    assert len(steps) == 1


def test_probabilities_are_of_the_restored_weights(model, splits, keras):
    fitted = fit(
        *(model, *splits, "val_loss", "maximize", lambda *_: True, lambda *_: None), epochs=3, batch_size=16
    )
    assert fitted.best_epoch < 3
    assert fitted.probabilities == pytest.approx(model.predict(splits[1].images, verbose=0), abs=1e-5)
