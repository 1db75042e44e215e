import keras
import numpy as np
import pytest
from zoo import InvalidParameters
from zoo.testing import parametrize_with_checks

import zoo_resnet
from zoo_resnet import _networks, resnet, wide_resnet

NAMED = {network.__name__: network for network in zoo_resnet.NAMED}
CIFAR = (32, 32, 3)

# Smaller than the kit's defaults, so that this takes seconds; `zoo plugins check resnet` uses the defaults.
LIGHT = {"samples": 0, "input_shapes": [(28, 28, 1), (17, 11, 3)]}


@parametrize_with_checks(resnet, space={"blocks": 1, "filters": 8, "kernel_size": 3}, **LIGHT)
def test_resnet_conforms(check):
    check()


@parametrize_with_checks(wide_resnet, space={"blocks": 1, "widen": {"high": 2}, "kernel_size": 3}, **LIGHT)
def test_wide_resnet_conforms(check):
    check()


# Millions of weights as printed in the papers: He et al. 2016, table 6; Zagoruyko & Komodakis 2016, table 4.
@pytest.mark.parametrize(
    ("name", "depth", "millions"),
    [
        ("resnet20", 20, "0.27"),
        ("resnet32", 32, "0.46"),
        ("resnet44", 44, "0.66"),
        ("resnet56", 56, "0.85"),
        ("wrn_16_4", 16, "2.7"),
        ("wrn_28_10", 28, "36.5"),
    ],
)
def test_depth_and_weights_are_as_published(name, depth, millions):
    network = NAMED[name](CIFAR, 10)
    trained = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    digits = len(millions.partition(".")[2])
    assert f"{trained / 1e6:.{digits}f}" == millions
    assert f": {millions} M weights." in NAMED[name].__doc__
    convolutions = sum(isinstance(layer, keras.layers.Conv2D) for layer in network.layers)
    # He et al. count the dense layer; Zagoruyko & Komodakis count all convolutions, also in shortcuts.
    assert convolutions + name.startswith("resnet") == depth


def test_every_named_network_is_tested():
    assert set(NAMED) == {"resnet20", "resnet32", "resnet44", "resnet56", "wrn_16_4", "wrn_28_10"}


@pytest.mark.parametrize("size", [8, 9])
def test_shortcut_and_convolution_use_the_same_pixels(size):
    """A convolution that copies its centre equals the shortcut, for even and odd sizes."""
    images = keras.Input((size, size, 1))
    both = keras.Model(
        images, [_networks._convolved(images, 1, 3, stride=2), _networks._thinned(images, 2, stride=2)]
    )
    centre = np.zeros((3, 3, 1, 1), "float32")
    centre[1, 1] = 1
    both.set_weights([centre])
    pixels = np.random.default_rng(0).random((2, size, size, 1), dtype="float32")
    convolved, thinned = map(keras.ops.convert_to_numpy, both(pixels))
    np.testing.assert_allclose(convolved[..., 0], pixels[:, ::2, ::2, 0], rtol=1e-6)
    np.testing.assert_array_equal(thinned[..., 0], pixels[:, ::2, ::2, 0])
    assert not thinned[..., 1].any()


@pytest.mark.parametrize(
    ("network", "parameters", "smallest"), [(resnet, {"stages": 4}, 8), (wide_resnet, {"widen": 1}, 4)]
)
def test_too_small_images_are_refused(network, parameters, smallest):
    assert network((smallest, smallest, 1), 2, blocks=1, **parameters).output_shape == (None, 2)
    expected = rf"expected at least {smallest}×{smallest} pixels, got 32×{smallest - 1}\."
    with pytest.raises(InvalidParameters, match=expected):
        network((32, smallest - 1, 1), 2, blocks=1, **parameters)
