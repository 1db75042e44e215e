"""The built-in policies: any parameters, images of any shape, and a training with each."""

import inspect
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from sklearn.datasets import load_digits

from zoo.builtin.architectures import conv_net
from zoo.builtin.augmentations import (
    PRESETS,
    affine,
    affine_flip,
    erasing,
    flips,
    none,
    photometric,
    randaugment,
    register_augmentations,
)
from zoo.data import Split
from zoo.space import Choice, Int, read_space
from zoo.training import fit
from zoo.training.model import assemble

POLICIES = (affine, affine_flip, flips, photometric, erasing, randaugment)
SHAPES = [(8, 8, 1), (28, 28, 1), (33, 20, 3)]

every_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def augment(layers, images, training=True):
    return ops.convert_to_numpy(keras.Sequential(layers)(images, training=training))


def copies(count, shape=(12, 10, 3)):
    return np.repeat(np.random.default_rng(0).random((1, *shape), dtype=np.float32), count, axis=0)


def distinct(images):
    return len({image.tobytes() for image in images})


@st.composite
def points(draw, policy):
    """Draw parameters of a policy from its ranges, including their ends."""

    def value(domain):
        if isinstance(domain, Choice):
            return draw(st.sampled_from(domain.options))
        if isinstance(domain, Int):
            return draw(st.integers(domain.low, domain.high))
        return draw(st.floats(domain.low, domain.high))

    return {name: value(parameter.domain) for name, parameter in read_space(policy).items()}


def test_policies_are_registered():
    registered = []
    register_augmentations(registered.append)
    assert registered == [none, *POLICIES, *PRESETS]


@every_policy
@every_shape
def test_any_parameters_keep_shape_and_range(policy, shape):
    kinds = {
        "random": np.random.default_rng(1).random((4, *shape), dtype=np.float32),
        "black": np.zeros((4, *shape), np.float32),
        "white": np.ones((4, *shape), np.float32),
    }

    @settings(max_examples=8)
    @given(points(policy), st.sampled_from(sorted(kinds)))
    def holds(parameters, kind):
        images, layers = kinds[kind], policy(**parameters)
        assert np.array_equal(augment(layers, images, training=False), images)
        changed = augment(layers, images)
        assert changed.shape == images.shape
        assert changed.dtype == images.dtype
        assert changed.min() >= 0  # NaN fails too
        assert changed.max() <= 1

    holds()


@every_policy
def test_each_image_of_a_batch_changes_differently(policy):
    changed = augment(policy(), copies(24))
    if policy is flips:
        assert distinct(changed) == 2
    elif policy is erasing:  # which leaves half of them unchanged
        assert distinct(changed) > 6
    else:
        assert distinct(changed) > 18


@every_policy
def test_keras_seed_reproduces_the_changes(policy):
    seen = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        layers = policy()
        seen.append([augment(layers, copies(6)) for _ in range(3)])
    assert np.array_equal(*seen)
    assert distinct(seen[0]) > 1  # from call to call


@every_policy
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_kept(policy, dtype):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    try:
        images = ops.cast(copies(6), dtype)
        changed = keras.Sequential(policy())(images, training=True)
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(changed.dtype) == dtype
    values = ops.convert_to_numpy(ops.cast(changed, "float32"))
    assert values.min() >= 0
    assert values.max() <= 1


@every_policy
def test_saved_model_contains_no_augmentation(policy):
    """After an epoch on digits, the saved model contains no augmentation."""
    data = load_digits()
    images = (data.images[:, :, :, None] * 255 / 16).astype("uint8")
    keras.utils.set_random_seed(0)
    network = conv_net((8, 8, 1), 10, filters=(8,), dense_units=(), dropout=0.0)
    layers = policy()
    model, kept = assemble(network, layers, (8, 8, 1))
    seen = []

    def on_epoch(epoch, metrics, is_last):
        seen.append(metrics)
        return True

    fit(
        model,
        Split(images[:350], data.target[:350]),  # the last batch is smaller
        Split(images[350:400], data.target[350:400]),
        "val_loss",
        "minimize",
        on_epoch,
        lambda epoch, fraction: None,
        epochs=1,
        batch_size=100,
    )
    assert len(seen) == 1
    assert all(math.isfinite(value) for value in seen[0].values())
    assert not {type(layer) for layer in layers} & {type(layer) for layer in kept.layers}


class TestPhotometric:
    def test_draws_stay_in_their_ranges(self):
        """Mean and range of an image with a dark and a bright half show the drawn values."""
        images = np.full((2000, 2, 2, 1), 0.6, np.float32)
        images[:, 0] = 0.4
        changed = augment(photometric(brightness=0.1, contrast=0.5), images)
        brightness, contrast = changed.mean(axis=(1, 2, 3)) - 0.5, np.ptp(changed, axis=(1, 2, 3)) / 0.2
        assert -0.1001 < brightness.min() < -0.098
        assert 0.098 < brightness.max() < 0.1001
        assert 0.4999 < contrast.min() < 0.51
        assert 1.49 < contrast.max() < 1.5001

    def test_zero_ranges_change_nothing(self):
        assert np.allclose(
            augment(photometric(brightness=0.0, contrast=0.0), copies(4)), copies(4), atol=1e-6
        )


class TestFlips:
    @pytest.mark.parametrize(
        ("direction", "axes"), [("horizontal", [2]), ("vertical", [1]), ("both", [1, 2])]
    )
    def test_flips_give_the_mirror_images(self, direction, axes):
        keras.utils.set_random_seed(0)
        images = copies(64)
        expected = {images[0].tobytes()} | {np.flip(images, axis)[0].tobytes() for axis in axes}
        if direction == "both":  # each axis is flipped independently
            expected.add(images[0, ::-1, ::-1].tobytes())
        assert {image.tobytes() for image in augment(flips(direction=direction), images)} == expected


@pytest.mark.parametrize("policy", POLICIES[:2], ids=lambda policy: policy.__name__)
def test_affine_passes_its_parameters_to_the_layer(policy):
    values = {"rotation": 1.0, "shift": 0.02, "shear": 3.0, "zoom": 0.04, "fill": "constant"}
    if policy is affine_flip:
        values["flip"] = "vertical"
    (layer,) = policy(**values)
    assert {name: layer.get_config()[name] for name in values} == values
    (layer,) = policy()
    assert {name: layer.get_config()[name] for name in values} == read_space(policy).defaults()


def test_other_policies_pass_their_parameters():
    values = {"probability": 0.1, "largest": 0.3, "elongation": 2.0, "fill": "mean"}
    assert erasing(**values)[0].get_config().items() > values.items()
    values = {"operations": 3, "magnitude": 4, "solarize": True, "fill": "reflect"}
    assert randaugment(**values)[0].get_config().items() > values.items()


def test_presets_have_the_settings_of_the_tutorials():
    defaults = {preset.__name__: read_space(preset).defaults() for preset in PRESETS}
    assert defaults == {
        "affine_digits": {"rotation": 8, "shift": 0.08, "shear": 15, "zoom": 0.08, "fill": "nearest"},
        "affine_strong": {"rotation": 20, "shift": 0, "shear": 8.6, "zoom": 0.15, "fill": "nearest"},
        "affine_photos": {
            **{"rotation": 40, "shift": 0.2, "shear": 11.5, "zoom": 0.2, "fill": "nearest"},
            "flip": "horizontal",
        },
    }


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_every_parameter_is_documented(policy):
    for name in read_space(policy):
        assert f"\n    {name}: " in inspect.getdoc(policy)
