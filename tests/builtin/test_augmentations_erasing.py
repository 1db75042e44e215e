import math

import keras
import numpy as np
import pytest
from keras import ops

from zoo.builtin.augmentations._layers import RandomErasing

ALWAYS = {"probability": 1.0, "fill": "black", "seed": 0}


def erase(images, **settings):
    return ops.convert_to_numpy(RandomErasing(**{**ALWAYS, **settings})(images, training=True))


def white(count, height, width, channels=1):
    return np.ones((count, height, width, channels), np.float32)


def rectangles(images):
    """Return height and width of the black rectangle in each of these white images."""
    sizes = []
    for image in images:
        rows, columns = np.nonzero(image[:, :, 0] == 0)
        assert len(rows), "nothing was erased"
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height * width == len(rows)
        sizes.append((height, width))
    return np.array(sizes)


def test_area_and_shape_are_in_their_ranges():
    sizes = rectangles(erase(white(500, 100, 100), smallest=0.05, largest=0.3, elongation=3.0))
    areas, ratios = sizes.prod(axis=1) / 100**2, sizes[:, 0] / sizes[:, 1]
    assert 0.047 < areas.min() < 0.06  # sides are whole pixels
    assert 0.29 < areas.max() < 0.31
    assert abs(areas.mean() - 0.175) < 4 * 0.25 / math.sqrt(12 * 500)  # uniform
    assert 2.6 < ratios.max() < 3.1
    assert 1 / 3.1 < ratios.min() < 1 / 2.6
    assert abs(np.log(ratios).mean()) < 4 * 2 * math.log(3) / math.sqrt(12 * 500)


@pytest.mark.parametrize("shape", [(200, 10), (10, 200), (33, 20), (8, 8), (3, 3), (2, 1), (1, 1)])
def test_rectangle_fits_into_any_image(shape):
    sizes = rectangles(erase(white(200, *shape), largest=0.5, elongation=5.0))
    assert (sizes <= shape).all()


def test_rectangle_can_be_anywhere():
    erased = erase(white(2000, 8, 8), smallest=0.1, largest=0.2) == 0
    share = erased.mean(axis=0)[:, :, 0]
    assert share.min() > 0.02
    assert np.allclose(share, share[::-1, ::-1], atol=0.06)


def test_probability_of_erasing():
    changed = (erase(white(4000, 8, 8), probability=0.3) == 0).any(axis=(1, 2, 3))
    assert abs(changed.mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 4000)
    assert not (erase(white(100, 8, 8), probability=0.0) == 0).any()


def test_all_channels_are_erased_together():
    images = np.random.default_rng(0).uniform(0.2, 1, (50, 16, 16, 3)).astype("float32")
    gone = erase(images) == 0
    assert gone.any()
    assert np.array_equal(gone.any(axis=3), gone.all(axis=3))


def test_noise_is_uniform_and_independent():
    images = np.full((300, 20, 20, 3), 0.5, np.float32)
    erased = erase(images, fill="noise", smallest=0.3)
    noise = erased[erased != 0.5]
    assert len(set(noise.tolist())) > 0.9 * len(noise)
    assert 0 <= noise.min() < 0.01
    assert 0.99 < noise.max() <= 1
    counts = np.histogram(noise, bins=10, range=(0, 1))[0] / len(noise)
    assert np.allclose(counts, 0.1, atol=0.01)


def test_mean_is_that_of_the_image_and_channel():
    random = np.random.default_rng(0)
    images = random.random((6, 12, 12, 3), dtype=np.float32) * random.random((6, 1, 1, 3), dtype=np.float32)
    erased = erase(images, fill="mean")
    for before, after in zip(images, erased, strict=True):
        gone = (before != after).any(axis=2)
        assert np.allclose(after[gone], before.mean(axis=(0, 1)), atol=1e-5)


def test_layer_compiles_with_xla():
    model = keras.Sequential([keras.Input((8, 8, 1)), RandomErasing(seed=0), keras.layers.Flatten()])
    model.compile("sgd", "mse", jit_compile=True)
    assert model.supports_jit
    model.fit(white(10, 8, 8), np.zeros((10, 64)), batch_size=4, verbose=0)
