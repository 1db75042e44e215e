"""One epoch of one small network on the real MNIST."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SETTINGS = [
    "augmentation.name=none",  # since one epoch is too short for augmented images
    "architecture.filters=[8]",
    "architecture.convolutions_per_block=1",
    "architecture.kernel_size=3",
    "architecture.dense_units=[]",
    "training.epochs=1",
    "training.batch_size=128",
]


@pytest.mark.real_data
def test_shipped_study_learns_in_one_epoch(new_zoo):
    folder = os.environ.get("ZOO_DATA_DIR", "")
    if not Path(folder, "mnist.npz").is_file() or not folder:
        pytest.skip("ZOO_DATA_DIR names no folder with mnist.npz")
    zoo = new_zoo("mnist", env={"ZOO_DATA_DIR": folder})
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    done = zoo("tune", "mnist_cnn", "--trials", 1, *settings, timeout=240)
    assert done.returncode == 0, done.stderr
    (run,) = zoo.snapshot("mnist_cnn").children
    assert run.data.tags["zoo.dataset.source"] == "MNIST"
    assert "zoo.dataset.warning" not in run.data.tags
    assert run.data.metrics["best_val_accuracy"] > 0.9
    assert run.data.metrics["test_accuracy"] > 0.9
    assert f"{run.data.metrics['test_accuracy']:.4f} on the test split" in done.stdout
