"""Layers of a model, also nested ones, their feature maps, its first filters; and augmented images."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.inspection import _network
from zoo.training import backend
from zoo.training.model import assemble
from zoo.trial import PluginConfig

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 12, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def keras():
    backend.disable_import_logs()
    return pytest.importorskip("keras")


@pytest.fixture
def saved(keras, tmp_path):
    """saved(network) -> the file of the network behind the scaling of pixels, as a trial saves it."""

    def save(network, shape=IMAGE.shape):
        path = tmp_path / f"{network.name}.keras"
        assemble(network, (), shape)[1].save(path)
        return path

    return save


@pytest.fixture
def plain(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(IMAGE.shape),
            layers.Conv2D(5, 3, name="first"),
            layers.Activation("relu", name="bend"),
            layers.MaxPooling2D(name="halve"),
            layers.Conv2D(70, 3, activation="relu", name="second"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="classes"),
        ],
        name="plain",
    )


@pytest.fixture
def nested(keras):
    """A network with a frozen base, a network inside the base with a layer of the same name, and a branch."""
    layers = keras.layers
    tip = keras.Sequential([keras.Input((5, 5, 4)), layers.Conv2D(2, 3, name="conv")], name="tip")
    inputs = keras.Input(IMAGE.shape)
    middle = layers.MaxPooling2D(name="pool")(layers.Conv2D(4, 3, name="conv")(inputs))
    base = keras.Model(inputs, tip(middle), name="base")
    base.trainable = False
    pixels = keras.Input(IMAGE.shape)
    wide = layers.Conv2D(3, 1, name="beside")(pixels)
    both = layers.Concatenate(name="both")(
        [layers.GlobalAveragePooling2D()(base(pixels)), layers.GlobalMaxPooling2D()(wide)]
    )
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="classes")(both), name="nested")


class TestTable:
    def test_every_layer_has_shape_and_parameters(self, saved, plain):
        table = _network.layer_table(saved(plain), IMAGE)
        rows = [(row.name, row.kind, row.output, row.parameters) for row in table.layers]
        assert rows == [
            ("pixels", "InputLayer", (12, 12, 1), 0),
            ("scale", "Rescaling", (12, 12, 1), 0),
            ("first", "Conv2D", (10, 10, 5), 50),
            ("bend", "Activation", (10, 10, 5), 0),
            ("halve", "MaxPooling2D", (5, 5, 5), 0),
            ("second", "Conv2D", (3, 3, 70), 3220),
            ("flat", "Flatten", (630,), 0),
            ("classes", "Dense", (3,), 1893),
        ]
        assert table.parameters == table.trained == plain.count_params() == 5163
        assert all(row.depth == 0 and not row.is_network for row in table.layers)

    def test_text_has_aligned_columns(self, saved, plain):
        lines = str(_network.layer_table(saved(plain), IMAGE)).splitlines()
        assert lines[0].split() == ["layer", "kind", "output", "parameters"]
        assert lines[6].split() == ["second", "Conv2D", "3×3×70", "3,220"]
        assert lines[-1].split() == ["total", "5,163", "5,163", "of", "them", "trained"]
        ends = [
            line.index(number) + len(number)
            for line, number in zip(lines[3:9:3], ("50", "3,220"), strict=True)
        ]
        assert len(set(ends)) == 1

    def test_nested_layers_follow_their_network(self, saved, nested):
        table = _network.layer_table(saved(nested), IMAGE)
        found = {row.name: row for row in table.layers}
        assert len(found) == len(table.layers)
        assert (found["base"].is_network, found["base"].depth, found["base"].output) == (True, 0, (3, 3, 2))
        assert found["base/conv"].depth == 1
        assert found["base/conv"].output == (10, 10, 4)
        assert found["base/tip/conv"].depth == 2
        assert found["base/tip/conv"].output == (3, 3, 2)
        assert found["pool"].output == (5, 5, 4)  # the only one of that name
        assert found["beside"].depth == 0
        assert not found["base/conv"].trained
        assert found["beside"].trained
        assert table.trained == table.parameters - found["base"].parameters
        assert "    base/tip/conv" in str(table)
        assert [line.split()[-1] for line in str(table).splitlines()].count("frozen") == 4

    def test_keras_application_has_all_layers(self, keras, saved):
        network = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=2, alpha=0.35)
        table = _network.layer_table(saved(network, (32, 32, 3)), np.zeros((32, 32, 3), np.uint8))
        assert table.parameters == network.count_params()
        assert all(row.output is not None for row in table.layers)
        assert (
            len(table.layers) == len(network.layers) - 1 + 2
        )  # without its own input, with ours and the scaling


class TestMaps:
    def test_every_convolution_and_pooling_has_maps(self, saved, plain):
        maps = _network.feature_maps(saved(plain), IMAGE, None, 12)
        assert [(one.layer, one.kind, one.maps.shape, one.channels) for one in maps] == [
            ("first", "Conv2D", (10, 10, 5), 5),
            ("halve", "MaxPooling2D", (5, 5, 5), 5),
            ("second", "Conv2D", (3, 3, 12), 70),
        ]

    def test_maps_are_the_outputs_of_the_layer(self, keras, saved, plain):
        (one,) = _network.feature_maps(saved(plain), IMAGE, "second", 64)
        until = keras.Model(plain.inputs, plain.get_layer("second").output)
        expected = keras.ops.convert_to_numpy(until(IMAGE[None].astype("float32") / 255))[0]
        assert one.maps.shape == (3, 3, 64)
        np.testing.assert_allclose(one.maps, expected[:, :, :64], atol=1e-5)

    def test_named_layer_can_be_of_any_kind(self, saved, plain):
        (one,) = _network.feature_maps(saved(plain), IMAGE, "bend", 64)
        assert (one.kind, one.maps.shape) == ("Activation", (10, 10, 5))
        assert one.maps.min() == 0

    def test_nested_layers_are_in_order_of_the_pass(self, keras, saved, nested):
        path = saved(nested)
        assert {one.layer for one in _network.feature_maps(path, IMAGE, None, 12)} == {
            "base/conv", "pool", "base/tip/conv", "beside",
        }  # fmt: skip
        names = [one.layer for one in _network.feature_maps(path, IMAGE, None, 12)]
        assert names.index("base/conv") < names.index("pool") < names.index("base/tip/conv")
        (inner,) = _network.feature_maps(path, IMAGE, "base/tip/conv", 12)
        expected = keras.ops.convert_to_numpy(nested.get_layer("base")(IMAGE[None].astype("float32") / 255))
        np.testing.assert_allclose(inner.maps, expected[0], atol=1e-5)

    def test_layer_used_twice_shows_first_output(self, keras, saved):
        layer = keras.layers.Conv2D(1, 3, padding="same", name="again")
        pixels = keras.Input(IMAGE.shape)
        flat = keras.layers.Flatten()(layer(layer(pixels)))
        network = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(flat), name="twice")
        (one,) = _network.feature_maps(saved(network), IMAGE, None, 12)
        expected = keras.ops.convert_to_numpy(layer(IMAGE[None].astype("float32") / 255))
        np.testing.assert_allclose(one.maps, expected[0], atol=1e-5)

    def test_model_is_unchanged_afterwards(self, keras, plain):
        model = assemble(plain, (), IMAGE.shape)[1]
        before = keras.ops.convert_to_numpy(model(IMAGE[None]))
        _network.layer_outputs(model, IMAGE)
        assert all("call" not in vars(layer) for _, layer, _ in _network.named_layers(model))
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(IMAGE[None])), before)

    @pytest.mark.parametrize(
        ("layer", "complaint"),
        [
            ("secnd", "there is no layer 'secnd'. Did you mean 'second'?"),
            ("xyz", "there is no layer 'xyz'. Layers with feature maps: scale, first, bend, halve, second."),
            (
                "flat",
                "the layer 'flat' has no feature maps: its output has shape 630. "
                "Layers with feature maps: scale, first, bend, halve, second.",
            ),
            (
                "pixels",
                "there is no layer 'pixels'. Layers with feature maps: scale, first, bend, halve, second.",
            ),
        ],
    )
    def test_unusable_layer_is_an_error(self, saved, plain, layer, complaint):
        with pytest.raises(ZooError) as error:
            _network.feature_maps(saved(plain), IMAGE, layer, 64)
        assert str(error.value) == complaint

    def test_ambiguous_name_is_an_error(self, saved, nested):
        with pytest.raises(
            ZooError, match=r"2 layers are named 'conv': choose one of base/conv, base/tip/conv\."
        ):
            _network.feature_maps(saved(nested), IMAGE, "conv", 64)

    def test_network_without_convolution_is_an_error(self, keras, saved):
        network = keras.Sequential(
            [keras.Input(IMAGE.shape), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")],
            name="perceptron",
        )
        path = saved(network)
        with pytest.raises(ZooError, match=r"no feature maps; it has Rescaling, Flatten, Dense\."):
            _network.feature_maps(path, IMAGE, None, 64)
        with pytest.raises(ZooError, match="no convolution, so it has no filters"):
            _network.first_filters(path)
        with pytest.raises(ZooError, match=r"its output has shape 144\. Layers with feature maps: scale"):
            _network.feature_maps(path, IMAGE, network.layers[0].name, 64)


class TestFilters:
    def test_filters_are_of_the_first_convolution(self, keras, saved, plain):
        name, kernel = _network.first_filters(saved(plain))
        assert name == "first"
        np.testing.assert_array_equal(kernel, keras.ops.convert_to_numpy(plain.get_layer("first").kernel))

    def test_nested_convolution_has_a_path(self, saved, nested):
        assert _network.first_filters(saved(nested))[0] == "base/conv"

    @pytest.mark.parametrize("kind", ["DepthwiseConv2D", "SeparableConv2D"])
    def test_depthwise_filters_have_one_channel(self, keras, saved, kind):
        layers = keras.layers
        first = (
            layers.DepthwiseConv2D(5, depth_multiplier=2)
            if kind == "DepthwiseConv2D"
            else layers.SeparableConv2D(7, 5, depth_multiplier=2)
        )
        network = keras.Sequential(
            [keras.Input((12, 12, 3)), first, layers.Flatten(), layers.Dense(2, activation="softmax")],
            name="apart",
        )
        assert _network.first_filters(saved(network, (12, 12, 3)))[1].shape == (5, 5, 1, 6)


def test_invalid_model_file_is_an_error(keras, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"not one")
    with pytest.raises(ZooError, match=r"model\.keras cannot be loaded"):
        _network.first_filters(tmp_path / "model.keras")


class TestAugmented:
    BATCHES = (np.repeat(IMAGE[None], 5, axis=0), np.stack([IMAGE, IMAGE[::-1]]))

    def test_every_image_has_its_own_version(self, keras):
        config = PluginConfig("affine", {"rotation": 30.0})
        versions, others = _network.augment(config, self.BATCHES, 0)
        assert versions.shape == (5, 12, 12, 1)
        assert others.shape == (2, 12, 12, 1)
        assert versions.dtype == np.uint8
        assert len({version.tobytes() for version in versions}) == 5

    def test_same_seed_gives_same_versions(self, keras):
        first, again, other = (
            _network.augment(PluginConfig("affine"), self.BATCHES, seed)[0].tobytes() for seed in (1, 1, 2)
        )
        assert first == again != other

    def test_policy_none_changes_nothing(self, keras):
        for before, after in zip(
            self.BATCHES, _network.augment(PluginConfig("none"), self.BATCHES, 0), strict=True
        ):
            np.testing.assert_array_equal(before, after)
