"""`conv_net`: its layers, its parameters, and images that are too small."""

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import InvalidParameters
from zoo.builtin.architectures import _networks, conv_net
from zoo.space import read_space


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def test_baseline_network():
    model = conv_net((28, 28, 1), 10)
    assert not model.compiled
    assert model.output_shape == (None, 10)
    assert model.outputs[0].dtype == "float32"
    assert kinds(model) == [
        *("Conv2D", "Activation", "MaxPooling2D") * 2,
        *("Flatten", "Dropout", "Dense", "Dropout", "Dense"),
    ]
    convolutions = 3 * 3 * 1 * 32 + 32 + 3 * 3 * 32 * 64 + 64
    dense = 7 * 7 * 64 * 128 + 128 + 128 * 10 + 10
    assert model.count_params() == convolutions + dense == 421_642


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"filters": (8,), "dense_units": ()}, 9 * 8 + 8 + 14 * 14 * 8 * 10 + 10),
        ({"filters": (8,), "dense_units": (), "padding": "valid"}, 9 * 8 + 8 + 13 * 13 * 8 * 10 + 10),
        ({"filters": (8,), "dense_units": (), "pool_size": 3}, 9 * 8 + 8 + 9 * 9 * 8 * 10 + 10),
        ({"filters": (8,), "dense_units": (), "kernel_size": 5}, 25 * 8 + 8 + 14 * 14 * 8 * 10 + 10),
        # no bias, but scale, offset, moving mean and variance
        ({"filters": (8,), "dense_units": (), "batch_norm": True}, 9 * 8 + 4 * 8 + 14 * 14 * 8 * 10 + 10),
        (
            {"filters": (8, 16), "dense_units": (32, 16), "convolutions_per_block": 2},
            (9 * 8 + 8) + (9 * 8 * 8 + 8) + (9 * 8 * 16 + 16) + (9 * 16 * 16 + 16)
            + (7 * 7 * 16 * 32 + 32) + (32 * 16 + 16) + (16 * 10 + 10),
        ),
    ],
)  # fmt: skip
def test_parameter_counts(parameters, count):
    assert conv_net((28, 28, 1), 10, **parameters).count_params() == count


def test_outputs_are_probabilities():
    images = np.random.default_rng(0).random((5, 8, 8, 3), dtype=np.float32)
    probabilities = keras.ops.convert_to_numpy(conv_net((8, 8, 3), 4)(images))
    assert probabilities.shape == (5, 4)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_batch_norm_is_before_the_activation():
    model = conv_net((8, 8, 1), 10, filters=(8,), batch_norm=True, convolutions_per_block=2)
    assert kinds(model)[:7] == [*("Conv2D", "BatchNormalization", "Activation") * 2, "MaxPooling2D"]


def test_moving_statistics_follow_within_one_epoch():
    """The scores use the moving statistics, so these must follow the weights."""
    random = np.random.default_rng(0)
    images = random.random((8, 8, 8, 1), dtype=np.float32)
    keras.utils.set_random_seed(0)
    model = conv_net((8, 8, 1), 10, filters=(8,), batch_norm=True)
    for _ in range(40):
        model(images, training=True)
    normalization = next(layer for layer in model.layers if type(layer).__name__ == "BatchNormalization")
    maps = keras.ops.convert_to_numpy(model.layers[0](images))
    mean = keras.ops.convert_to_numpy(normalization.moving_mean)
    assert np.allclose(mean, maps.mean(axis=(0, 1, 2)), rtol=0.05, atol=1e-4)


def test_activation_and_dropout_are_used_everywhere():
    model = conv_net((8, 8, 1), 10, activation="silu", dropout=0.5, dense_units=(16, 16))
    used = [
        layer.activation.__name__ for layer in model.layers if type(layer).__name__ in ("Activation", "Dense")
    ]
    assert used == ["silu", "silu", "silu", "silu", "softmax"]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.5] * 3


def test_probabilities_stay_float32_in_half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = conv_net((8, 8, 1), 10)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.layers[0].compute_dtype == "bfloat16"
    assert model.outputs[0].dtype == "float32"


@pytest.mark.parametrize(
    ("size", "parameters", "message"),
    [
        (
            8,
            {"filters": (8, 8, 8, 8)},
            "block 4 of 4 pools by 2×2, but only 1×1 of 8×8 pixels are left; "
            "expected fewer filters (a shorter list).",
        ),
        (
            8,
            {"filters": (8, 8), "pool_size": 3},
            "block 2 of 2 pools by 3×3, but only 2×2 of 8×8 pixels are left; "
            "expected fewer filters (a shorter list) or a smaller pool_size.",
        ),
        (
            8,
            {"kernel_size": 7, "padding": "valid", "convolutions_per_block": 2},
            "block 1 of 2 convolves by 7×7 with padding 'valid', but only 2×2 of 8×8 pixels are left; "
            "expected padding 'same', a smaller kernel_size, or fewer filters (a shorter list).",
        ),
    ],
)
def test_too_small_images_are_refused(size, parameters, message):
    with pytest.raises(InvalidParameters) as error:
        conv_net((size, size, 1), 10, **parameters)
    assert str(error.value) == message


def test_the_shorter_side_decides():
    conv_net((32, 8, 1), 10, filters=(8, 8, 8))
    for shape in ((32, 8, 1), (8, 32, 1)):
        with pytest.raises(InvalidParameters, match="block 4 of 4"):
            conv_net(shape, 10, filters=(8, 8, 8, 8))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30), st.just(1)),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([3, 5, 7]),
    st.sampled_from(["same", "valid"]),
    st.integers(2, 3),
)
def test_refused_exactly_what_keras_cannot_build(
    shape, blocks, convolutions, kernel_size, padding, pool_size
):
    parameters = {
        "filters": (8,) * blocks,
        "convolutions_per_block": convolutions,
        "kernel_size": kernel_size,
        "padding": padding,
        "pool_size": pool_size,
        "dense_units": (),
    }
    try:
        conv_net(shape, 2, **parameters)
    except InvalidParameters:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_networks, "check_image_size", lambda *_, **__: None)
            assert not can_be_built(shape, parameters)
    else:
        assert can_be_built(shape, parameters)


def can_be_built(shape, parameters):
    try:
        model = conv_net(shape, 2, **parameters)
    except ValueError:
        return False
    return all(0 not in layer.output.shape for layer in model.layers)


def test_every_parameter_is_documented():
    text = inspect.getdoc(conv_net)
    for name in (
        "input_shape",
        "num_classes",
        *read_space(conv_net, positional=("input_shape", "num_classes")),
    ):
        assert f"\n    {name}: " in text
