"""A study whose dataset, architecture and augmentation policy are in one file beside it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from end_to_end_studies import ONE_EPOCH, TWO_TRIALS

pytestmark = pytest.mark.slow

FILE = '''
from pathlib import Path

import keras
import numpy as np
from keras import layers

import zoo


@keras.saving.register_keras_serializable(package="own")
class Gain(layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=shape[1:], initializer="ones", name="gain")

    def call(self, inputs):
        return inputs * self.gain


class Dim(layers.Layer):
    def call(self, images, training=None):
        return images * 0.9 if training else images


@zoo.architecture
def own_net(input_shape, num_classes):
    """One layer and a gain."""
    if Path(__file__).with_name("away").exists():
        raise RuntimeError("the server is away")
    stack = [keras.Input(input_shape), layers.Flatten(), layers.Dense(num_classes), Gain(), layers.Softmax()]
    return keras.Sequential(stack)


@zoo.augmentation
def own_dim():
    """Darken."""
    return [Dim()]


@zoo.dataset
def own_bars():
    """Bars."""
    images = np.load(Path(__file__).with_name("bars.npy"))
    labels = np.arange(len(images)) % 2
    images[labels == 1, 2] = 250
    parts = zoo.Split(images[20:], labels[20:]), zoo.Split(images[:20], labels[:20])
    return zoo.Dataset(train=parts[0], test=parts[1], class_names=("none", "bar"))
'''
STUDY = f"""
plugins = ["own.py"]
dataset = "own_bars"
architecture = "own_net"
augmentation = "own_dim"
{ONE_EPOCH}
{TWO_TRIALS.replace("trials = 2", "trials = 1")}
"""


@pytest.fixture(scope="module")
def own(new_zoo):
    np, image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    zoo = new_zoo("own", own=STUDY)
    (zoo.folder / "studies" / "own.py").write_text(FILE)
    images = np.random.default_rng(0).integers(0, 90, (120, 8, 8, 1)).astype("uint8")
    np.save(zoo.folder / "studies" / "bars.npy", images)
    image.fromarray(images[0, :, :, 0]).save(zoo.folder / "bar.png")
    done = zoo("tune", "own")
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(zoo=zoo, done=done)


def test_file_is_kept_in_record_and_mlflow(own):
    manifest = json.loads(next(own.zoo.folder.glob("mlruns/*/*/artifacts/manifest.json")).read_text())
    version = manifest["plugins"]["own.py"]
    assert manifest["code"]["own.py"].startswith(version)
    copies = [*own.zoo.folder.glob(f"mlruns/**/plugins/{version}/own.py")]
    assert len(copies) == 2
    assert {path.read_text() for path in copies} == {FILE}
    assert " on the test split" in own.done.stdout
    assert "warning" not in own.done.stderr


def test_model_is_loaded_with_its_file_only(own):
    refused = own.zoo("predict", "own", "bar.png")
    assert refused.returncode == 2
    (error,) = refused.errors
    assert "has layers of the plugin file own.py (SHA-256 " in error
    copy = error.rpartition("A copy is ")[2].removesuffix(".")
    assert copy.startswith("mlruns/zoo/own/plugins/")
    done = own.zoo("predict", "own", "bar.png", "--plugin", copy)
    assert (done.returncode, done.errors) == (0, [])
    assert done.stdout.splitlines()[1].split()[1] in ("none", "bar")


def test_changed_file_is_refused_on_resume(own):
    path = own.zoo.folder / "studies" / "own.py"
    path.write_text(FILE.replace("images * 0.9", "images * 0.8"))
    refused = own.zoo("tune", "own", "--trials", "2")
    path.write_text(FILE)
    assert refused.returncode == 2
    assert "-        return images * 0.9 if training else images" in refused.stderr
    assert "+        return images * 0.8 if training else images" in refused.stderr
    assert "--accept-versions" in refused.stderr


def test_failed_trial_is_run_again_with_its_parameters(own):
    away = own.zoo.folder / "studies" / "away"
    away.touch()
    failed = own.zoo("tune", "own", "--trials", "2")
    away.unlink()
    assert "trial 1  failed" in failed.stderr
    assert "the server is away" in failed.stderr
    done = own.zoo("tune", "own", "--trials", "2", "--retry-failed")
    assert done.returncode == 0, done.stderr
    trials = own.zoo.snapshot("own").optuna
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials[2].params == trials[1].params
