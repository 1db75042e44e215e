"""The network of an architecture: raw pixels, augmentation, and the checks of the contract."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import PluginError
from zoo.training.model import assemble, check_layers, check_network, layer_table, predict


@pytest.fixture
def build(keras):
    """build(…layers) -> a network of 4×4 images into three classes."""

    def make(*layers):
        layers = layers or (keras.layers.Dense(3, activation="softmax"),)
        return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), *layers])

    return make


@pytest.fixture
def images():
    return np.random.default_rng(0).random((2, 4, 4, 1), dtype="float32")


class TestAssemble:
    def test_both_models_share_the_network(self, keras, build):
        network = build()
        training, kept = assemble(network, [keras.layers.RandomFlip()], (4, 4, 1))
        assert training.input_shape == kept.input_shape == (None, 4, 4, 1)
        assert training.get_layer(network.name) is kept.get_layer(network.name) is network

    def test_only_training_model_augments(self, keras, build):
        flip = keras.layers.RandomFlip()
        training, kept = assemble(build(), [flip], (4, 4, 1))
        assert flip in training.layers
        assert flip not in kept.layers

    def test_pixels_are_scaled_to_0_to_1(self, keras, build):
        network = build()
        _, kept = assemble(network, [], (4, 4, 1))
        raw = np.arange(16, dtype="uint8").reshape(1, 4, 4, 1) * 17  # 0 to 255
        expected = keras.ops.convert_to_numpy(network(raw.astype("float32") / 255))
        np.testing.assert_allclose(keras.ops.convert_to_numpy(kept(raw)), expected, rtol=1e-5)

    def test_augmentation_gets_images_from_0_to_1(self, keras, build):
        seen = []

        class Recorder(keras.layers.Layer):
            def call(self, images):
                seen.append(images)
                return images

        network = build()
        training, _ = assemble(network, [Recorder()], (4, 4, 1))
        seen.clear()
        training(np.full((1, 4, 4, 1), 255, "uint8"))
        assert float(keras.ops.max(seen[0])) == pytest.approx(1.0)


class TestCheckNetwork:
    def test_classifier_passes(self, build, images):
        check_network(build(), 3, images)

    def test_function_is_rejected(self, images):
        with pytest.raises(PluginError, match=r"expected a keras\.Model, got function"):
            check_network(lambda images: images, 3, images)

    def test_compiled_model_is_rejected(self, build, images):
        network = build()
        network.compile("sgd", "mse")
        with pytest.raises(PluginError, match="uncompiled"):
            check_network(network, 3, images)

    def test_wrong_number_of_classes_is_rejected(self, build, images):
        with pytest.raises(PluginError, match=r"\('batch', 4\), got \('batch', 3\)"):
            check_network(build(), 4, images)

    def test_output_with_three_axes_is_rejected(self, keras, build, images):
        network = build(keras.layers.Dense(3, activation="softmax"), keras.layers.Reshape((3, 1)))
        with pytest.raises(PluginError, match=r"got \('batch', 3, 1\)"):
            check_network(network, 3, images)

    def test_logits_are_rejected(self, keras, build, images):
        with pytest.raises(PluginError, match="each row sums to 1"):
            check_network(build(keras.layers.Dense(3, bias_initializer="ones")), 3, images)

    def test_negative_probabilities_are_rejected(self, keras, build, images):
        odd = keras.layers.Lambda(lambda x: x * 0 + keras.ops.convert_to_tensor([[-1.0, 1.0, 1.0]]))
        with pytest.raises(PluginError, match="class probabilities"):
            check_network(build(keras.layers.Dense(3), odd), 3, images)


class TestCheckLayers:
    def test_list_of_layers_passes(self, keras):
        check_layers([])
        check_layers([keras.layers.RandomFlip()])
        check_layers((keras.layers.RandomFlip(),))

    @pytest.mark.parametrize("wrong", [None, "flip", [lambda images: images], {}])
    def test_other_results_are_rejected(self, keras, wrong):
        with pytest.raises(PluginError, match="expected a list of Keras layers, got"):
            check_layers(wrong)

    def test_single_layer_is_rejected(self, keras):
        with pytest.raises(PluginError, match="expected a list of Keras layers"):
            check_layers(keras.layers.RandomFlip())


def test_predictions_do_not_depend_on_batch_size(build, images):
    network = build()
    many = np.repeat(images, 5, axis=0)
    whole = predict(network, many)
    assert (whole.shape, whole.dtype) == ((10, 3), np.float32)
    np.testing.assert_allclose(predict(network, many, batch_size=3), whole, rtol=1e-6)


def test_layer_table_is_plain_text(keras, build):
    _, kept = assemble(build(), [], (4, 4, 1))
    text = layer_table(kept)
    assert "\x1b" not in text
    assert "flatten" in text  # layers inside the network are listed
    assert text.endswith("\n")
