"""The second phase of a training, in which the last frozen layers learn at a lower rate."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from zoo import InvalidParameters, ZooError
from zoo.data import Split
from zoo.training import fit, max_epochs, training_space
from zoo.training.fit import layers_to_unfreeze, unfreeze

BASE = ["base_first", "base_norm", "base_second", "base_relu"]


@pytest.fixture(scope="module")
def splits():
    """Two classes of 6×6 images that are easily separated: dark and light."""
    random = np.random.default_rng(0)
    labels = np.arange(96) % 2
    images = (random.integers(0, 60, (96, 6, 6, 1)) + 180 * labels[:, None, None, None]).astype("uint8")
    return Split(images[:64], labels[:64]), Split(images[64:], labels[64:])


def make_model(keras):
    """A network with a frozen base, behind the scaling of the pixels, as zoo trains it."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    base = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, name="base_first"),
            layers.BatchNormalization(name="base_norm"),
            layers.Conv2D(4, 3, name="base_second"),
            layers.ReLU(name="base_relu"),
        ],
        name="base",
    )
    base.trainable = False
    images = keras.Input((6, 6, 1))
    maps = base(images, training=False)
    outputs = layers.Dense(2, activation="softmax", name="head")(layers.Flatten()(maps))
    network = keras.Model(images, outputs, name="network")
    pixels = keras.Input((6, 6, 1))
    return keras.Model(pixels, network(layers.Rescaling(1 / 255)(pixels)))


@pytest.fixture
def model(keras):
    return make_model(keras)


def layer_of(model, name):
    network = model.get_layer("network")
    return (network.get_layer("base") if name.startswith("base_") else network).get_layer(name)


def weights_of(model):
    return {name: layer_of(model, name).get_weights() for name in (*BASE, "head")}


def changed(before, after):
    return {
        name
        for name in before
        if any(not np.array_equal(*pair) for pair in zip(before[name], after[name], strict=True))
    }


def trained(
    model, splits, objective="val_loss", direction="minimize", answers=lambda epoch: True, **training
):
    """Return the best epoch, and the metrics and weights of every epoch."""
    reported, lasts, weights = [], [], []

    def on_epoch(epoch, metrics, is_last):
        reported.append(dict(metrics))
        lasts.append(is_last)
        weights.append(weights_of(model))
        assert epoch == len(reported)
        return answers(epoch)

    settings = {
        **{"epochs": 3, "batch_size": 16, "learning_rate": 0.01},
        **{"fine_tune_layers": 2, "fine_tune_epochs": 2, "fine_tune_rate": 0.5},
        **training,
    }
    best, *_ = fit(model, *splits, objective, direction, on_epoch, lambda *_: None, **settings)
    assert not any(lasts[:-1])  # the first phase has no last epoch
    assert lasts[-1] == answers(len(lasts))
    return best, reported, weights


@pytest.fixture
def train(model, splits):
    """train(fine_tune_layers=2): `trained` for a new model."""
    return partial(trained, model, splits)


@pytest.fixture(scope="module")
def plain(keras, splits):
    """A model, and the result of `trained` with default settings."""
    model = make_model(keras)
    return model, *trained(model, splits)


def val_loss(model, split):
    import keras

    of_truth = keras.ops.convert_to_numpy(model(split.images))[np.arange(len(split)), split.labels]
    return -np.log(np.clip(of_truth, 1e-7, 1)).mean()


class TestSecondPhase:
    def test_default_has_no_second_phase(self, train):
        _, reported, weights = train(fine_tune_layers=0)
        assert len(reported) == 3
        assert changed(weights[0], weights[-1]) == {"head"}
        assert training_space().defaults()["fine_tune_layers"] == 0

    def test_second_phase_has_lower_learning_rate(self, plain):
        _, _, reported, _ = plain
        rates = [metrics["learning_rate"] for metrics in reported]
        assert rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005])

    def test_only_last_frozen_layers_learn(self, plain):
        weights = plain[-1]
        assert changed(weights[0], weights[2]) == {"head"}
        assert changed(weights[2], weights[4]) == {"head", "base_second"}

    def test_batch_normalization_never_learns(self, train):
        _, _, weights = train(fine_tune_layers=100)
        assert changed(weights[2], weights[4]) == {"head", "base_second", "base_first"}

    def test_second_phase_starts_from_best_weights(self, train):
        """With the loss maximized, the first epoch stays the best."""
        _, _, weights = train("val_loss", "maximize", epochs=4, fine_tune_rate=1e-4, fine_tune_epochs=1)
        steps_of_one_rate = np.abs(weights[4]["head"][0] - weights[0]["head"][0]).max()
        assert steps_of_one_rate < 1e-4 < np.abs(weights[3]["head"][0] - weights[0]["head"][0]).max()

    @pytest.mark.parametrize("schedule", ["cosine", "plateau"])
    def test_second_phase_has_its_own_schedule(self, train, schedule):
        _, reported, _ = train(schedule=schedule, fine_tune_rate=0.1)
        rates = [metrics["learning_rate"] for metrics in reported]
        assert (rates[0], rates[3]) == pytest.approx((0.01, 0.001))
        if schedule == "cosine":
            assert rates[4] == pytest.approx(0.0005, rel=1e-4)

    def test_stopped_first_phase_skips_the_second(self, train):
        assert len(train(answers=lambda epoch: epoch < 2)[1]) == 2

    def test_stop_ends_the_second_phase(self, train):
        assert len(train(answers=lambda epoch: epoch < 4)[1]) == 4

    def test_second_phase_follows_early_stopping(self, train):
        best, reported, _ = train("val_loss", "maximize", epochs=9, patience=2, fine_tune_epochs=9)
        assert best == 1
        assert len(reported) == 3 + 2  # patience ends each phase after two epochs


