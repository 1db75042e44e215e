"""Pretrained networks: the input of each base, its weights, and the errors about weights."""

from __future__ import annotations

import inspect
import json
import os
import shutil

import keras
import numpy as np
import pytest
from architecture_words import counted
from shared_tools import run_python

from zoo import InvalidParameters, ZooError, variant
from zoo.builtin.architectures import _pretrained, pretrained
from zoo.builtin.architectures._pretrained import BASES
from zoo.registry import Registry
from zoo.space import read_space
from zoo.testing import check_architecture
from zoo.training.fit import layers_to_unfreeze, unfreeze

SMALL = "MobileNet"
MODULES = [
    module
    for _, module in inspect.getmembers(keras.applications, inspect.ismodule)
    if hasattr(module, "preprocess_input")
]


def functions_of(module):
    return {name for name, one in inspect.getmembers(module, inspect.isfunction) if name[0].isupper()}


def base_of(network):
    (base,) = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    return base


def trained(weights):
    """Return weights as after a training, without variances of 1 and means of 0."""
    random = np.random.default_rng(0)
    return [weight + random.uniform(0.01, 0.1, weight.shape).astype(weight.dtype) for weight in weights]


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The smallest base with weights of its own, and their file."""
    base = getattr(keras.applications, SMALL)(include_top=False, weights=None, input_shape=(32, 32, 3))
    base.set_weights(trained(base.get_weights()))
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    base.save_weights(path)
    return base, path


class TestBases:
    def test_every_base_of_keras_is_available(self):
        assert set(BASES) == functions_of(keras.applications)
        assert read_space(pretrained, positional=("input_shape", "num_classes"))["base"].domain.options == (
            *BASES,
        )

    @pytest.mark.parametrize("base", BASES)
    def test_smallest_size_equals_that_of_keras(self, base):
        smallest = BASES[base][1]
        build = getattr(keras.applications, base)
        with pytest.raises(ValueError, match=rf"{smallest}x{smallest}"):
            build(include_top=False, weights=None, input_shape=(smallest - 1, 200, 3))
        with pytest.raises(InvalidParameters) as error:
            pretrained((200, smallest - 1, 3), 2, base=base)
        assert str(error.value) == (
            f"{base} takes images of at least {smallest}×{smallest} pixels, got "
            f"200×{smallest - 1}; expected larger images (a dataset's image_size) or another base."
        )

    @pytest.mark.parametrize("base", ["VGG16", "ResNet50V2", "MobileNetV2", "DenseNet121", "Xception"])
    def test_smallest_size_is_enough(self, base):
        smallest = BASES[base][1]
        network = counted(pretrained, (smallest, smallest + 1, 1), 2, base=base, weights="none")
        assert network.output_shape == (None, 2)

    def test_vgg16_has_its_14_714_688_parameters(self):
        network = counted(pretrained, (150, 150, 3), 2, base="VGG16", weights="none")
        base = base_of(network)
        assert (base.name, base.count_params(), base.output_shape) == ("vgg16", 14_714_688, (None, 4, 4, 512))
        head = 512 * 256 + 256 + 256 * 2 + 2
        assert network.count_params() == 14_714_688 + head

    @pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
    def test_images_are_scaled_as_the_base_expects(self, module):
        colors = np.random.default_rng(0).random((2, 3, 4, 3), dtype="float32")
        expected = module.preprocess_input(255 * colors)
        of_module = functions_of(module) & set(BASES)
        if module.__name__.endswith("mobilenet_v3"):
            of_module = {"MobileNetV3Small", "MobileNetV3Large"}
        for base in of_module:
            scaled = keras.ops.convert_to_numpy(_pretrained._scale(colors, BASES[base][0]))
            assert np.allclose(scaled, expected, atol=1e-4)

    def test_every_base_belongs_to_a_module(self):
        of_modules = {name for module in MODULES for name in functions_of(module)}
        assert set(BASES) - of_modules == {"MobileNetV3Small", "MobileNetV3Large"}

    @pytest.mark.parametrize("channels", [2, 4])
    def test_other_channels_are_refused(self, channels):
        with pytest.raises(InvalidParameters, match=f"with one or three channels, got {channels}"):
            pretrained((32, 32, channels), 2)

    def test_misspelt_base_is_corrected(self):
        space = read_space(pretrained, positional=("input_shape", "num_classes"))
        with pytest.raises(ZooError, match=r'got "vgg16"\. Did you mean "VGG16"\?'):
            space.check({"base": "vgg16"})


class TestTheHead:
    @pytest.mark.parametrize(
        ("pooling", "features"), [("average", (None, 1024)), ("max", (None, 1024)), ("flatten", (None, 4096))]
    )
    def test_pooling_decides_the_number_of_features(self, pooling, features):
        network = counted(pretrained, (64, 64, 3), 3, base=SMALL, weights="none", pooling=pooling)
        position = network.layers.index(base_of(network))
        assert network.layers[position + 1].output.shape == features

    def test_flattening_needs_one_size(self):
        with pytest.raises(InvalidParameters, match='expected pooling = "average" or "max"'):
            counted(pretrained, (None, 64, 3), 3, base=SMALL, weights="none", pooling="flatten")
        network = counted(pretrained, (None, None, 3), 3, base=SMALL, weights="none")
        assert network.output_shape == (None, 3)

    def test_parameters_of_the_head(self):
        network = counted(
            pretrained,
            (32, 32, 3),
            2,
            base=SMALL,
            weights="none",
            feature_dropout=0.1,
            dense_units=(5, 6),
            activation="tanh",
            dropout=0.2,
            binary_head=True,
        )
        head = network.layers[network.layers.index(base_of(network)) + 2 :]
        assert [type(layer).__name__ for layer in head] == [
            *("Dropout", "Dense", "Dropout", "Dense", "Dropout"),
            *("Dense", "Rescaling", "Concatenate"),
        ]
        assert [layer.rate for layer in head[::2][:3]] == [0.1, 0.2, 0.2]
        assert [layer.units for layer in head[1:6:2]] == [5, 6, 1]

    def test_parameters_are_searched_only_on_request(self):
        space = read_space(pretrained, positional=("input_shape", "num_classes"))
        assert not any(parameter.searched for parameter in space.values())

    def test_network_passes_the_conformance_kit(self, small):
        for weights in ("none", str(small[1])):
            network = variant(pretrained, "small", "Small.", base=SMALL, weights=weights)
            check_architecture(
                network, input_shape=(32, 32, 1), num_classes=3, points=[], checks=["signature", "defaults"]
            )


class TestWeights:
    def test_weights_come_from_a_file(self, small):
        base, path = small
        network = pretrained((32, 32, 3), 2, base=SMALL, weights=str(path))
        pairs = zip(base_of(network).get_weights(), base.get_weights(), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)

    def test_features_equal_those_of_the_base(self, small):
        base, path = small
        network = pretrained((32, 32, 3), 2, base=SMALL, weights=str(path))
        images = np.random.default_rng(1).random((2, 32, 32, 3), dtype="float32")
        pooled = network.layers[network.layers.index(base_of(network)) + 1].output
        features = keras.ops.convert_to_numpy(keras.Model(network.input, pooled)(images))
        preprocessed = keras.applications.mobilenet.preprocess_input(255 * images)
        expected = keras.ops.convert_to_numpy(base(preprocessed, training=False)).mean(axis=(1, 2))
        assert np.allclose(features, expected, rtol=1e-3, atol=1e-3)

    def test_grey_images_equal_repeated_channels(self, small):
        grey = np.random.default_rng(1).random((2, 32, 32, 1), dtype="float32")
        networks = [
            pretrained((32, 32, channels), 2, base=SMALL, weights=str(small[1])) for channels in (1, 3)
        ]
        networks[1].set_weights(networks[0].get_weights())
        found = keras.ops.convert_to_numpy(networks[0](grey))
        assert np.allclose(
            found, keras.ops.convert_to_numpy(networks[1](np.repeat(grey, 3, axis=3))), atol=1e-6
        )

    def test_pretrained_weights_are_frozen(self, small):
        network = pretrained((32, 32, 3), 2, base=SMALL, weights=str(small[1]))
        assert len(network.trainable_weights) == 4  # two dense layers

    def test_statistics_stay_in_both_phases(self, small):
        network = pretrained((32, 32, 3), 2, base=SMALL, weights=str(small[1]), dense_units=())
        images = np.random.default_rng(1).random((4, 32, 32, 3), dtype="float32")
        before = keras.ops.convert_to_numpy(network(images, training=False))
        for count in (0, 9, 1000):
            if count:
                unfreeze(network, layers_to_unfreeze(network, count))
                assert len(network.trainable_weights) > 2
            found = keras.ops.convert_to_numpy(network(images, training=True))
            assert np.allclose(found, before, atol=1e-6)

    def test_random_weights_are_not_frozen(self):
        network = counted(pretrained, (32, 32, 3), 2, base=SMALL, weights="none")
        assert len(network.trainable_weights) == len(base_of(network).trainable_weights) + 4 > 50


# In a process of its own, because Keras chooses its cache folder when it is imported.
WITHOUT_NETWORK = """
import contextlib, io, json, socket, sys
from pathlib import Path

