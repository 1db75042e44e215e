"""The published networks: their layers, and the search of their parameters."""

from __future__ import annotations

import inspect
import os
from dataclasses import replace
from random import Random

import keras
import numpy as np
import pytest
from architecture_words import counted, words_of
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_tools import run_python

from zoo import InvalidParameters
from zoo.builtin.architectures import _networks, _pretrained, conv_net, pretrained, typical_conv_net
from zoo.data import Split
from zoo.registry import Registry
from zoo.space import Plain, Space
from zoo.testing._points import UnitSuggester
from zoo.training import fit
from zoo.training.model import assemble

ENTRIES = {
    entry.name: entry
    for entry in Registry.load([]).components()
    if entry.kind == "architecture" and entry.function not in (conv_net, pretrained)
}
BLOCK_16, BLOCK_32 = (f"conv {width} 3×3 relu, conv {width} 3×3 relu, pool 2" for width in (16, 32))
NORMALIZED_16, NORMALIZED_32 = (
    f"conv {width} 3×3 relu, batch normalization, conv {width} 3×3 relu, pool 2" for width in (16, 32)
)
PHOTOS = (150, 150, 3)

# name: (layers, number of parameters) for 28×28×1 and 10 classes, or 150×150×3 and 2 classes
NETWORKS = {
    "softmax_regression": ("flatten, dense 10 softmax", 7_850),
    "perceptron": ("flatten, dense 128 tanh, dense 10 softmax", 101_770),
    "wide_perceptron": ("flatten, dense 512 relu, dropout 0.5, dense 10 softmax", 407_050),
    "one_convolution": ("conv 16 3×3 same relu, flatten, dense 10 softmax", 125_610),
    "convolution_pooling": ("conv 16 3×3 relu, pool 2, flatten, dense 10 softmax", 27_210),
    "small_lenet": (
        "conv 6 3×3 same relu, pool 2, conv 16 3×3 same relu, pool 2, flatten, dense 10 softmax",
        8_790,
    ),
    "three_convolutions": (
        "conv 32 3×3 relu, pool 2, conv 64 3×3 relu, pool 2, conv 64 3×3 relu, flatten, dense 64 relu, "
        "dense 10 softmax",
        93_322,
    ),
    "wide_pair": (
        "conv 32 3×3, conv 64 3×3 relu, pool 2, dropout 0.2, flatten, dense 128 relu, dropout 0.5, "
        "dense 10 softmax",
        1_199_882,
    ),
    "typical_conv_net": (f"{BLOCK_16}, {BLOCK_32}, flatten, dense 10 softmax", 21_498),
    "typical_conv_net_dense": (
        f"{BLOCK_16}, {BLOCK_32}, flatten, dense 64 relu, dropout 0.5, dense 10 softmax",
        49_850,
    ),
    "typical_conv_net_batch_norm": (
        f"{NORMALIZED_16}, {NORMALIZED_32}, flatten, dense 64 relu, dropout 0.5, dense 10 softmax",
        50_042,
    ),
    "fully_convolutional": (
        f"{NORMALIZED_16}, {NORMALIZED_32}, conv 128 3×3 relu, global max pooling, dropout 0.5, "
        "dense 128 relu, dropout 0.5, dense 10 softmax",
        71_354,
    ),
    "cats_and_dogs_net": (
        "conv 32 3×3 relu, pool 2, conv 64 3×3 relu, pool 2, conv 128 3×3 relu, pool 2, "
        "conv 128 3×3 relu, pool 2, flatten, dropout 0.5, dense 512 relu, dense 1 sigmoid, "
        "the other class, both classes",
        3_453_121,
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def usual_input(name):
    """Return the image shape and the number of classes that a network was published for."""
    return (PHOTOS, 2) if name == "cats_and_dogs_net" else ((28, 28, 1), 10)


def test_all_networks_are_listed_here():
    assert list(ENTRIES) == list(NETWORKS)


@every_network
def test_layers_and_parameters_are_as_published(name):
    layers, parameters = NETWORKS[name]
    network = counted(ENTRIES[name].function, *usual_input(name))
    assert words_of(network) == layers
    assert network.count_params() == parameters


@every_network
def test_parameters_are_searched_only_on_request(name):
    space = ENTRIES[name].space
    assert not any(isinstance(parameter.domain, Plain) for parameter in space.values())
    assert not any(parameter.searched for parameter in space.values())
    assert space.sample(UnitSuggester(Random(0).random)) == space.defaults()
    table = {"dropout": {"low": 0.1, "high": 0.5}, "dense_units": {"length": [1, 2], "low": 16, "high": 64}}
    sampled = space.narrow(table).sample(UnitSuggester(Random(0).random))
    assert 0.1 <= sampled["dropout"] <= 0.5
    assert 1 <= len(sampled["dense_units"]) <= 2
    rest = set(space) - set(table)
    assert {key: sampled[key] for key in rest} == {key: space.defaults()[key] for key in rest}


@every_network
def test_every_parameter_is_documented(name):
    text = inspect.getdoc(ENTRIES[name].function)
    assert all(f"\n    {parameter}: " in text for parameter in ENTRIES[name].space)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("softmax_regression", (8, 8, 1), 10),
        ("fully_convolutional", (28, 28, 3), 3),
        ("cats_and_dogs_net", (46, 46, 3), 2),
    ],
)
def test_training_lowers_the_loss(name, shape, classes, seed):
    """Classes differ in brightness; after a few steps the loss is lower."""
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    labels = np.arange(96) % classes
    brightness = (25 * labels)[:, None, None, None]
    images = (random.integers(0, 20, (96, *shape)) + brightness).astype("uint8")
    model, kept = assemble(ENTRIES[name].function(shape, classes), [], shape)
    split = Split(images, labels)

    def loss():
        of_truth = keras.ops.convert_to_numpy(kept(images, training=False))[np.arange(96), labels]
        return -np.log(np.clip(of_truth, 1e-7, 1)).mean()

    before = loss()
    reported = []
    fit(
        model,
        split,
        split,
        "val_loss",
        "minimize",
        lambda epoch, metrics, is_last: reported.append(metrics) or True,
        lambda *_: None,
        epochs=2,
        batch_size=16,
    )
    assert len(reported) == 2
    assert loss() < before


