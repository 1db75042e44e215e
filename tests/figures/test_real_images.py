"""Figures of real photographs and digits: complete, with dark text on white."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from zoo.figures import LayerMaps, augmentation, feature_maps, kernels, mistakes, predictions, samples

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module", params=["mnist", "cats_and_dogs_small"])
def real(request):
    """Images, labels, names: 28×28 grey or 150×150 color."""
    folder = Path(os.environ.get("ZOO_DATA_DIR") or "/nowhere")
    if request.param == "mnist":
        if not (folder / "mnist.npz").exists():
            pytest.skip("no mnist.npz in $ZOO_DATA_DIR")
        with np.load(folder / "mnist.npz") as arrays:
            return arrays["x_test"][:300, :, :, None], arrays["y_test"][:300].astype(int), list("0123456789")
    files = [
        sorted((folder / request.param / "validation" / name).glob("*.jpg"))[:20] for name in ("cats", "dogs")
    ]
    if not all(files):
        pytest.skip("no cats_and_dogs_small in $ZOO_DATA_DIR")
    from PIL import Image

    images = [
        np.asarray(Image.open(file).convert("RGB").resize((150, 150))) for file in [*files[0], *files[1]]
    ]
    return np.stack(images), np.repeat([0, 1], 20), ["cats", "dogs"]


def test_figures_of_real_images_are_tidy(real, tmp_path, open_png, assert_tidy):
    images, labels, names = real
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(len(names)), len(labels))
    edges = np.abs(np.diff(images[0].astype(np.float32), axis=1)).mean(axis=2)
    maps = LayerMaps("conv2d", "Conv2D", np.stack([edges] * 9, axis=2), 9)
    drawn = [
        samples(images, labels, names, tmp_path / "samples.png", title="real"),
        augmentation(
            images[0], images[:24], images[:8], images[8:16], tmp_path / "a.png", title="real", subtitle="s"
        ),
        kernels(images[0], tmp_path / "kernels.png", title="real", subtitle="s"),
        predictions(images, labels, table, names, tmp_path / "predictions.png", title="real"),
        mistakes(images, labels, table, names, tmp_path / "mistakes.png", title="real"),
        feature_maps(images[0], maps, tmp_path / "features.png", title="real"),
    ]
    for path in drawn:
        pixels = open_png(path)
        assert_tidy(pixels)
        assert path.stat().st_size < 2_000_000
        # The line below the title is grey text on white.
        line = pixels[36:52, 20:320]
        assert (line == 255).all(axis=2).mean() > 0.5
        assert line.min() < 130
