"""Fixtures of the tests of figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.events import EpochEnd


@pytest.fixture(scope="session")
def open_png() -> Any:
    """open_png(path) -> the pixels, `(height, width, 3)`; fails if the file is incomplete."""
    from PIL import Image

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            assert image.format == "PNG"
            return np.asarray(image.convert("RGB"))

    return read


@pytest.fixture(scope="session")
def assert_tidy() -> Any:
    """assert_tidy(pixels) fails if something touches the edge of the page, or its size is unusual."""

    def check(pixels: np.ndarray) -> None:
        height, width = pixels.shape[:2]
        assert 100 <= height <= 1600
        assert 400 <= width <= 1600
        for edge in (pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:]):
            assert (edge == 255).all(), "something is clipped at the edge, or the page is not white"
        assert (pixels < 100).any(), "the page is empty"

    return check


@pytest.fixture
def epoch_events() -> Any:
    """epoch_events(12) -> the epoch events of a trial whose loss falls."""

    def make(count: int) -> list[EpochEnd]:
        return [
            EpochEnd(
                time=1.0e9 + epoch,
                epoch=epoch,
                metrics={
                    "loss": 2.3 * 0.9**epoch,
                    "accuracy": 1 - 0.9**epoch,
                    "val_loss": 2.4 * 0.91**epoch,
                    "val_accuracy": 0.98 - 0.9**epoch,
                    "learning_rate": 1e-3,
                    "epoch_seconds": 1.5,
                },
            )
            for epoch in range(1, count + 1)
        ]

    return make