class TestImagesOfAnySize:
    def test_one_network_classifies_images_of_any_size(self):
        network = ENTRIES["fully_convolutional"].function((None, None, 1), 10)
        random = np.random.default_rng(0)
        for height, width in ((28, 28), (40, 36), (24, 61)):
            images = random.random((3, height, width, 1), dtype="float32")
            probabilities = keras.ops.convert_to_numpy(network(images))
            assert probabilities.shape == (3, 10)
            assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)

    def test_weights_trained_at_one_size_fit(self):
        network = ENTRIES["fully_convolutional"].function((28, 28, 1), 10)
        anywhere = ENTRIES["fully_convolutional"].function((None, None, 1), 10)
        anywhere.set_weights(network.get_weights())
        images = np.random.default_rng(0).random((2, 40, 36, 1), dtype="float32")
        first, second = (keras.ops.convert_to_numpy(one(images)) for one in (network, anywhere))
        assert np.allclose(first, second, atol=1e-6)

    def test_built_for_one_size_takes_others(self):
        network = counted(ENTRIES["fully_convolutional"].function, (28, 28, 1), 10)
        assert network.input_shape == (None, None, None, 1)
        assert counted(typical_conv_net, (28, 28, 1), 10).input_shape == (None, 28, 28, 1)

    @pytest.mark.parametrize("name", ["perceptron", "typical_conv_net"])
    def test_unknown_size_is_refused_before_flatten(self, name):
        with pytest.raises(InvalidParameters, match=r"^the image size is unknown \(\?×28\); expected "):
            ENTRIES[name].function((None, 28, 1), 10)

    def test_one_known_side_is_checked(self):
        network = ENTRIES["fully_convolutional"]
        counted(network.function, (None, 40, 1), 10)
        with pytest.raises(InvalidParameters, match=r"only 1 of \?×10 pixels are left"):
            counted(network.function, (None, 10, 1), 10)


class TestTwoClasses:
    def test_one_sigmoid_unit_is_both_probabilities(self):
        network = ENTRIES["cats_and_dogs_net"].function((46, 46, 3), 2)
        images = np.random.default_rng(0).random((4, 46, 46, 3), dtype="float32")
        probabilities = keras.ops.convert_to_numpy(network(images))
        unit = keras.Model(network.input, network.layers[-3].output)
        second = keras.ops.convert_to_numpy(unit(images))
        assert second.shape == (4, 1)
        assert np.allclose(probabilities, np.concatenate([1 - second, second], axis=1), atol=1e-6)

    @pytest.mark.parametrize("name", ["perceptron", "small_lenet"])
    def test_binary_head_of_any_network(self, name):
        network = counted(ENTRIES[name].function, (28, 28, 1), 2, binary_head=True)
        assert network.output_shape == (None, 2)
        assert words_of(network).endswith("dense 1 sigmoid, the other class, both classes")

    def test_binary_head_for_three_classes_is_refused(self):
        with pytest.raises(InvalidParameters) as error:
            ENTRIES["cats_and_dogs_net"].function(PHOTOS, 3)
        assert str(error.value) == "binary_head is for two classes, got 3; expected binary_head = false."

    def test_probabilities_stay_float32_in_half_precision(self):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            network = ENTRIES["small_lenet"].function((8, 8, 1), 2, binary_head=True)
        finally:
            keras.config.set_dtype_policy(before)
        assert network.layers[1].compute_dtype == "bfloat16"
        assert network.outputs[0].dtype == "float32"


