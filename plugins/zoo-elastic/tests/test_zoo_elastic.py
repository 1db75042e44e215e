import keras
import numpy as np
import pytest
from zoo.testing import parametrize_with_checks

from zoo_elastic import elastic
from zoo_elastic._layer import ElasticDistortion, sampled


@parametrize_with_checks(elastic, kind="augmentation", samples=4)
def test_elastic_conforms(check):
    check()


def as_array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def displacements(batch, height, width, **settings):
    """Return the offset of each pixel's source, down and right: `(2, batch, height, width)`, pixels."""
    layer = ElasticDistortion(**{"strength": 0.05, "smoothness": 0.14, "seed": 1, **settings})
    rows, columns = map(as_array, layer.positions(batch, height, width))
    return np.stack([rows - np.arange(height)[:, None], columns - np.arange(width)])


def test_strength_is_the_rms_displacement():
    moved = displacements(4000, 20, 30, strength=0.05)  # the shorter side has 20 pixels
    assert moved.std() == pytest.approx(0.05 * 20, rel=0.03)
    for part in (moved[..., 0, :], moved[..., -1], moved[..., 10, 15]):
        assert part.std() == pytest.approx(0.05 * 20, rel=0.1)
    assert abs(moved.mean()) < 0.05


@pytest.mark.parametrize("smoothness", [0.12, 0.3])
def test_smoothness_is_the_correlation_length(smoothness):
    """In noise smoothed by a Gaussian of σ, values d apart have the correlation exp(-d² / 4σ²)."""
    size = 40
    moved = displacements(3000, size, size, smoothness=smoothness)
    middle = size // 2
    for apart in (2, 6, 10):
        one, other = moved[..., middle, middle - apart // 2], moved[..., middle, middle + apart // 2]
        expected = np.exp(-(apart**2) / (4 * (smoothness * size) ** 2))
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] == pytest.approx(expected, abs=0.06)


def test_each_image_and_axis_has_its_own_field():
    moved = displacements(3, 16, 16)
    assert len(np.unique(moved.reshape(6, -1).round(6), axis=0)) == 6


def test_sampling_is_bilinear():
    images = np.arange(12, dtype="float32").reshape(1, 3, 4, 1)  # 4 · row + column
    rows, columns = np.full((1, 3, 4), 0.5, "float32"), np.full((1, 3, 4), 1.25, "float32")
    np.testing.assert_allclose(as_array(sampled(images, rows, columns, "constant")), 4 * 0.5 + 1.25)


@pytest.mark.parametrize(("fill", "expected"), [("nearest", 1.0), ("constant", 0.25)])
def test_fill_of_pixels_from_outside(fill, expected):
    images = np.ones((1, 2, 2, 1), "float32")
    outside = np.full((1, 2, 2), -0.5, "float32")  # half a pixel above and to the left of the corner
    np.testing.assert_allclose(as_array(sampled(images, outside, outside, fill)), expected)


def test_channels_move_together():
    grey = np.random.default_rng(0).random((4, 12, 10, 1), dtype="float32")
    layer = ElasticDistortion(0.05, 0.14, seed=3)
    changed = as_array(layer(np.repeat(grey, 3, axis=-1), training=True))
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])


def test_batch_of_unknown_size_keeps_its_images():
    """In a compiled model the batch size is unknown."""
    ramps = np.linspace(0.1, 0.9, 5, dtype="float32")[:, None, None, None] * np.ones((5, 8, 8, 1), "float32")

    class Training(keras.Model):
        def predict_step(self, data):
            return self(data, training=True)

    images = keras.Input((8, 8, 1))
    model = Training(images, ElasticDistortion(0.05, 0.14, fill="nearest")(images))
    if keras.backend.backend() == "tensorflow":
        changed = model.predict(ramps, verbose=0)
    else:
        changed = as_array(model(ramps, training=True))
    np.testing.assert_allclose(changed, ramps, atol=1e-6)  # an image of one grey value does not change