from zoo import InvalidParameters, ZooError
from zoo.builtin.architectures import _pretrained, pretrained

def message(base):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            pretrained((32, 32, 3), 2, base=base)
        except InvalidParameters:
            raise
        except ZooError as error:
            return [str(error), printed.getvalue()]

def no_name(*_, **__):
    raise socket.gaierror(-3, "Temporary failure in name resolution")

models = Path(sys.argv[1])
socket.getaddrinfo = no_name
messages = {"missing": message("VGG16")}
messages["left"] = [path.name for path in models.iterdir()]
(models / sys.argv[2]).write_bytes(b"not the weights")
messages["damaged"] = message("MobileNet")
_pretrained._DOWNLOAD_TIMEOUT_S = 0.2
server = socket.create_server(("127.0.0.1", 0))  # accepts connections and sends nothing
address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", server.getsockname())
socket.getaddrinfo = lambda *_, **__: [address]
messages["silent"] = message("VGG16")
messages["timeout"] = socket.getdefaulttimeout()
print(json.dumps(messages))
"""


def test_message_without_network_names_the_fix(tmp_path):
    models, mobilenet = tmp_path / "models", "mobilenet_1_0_224_tf_no_top.h5"
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    kept = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    environment = {**kept, "KERAS_HOME": str(tmp_path)}
    messages = json.loads(run_python("-c", WITHOUT_NETWORK, models, mobilenet, env=environment).stdout)
    assert messages["missing"] == [
        "the ImageNet weights of VGG16 are not in Keras's cache, or damaged, and the download failed "
        "([Errno -3] Temporary failure in name resolution). Put "
        f"vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 into {models}, or set weights to "
        '"none" or the path of a weights file.',
        "",
    ]
    assert messages["left"] == []
    assert "file signature not found" in messages["damaged"][0]
    assert f"Put an undamaged copy of its file into {models}, or set" in messages["damaged"][0]
    assert "the download failed (" in messages["silent"][0]
    assert "\n" not in messages["silent"][0]
    assert messages["timeout"] is None


class TestWeightsFileErrors:
    """Each error is one line that names the file and what was expected."""

    def message(self, path, base=SMALL):
        with pytest.raises(ZooError) as error:
            pretrained((32, 32, 3), 2, base=base, weights=str(path))
        assert not isinstance(error.value, InvalidParameters)
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)
        assert len(str(error.value)) < 600
        return str(error.value)

    def test_missing_weights_file_is_refused(self, tmp_path):
        assert self.message(tmp_path / "none.h5") == (
            f'no such weights file: {tmp_path / "none.h5"}. Expected weights = "imagenet", "none", or the '
            f"path of a file with the weights of {SMALL} without its top."
        )
        assert self.message(tmp_path).startswith("no such weights file: ")

    def test_weights_file_of_unknown_format_is_refused(self, small, tmp_path):
        path = tmp_path / "small.npz"
        shutil.copy(small[1], path)
        assert self.message(path).endswith("has an unknown format; expected .weights.h5 or .h5 or .keras.")

    @pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
    def test_truncated_weights_file_is_refused(self, small, tmp_path, suffix):
        whole = small[1].read_bytes()
        for kept in (len(whole) // 2, len(whole) - 1):
            path = tmp_path / f"small{suffix}"
            path.write_bytes(whole[:kept])
            assert "cannot be read" in self.message(path)

    def test_truncated_keras_archive_is_refused(self, small, tmp_path):
        path = tmp_path / "small.keras"
        small[0].save(path)
        pretrained((32, 32, 3), 2, base=SMALL, weights=str(path))
        path.write_bytes(path.read_bytes()[:-1000])
        assert "cannot be read" in self.message(path)

    @pytest.mark.parametrize("base", ["VGG16", "MobileNetV2"])
    def test_weights_of_another_network_are_refused(self, small, base):
        assert f"do not fit {base} without its top" in self.message(small[1], base)

    def test_old_weights_of_another_network_are_refused(self, small, tmp_path):
        path = tmp_path / "whole.h5"
        small[0].save(path)
        pretrained((32, 32, 3), 2, base=SMALL, weights=str(path))
        assert "do not fit VGG16 without its top" in self.message(path, "VGG16")

    def test_weights_of_base_and_head_are_refused(self, small, tmp_path):
        path = tmp_path / "all.weights.h5"
        pretrained((32, 32, 3), 2, base=SMALL, weights=str(small[1])).save_weights(path)
        assert "Expected a file that the save_weights() of this base wrote" in self.message(path)


def test_defaults_are_plain_json():
    registered = Registry.load([]).get("architecture", "pretrained")
    defaults = registered.space.defaults()
    assert json.loads(json.dumps(defaults)) == {**defaults, "dense_units": [256]}