class TestParameters:
    """Parameters that no published network changes."""

    def words(self, **parameters):
        network = counted(typical_conv_net, (28, 28, 1), 10, filters=(4, 5, 6), **parameters)
        return words_of(network).removesuffix(", dense 10 softmax")

    def test_remaining_convolutions_are_a_block(self):
        assert self.words(poolings=8) == (
            "conv 4 3×3 relu, conv 5 3×3 relu, pool 2, conv 6 3×3 relu, pool 2, flatten"
        )

    def test_batch_norm_after_all_convolutions(self):
        assert self.words(batch_norm="all", poolings=1) == (
            "conv 4 3×3 relu, batch normalization, conv 5 3×3 relu, batch normalization, pool 2, "
            "conv 6 3×3 relu, batch normalization, flatten"
        )

    def test_every_parameter_changes_the_layers(self):
        assert self.words(
            convolutions_per_block=3,
            kernel_size=5,
            padding="same",
            activation="gelu",
            activate="last",
            pool_size=3,
            block_dropout=0.1,
            ending="average",
            feature_dropout=0.2,
            dense_units=(7, 8),
            dropout=0.3,
        ) == (
            "conv 4 5×5 same, conv 5 5×5 same, conv 6 5×5 same gelu, pool 3, dropout 0.1, "
            "global average pooling, dropout 0.2, dense 7 gelu, dropout 0.3, dense 8 gelu, dropout 0.3"
        )


def every_parameter_searched(space):
    return Space([replace(parameter, searched=True) for parameter in space.values()])


SHAPES = [(28, 28, 1), (8, 8, 1), (32, 32, 3), (7, 13, 1), (33, 5, 3), (1, 1, 1), (61, 47, 2)]


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(ENTRIES)),
    st.sampled_from(SHAPES),
    st.sampled_from([2, 3, 10]),
    st.integers(0, 2**32 - 1),
)
def test_any_combination_is_built_or_refused(name, shape, classes, seed):
    entry = ENTRIES[name]
    parameters = every_parameter_searched(entry.space).sample(UnitSuggester(Random(seed).random))
    try:
        network = counted(entry.function, shape, classes, **parameters)
    except InvalidParameters:
        return
    assert network.output_shape == (None, classes)
    assert 0 not in [size for layer in network.layers for size in layer.output.shape]


@settings(max_examples=60)
@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_refused_exactly_what_keras_cannot_build(shape, seed):
    space = every_parameter_searched(ENTRIES["typical_conv_net"].space)
    parameters = {
        **space.sample(UnitSuggester(Random(seed).random)),
        "ending": "flatten",
        "binary_head": False,
    }
    try:
        counted(typical_conv_net, shape, 2, **parameters)
    except InvalidParameters:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_networks, "check_image_size", lambda *_, **__: None)
            try:
                network = counted(typical_conv_net, shape, 2, **parameters)
            except ValueError:
                return
            assert 0 in [size for layer in network.layers for size in layer.output.shape]


def test_saved_network_loads_without_zoo(tmp_path):
    """Its layers are Keras's own."""
    networks = {
        "both": ENTRIES["cats_and_dogs_net"].function((46, 46, 3), 2),
        "grey": pretrained((32, 40, 1), 3, base="MobileNet", weights="none", dense_units=(8,)),
    }
    for number, scaling in enumerate(sorted({scaling for scaling, _ in _pretrained.BASES.values()})):
        colors = keras.Input((4, 4, 3))
        networks[f"scaling_{number}"] = keras.Model(colors, _pretrained._scale(colors, scaling))
    expected = {}
    for name, network in networks.items():
        images = np.random.default_rng(0).random((2, *network.input_shape[1:]), dtype="float32")
        np.save(tmp_path / f"{name}.npy", images)
        expected[name] = keras.ops.convert_to_numpy(network(images, training=False))
        network.save(tmp_path / f"{name}.keras")
    code = (
        "import sys; sys.modules['zoo'] = None\n"
        "import keras, numpy as np\n"
        f"for name in {list(networks)!r}:\n"
        "    model = keras.saving.load_model(f'{name}.keras')\n"
        "    found = keras.ops.convert_to_numpy(model(np.load(f'{name}.npy'), training=False))\n"
        "    np.save(f'{name}_found.npy', found)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run_python("-c", code, cwd=tmp_path, env=environment)
    for name, probabilities in expected.items():
        assert np.allclose(np.load(tmp_path / f"{name}_found.npy"), probabilities, atol=1e-5)
