"""Fixtures of the tests of figures: folders of a recorded study, and PNG files as arrays."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def figures_of(in_study):
    """figures_of(7) -> the folder of the figures of trial 7."""
    return lambda trial: in_study / "mlruns" / "zoo" / "example" / "trials" / f"{trial:03d}" / "figures"


@pytest.fixture(scope="session")
def read_figure():
    """read_figure(figure) -> its pixels, `(height, width, 3)`; fails if its size is unusual."""
    from PIL import Image

    def read(figure):
        with Image.open(figure.path) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image.convert("RGB"))
        assert 100 <= pixels.shape[0] <= 1600
        assert 400 <= pixels.shape[1] <= 1600
        return pixels

    return read
