"""Around the network: raw pixels in front, augmentation while training; and what it is checked for."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import PluginError
from zoo.training.model import assemble, check_layers, check_network, predict, summary


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
    def test_both_take_raw_pixels_and_share_the_network(self, keras, build):
        network = build()
        training, kept = assemble(network, [keras.layers.RandomFlip()], (4, 4, 1))
        assert training.input_shape == kept.input_shape == (None, 4, 4, 1)
        assert training.get_layer(network.name) is kept.get_layer(network.name) is network

    def test_only_the_one_to_train_augments(self, keras, build):
        flip = keras.layers.RandomFlip()
        training, kept = assemble(build(), [flip], (4, 4, 1))
        assert flip in training.layers
        assert flip not in kept.layers

    def test_pixels_become_0_to_1(self, keras, build):
        network = build()
        _, kept = assemble(network, [], (4, 4, 1))
        raw = np.arange(16, dtype="uint8").reshape(1, 4, 4, 1) * 17  # 0 to 255
        expected = keras.ops.convert_to_numpy(network(raw.astype("float32") / 255))
        np.testing.assert_allclose(keras.ops.convert_to_numpy(kept(raw)), expected, rtol=1e-5)

    def test_augmentation_sees_0_to_1_and_comes_before_the_network(self, keras, build):
        seen = []

        class Looks(keras.layers.Layer):
            def call(self, images):
                seen.append(images)
                return images

        network = build()
        training, _ = assemble(network, [Looks()], (4, 4, 1))
        seen.clear()
        training(np.full((1, 4, 4, 1), 255, "uint8"))
        assert float(keras.ops.max(seen[0])) == pytest.approx(1.0)


class TestCheckNetwork:
    def test_a_classifier_is_as_it_should_be(self, build, images):
        check_network(build(), 3, images)

    def test_anything_but_a_model_is_refused(self, images):
        with pytest.raises(PluginError, match=r"expected a keras\.Model, but got function"):
            check_network(lambda images: images, 3, images)

    def test_compiled_is_refused(self, build, images):
        network = build()
        network.compile("sgd", "mse")
        with pytest.raises(PluginError, match="uncompiled"):
            check_network(network, 3, images)

    def test_another_number_of_classes_is_refused(self, build, images):
        with pytest.raises(PluginError, match=r"\('batch', 4\), but got \('batch', 3\)"):
            check_network(build(), 4, images)

    def test_an_output_that_is_no_row_for_each_image_is_refused(self, keras, build, images):
        network = build(keras.layers.Dense(3, activation="softmax"), keras.layers.Reshape((3, 1)))
        with pytest.raises(PluginError, match=r"but got \('batch', 3, 1\)"):
            check_network(network, 3, images)

    def test_scores_that_are_no_probabilities_are_refused(self, keras, build, images):
        with pytest.raises(PluginError, match="each row sums to 1"):
            check_network(build(keras.layers.Dense(3, bias_initializer="ones")), 3, images)

    def test_probabilities_below_zero_are_refused(self, keras, build, images):
        odd = keras.layers.Lambda(lambda x: x * 0 + keras.ops.convert_to_tensor([[-1.0, 1.0, 1.0]]))
        with pytest.raises(PluginError, match="class probabilities"):
            check_network(build(keras.layers.Dense(3), odd), 3, images)


class TestCheckLayers:
    def test_a_list_of_layers_is_as_it_should_be(self, keras):
        check_layers([])
        check_layers([keras.layers.RandomFlip()])
        check_layers((keras.layers.RandomFlip(),))

    @pytest.mark.parametrize("wrong", [None, "flip", [lambda images: images], {}])
    def test_anything_else_is_refused(self, keras, wrong):
        with pytest.raises(PluginError, match="expected a list of Keras layers, but got"):
            check_layers(wrong)

    def test_a_layer_without_a_list_is_refused(self, keras):
        with pytest.raises(PluginError, match="expected a list of Keras layers"):
            check_layers(keras.layers.RandomFlip())


def test_predictions_come_in_one_piece_whatever_the_batch_size(build, images):
    network = build()
    many = np.repeat(images, 5, axis=0)
    whole = predict(network, many)
    assert (whole.shape, whole.dtype) == ((10, 3), np.float32)
    np.testing.assert_allclose(predict(network, many, batch_size=3), whole, rtol=1e-6)


def test_a_summary_is_plain_text(keras, build):
    _, kept = assemble(build(), [], (4, 4, 1))
    text = summary(kept)
    assert "\x1b" not in text
    assert "flatten" in text  # the network's own layers too
    assert text.endswith("\n")
