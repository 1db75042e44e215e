"""The preview of an augmentation policy: every version shown, in its place."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.figures import AUGMENTED_IMAGES, AUGMENTED_VERSIONS, augmentation
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
def test_any_kind_of_image(tmp_path, open_png, assert_tidy, shape):
    assert_tidy(open_png(draw(tmp_path / "a.png", AUGMENTED_VERSIONS, AUGMENTED_IMAGES, shape)))


@pytest.mark.parametrize("versions", [1, 8, 9, 24])
@pytest.mark.parametrize("others", [1, 8])
def test_any_number(tmp_path, open_png, assert_tidy, versions, others):
    assert_tidy(open_png(draw(tmp_path / "a.png", versions, others)))


def test_every_version_is_drawn_in_its_place(tmp_path, open_png):
    """Images of one colour each: all of them are on the page, in the order of reading."""
    colors = np.array([(10 * number, 255 - 10 * number, 100) for number in range(25)], np.uint8)
    images = np.broadcast_to(colors[:, None, None], (25, 28, 28, 3))
    path = tmp_path / "a.png"
    augmentation(images[0], images[1:17], images[17:21], images[21:], path, title="t", subtitle="s")
    pixels = open_png(path)
    corners = [np.argwhere((pixels == color).all(axis=2)).min(axis=0).tolist() for color in colors]
    assert corners == sorted(corners)
    tops = [top for top, _ in corners]
    assert len(set(tops)) == 4  # two rows of versions, one of originals, one of theirs
    assert [left for _, left in corners[17:21]] == [left for _, left in corners[21:]]


def test_one_is_told_as_one(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(Page, "text", lambda page, x, y, text, **how: told.append(text))
    image = np.zeros((1, 8, 8, 1), np.uint8)
    augmentation(image[0], image, image, image, tmp_path / "a.png", title="t", subtitle="s")
    assert {"1 version of one image", "one version of one image"} <= set(told)


def test_what_is_missing(tmp_path):
    for versions, others in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="at least one"):
            draw(tmp_path / "a.png", versions, others)
