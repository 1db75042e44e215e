"""A recorded study to look into, and PNGs to read."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def figures_of(in_study):
    """The folder of a trial's figures."""
    return lambda trial: in_study / "mlruns" / "zoo" / "example" / "trials" / f"{trial:03d}" / "figures"


@pytest.fixture(scope="session")
def read_picture():
    """A picture as `(height, width, 3)`, whole and of sane size."""
    from PIL import Image

    def read(picture):
        with Image.open(picture.path) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image.convert("RGB"))
        assert 100 <= pixels.shape[0] <= 1600
        assert 400 <= pixels.shape[1] <= 1600
        return pixels

    return read
