"""The figure of an augmentation policy."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.figures import NUM_IMAGES, NUM_VERSIONS, augmentation
from zoo.figures._page import Page


def draw(path, versions, others, shape=(28, 28, 1)):
    rng = np.random.default_rng(0)
    original, many, originals, augmented = (
        rng.integers(0, 200, (count, *shape)).astype(np.uint8) for count in (1, versions, others, others)
    )
    return augmentation(
        original[0], many, originals, augmented, path, title="affine", subtitle="rotation = 8"
    )


@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (150, 150, 3), (20, 60, 4), (60, 20, 3), (300, 7, 2)]
)
def test_image_of_any_shape_is_drawn(tmp_path, open_png, assert_tidy, shape):
    assert_tidy(open_png(draw(tmp_path / "a.png", NUM_VERSIONS, NUM_IMAGES, shape)))


@pytest.mark.parametrize("versions", [1, 8, 9, 24])
@pytest.mark.parametrize("others", [1, 8])
def test_any_number_of_images_is_drawn(tmp_path, open_png, assert_tidy, versions, others):
    assert_tidy(open_png(draw(tmp_path / "a.png", versions, others)))


def test_every_version_is_drawn_in_its_place(tmp_path, open_png):
    """With images of one color each, all colors are on the page, in reading order."""
    colors = np.array([(10 * number, 255 - 10 * number, 100) for number in range(25)], np.uint8)
    images = np.broadcast_to(colors[:, None, None], (25, 28, 28, 3))
    path = tmp_path / "a.png"
    augmentation(images[0], images[1:17], images[17:21], images[21:], path, title="t", subtitle="s")
    pixels = open_png(path)
    corners = [np.argwhere((pixels == color).all(axis=2)).min(axis=0).tolist() for color in colors]
    assert corners == sorted(corners)
    tops = [top for top, _ in corners]
    assert len(set(tops)) == 4  # two rows of versions, one of originals, one of augmented images
    assert [left for _, left in corners[17:21]] == [left for _, left in corners[21:]]


def test_single_version_has_singular_heading(tmp_path, monkeypatch):
    texts = []
    monkeypatch.setattr(Page, "text", lambda page, x, y, text, **layout: texts.append(text))
    image = np.zeros((1, 8, 8, 1), np.uint8)
    augmentation(image[0], image, image, image, tmp_path / "a.png", title="t", subtitle="s")
    assert {"1 version of one image", "one version of one image"} <= set(texts)