class TestBestEpoch:
    def test_best_epoch_in_second_phase(self, plain, splits):
        model, best, reported, _ = plain
        losses = [metrics["val_loss"] for metrics in reported]
        assert best == 1 + int(np.argmin(losses)) > 3
        assert val_loss(model, splits[1]) == pytest.approx(min(losses), rel=1e-3)

    def test_best_epoch_in_first_phase(self, train, model, splits):
        best, reported, weights = train("val_loss", "maximize")
        assert best == 1
        assert val_loss(model, splits[1]) == pytest.approx(reported[0]["val_loss"], rel=1e-3)
        assert changed(weights[0], weights_of(model)) == set()


class TestImpossibleSettings:
    def test_network_without_frozen_layer_is_rejected(self, train, model):
        model.get_layer("network").get_layer("base").trainable = True
        with pytest.raises(ZooError) as raised:
            train()
        assert not isinstance(raised.value, InvalidParameters)
        assert str(raised.value) == (
            "fine_tune_layers = 2, but no layer of this network is frozen; expected an architecture with a "
            "frozen base, such as 'pretrained' with its weights, or fine_tune_layers = 0."
        )

    def test_frozen_layers_without_weights_prune_the_trial(self, model, splits):
        epochs = []
        with pytest.raises(InvalidParameters) as raised:
            fit(
                model,
                *splits,
                "val_loss",
                "minimize",
                lambda epoch, *_: epochs.append(epoch) or True,
                lambda *_: None,
                fine_tune_layers=1,
            )
        assert epochs == []
        assert str(raised.value) == (
            "fine_tune_layers = 1 selects no frozen layer with weights to train; expected at least 2."
        )


class TestUnfreeze:
    def test_layers_are_counted_from_the_end(self, model):
        names = {count: [layer.name for layer in layers_to_unfreeze(model, count)] for count in (2, 3, 4, 9)}
        assert names == {
            2: ["base_second"],
            3: ["base_second"],  # batch normalization is counted, but stays frozen
            4: ["base_first", "base_second"],
            9: ["base_first", "base_second"],
        }

    def test_single_frozen_layers_are_unfrozen(self, keras):
        layers = keras.layers
        network = keras.Sequential(
            [keras.Input((4,)), layers.Dense(4), layers.Dense(4), layers.Dense(4), layers.Dense(2)]
        )
        for layer in network.layers[:3]:
            layer.trainable = False
        unfreeze(network, layers_to_unfreeze(network, 1))
        assert [layer.trainable for layer in network.layers] == [False, False, True, True]
        assert len(network.trainable_weights) == 4

    def test_layers_of_several_bases_are_counted_together(self, keras):
        images = keras.Input((4,))
        bases = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name=name)]) for name in "ab"]
        for base in bases:
            base.trainable = False
        both = keras.layers.Concatenate()([base(images) for base in bases])
        network = keras.Model(images, keras.layers.Dense(2)(both))
        assert [layer.name for layer in layers_to_unfreeze(network, 1)] == ["b"]
        unfreeze(network, layers_to_unfreeze(network, 2))
        assert len(network.trainable_weights) == 6


def test_max_epochs_includes_both_phases():
    training = training_space().defaults()
    assert max_epochs(training) == training["epochs"]
    assert max_epochs({**training, "epochs": 3, "fine_tune_layers": 4, "fine_tune_epochs": 2}) == 5
    assert max_epochs({"epochs": 3}) == 3  # recorded before the second phase existed
