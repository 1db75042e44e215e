"""A plugin with its own layers, installed and trained: the record of its use, and loading its model."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from end_to_end_studies import ONE_EPOCH, TWO_TRIALS
from end_to_end_tools import mlflow_client

import zoo as installed_zoo

pytestmark = pytest.mark.slow

LAYERED = Path(__file__).parents[1] / "plugins" / "zoo-layered"
OURS = {"keras-zoo": installed_zoo.__version__}
BOTH = {**OURS, "zoo-layered": "0.3"}

# The first network is impossible for 8×8 pixels, so its trial is pruned before it trains.
STUDY = f"""
dataset = "digits"
[validation]
fraction = 0.2
[architecture]
name = {{ choices = ["conv_net", "gained"] }}
[architecture.conv_net]
filters = [8, 8, 8, 8]
convolutions_per_block = 1
kernel_size = 7
padding = "valid"
activation = "relu"
pool_size = 3
batch_norm = false
dense_units = []
dropout = 0.0
[architecture.gained]
units = 16
{ONE_EPOCH}
{TWO_TRIALS.replace("random", "grid")}
"""

LOAD = """
import json, sys, warnings
import numpy as np
import zoo
from zoo.data.store import open_dataset
from zoo.data.validation import validation_split
from pathlib import Path

folder = Path("mlruns/zoo/layered/trials/001")
config = json.loads((folder / "config.json").read_text())
cache, digest = Path("mlruns/zoo/.cache"), config["digest"]
images = validation_split(cache, digest, open_dataset(cache, digest), config["validation"]).images[:]
expected = np.load(folder / "predictions.npz")["probabilities"]

import mlflow
names = (sys.argv[1], "layered", f"./{folder}")
found = {name: zoo.load_model(name).predict(images, verbose=0) for name in names}
found["pyfunc"] = mlflow.pyfunc.load_model(sys.argv[1]).predict(images)
print(json.dumps({name: float(abs(one - expected).max()) for name, one in found.items()}))
"""

REFUSED = """
import sys
import zoo

for name in sys.argv[1:]:
    try:
        zoo.load_model(name)
    except zoo.ZooError as error:
        print(error)
print("keras" in sys.modules)
"""


@pytest.fixture(scope="module")
def layered(new_zoo, pip_install):
    """The study, tuned with the plugin installed."""
    site = pip_install(LAYERED)
    zoo = new_zoo("layered", env={"PYTHONPATH": str(site)}, layered=STUDY)
    done = zoo("tune", "layered")
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(zoo=zoo, done=done, after=zoo.snapshot("layered"))


def plugin_versions(run):
    prefix = "zoo.plugin."
    return {key.removeprefix(prefix): value for key, value in run.data.tags.items() if key.startswith(prefix)}


def lines_of(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_trial_is_tagged_with_the_plugins_it_used(layered):
    impossible, trained = layered.after.children
    assert impossible.data.tags["zoo.state"] == "rejected"
    assert plugin_versions(impossible) == OURS
    assert plugin_versions(trained) == BOTH
    config = json.loads((layered.zoo.folder / "mlruns/zoo/layered/trials/001/config.json").read_text())
    expected = {"keras-zoo:datasets": "keras-zoo", "keras-zoo:augmentations": "keras-zoo"}
    expected["zoo-layered:layered"] = "zoo-layered"
    assert config["plugins"] == {name: BOTH[distribution] for name, distribution in expected.items()}


def test_study_and_manifest_name_both_distributions(layered):
    (parent,) = layered.after.parents
    assert plugin_versions(parent) == BOTH
    client = mlflow_client(layered.zoo.folder)
    manifest = Path(client.download_artifacts(parent.info.run_id, "manifest.json"))
    assert json.loads(manifest.read_text())["plugins"] == BOTH


def test_best_model_with_plugin_layers_is_scored(layered):
    assert layered.done.stdout.startswith("best: trial 1 (gained), val_accuracy ")
    assert " on the test split\n" in layered.done.stdout
    assert "warning" not in layered.done.stderr


@pytest.fixture(scope="module")
def address(layered):
    trained = layered.after.children[1]
    return f"models:/{trained.outputs.model_outputs[0].model_id}"


def test_loaded_model_predicts_the_same(layered, address):
    (line,) = lines_of(layered.zoo.python(LOAD, address))[-1:]
    errors = json.loads(line)
    assert set(errors) == {address, "layered", "./mlruns/zoo/layered/trials/001", "pyfunc"}
    assert max(errors.values()) < 1e-5


def test_loading_without_the_plugin_names_the_package(layered, address):
    file = "mlruns/zoo/layered/trials/001/model.keras"
    python = replace(layered.zoo, script=sys.executable)
    done = python.fresh("-c", REFUSED, address, "layered", file, env={"PYTHONPATH": ""})
    *lines, keras_was_loaded = lines_of(done)
    missing = "has layers of zoo_layered.layers (zoo-layered 0.3), which is not installed"
    expected = [
        f"the model {name} {missing}; pip install zoo-layered==0.3"
        for name in (address, "layered (trial 1)", file)
    ]
    assert lines == expected
    assert keras_was_loaded == "False"


def test_model_requires_the_plugin(layered, address, tmp_path):
    client = mlflow_client(layered.zoo.folder)
    location = client.get_logged_model(address.removeprefix("models:/")).artifact_location
    requirements = (Path(location.removeprefix("file://")) / "requirements.txt").read_text().splitlines()
    assert {f"{name}=={version}" for name, version in BOTH.items()} < set(requirements)


def test_resuming_without_the_plugin_is_refused(layered):
    done = layered.zoo("tune", "layered", "--trials", 3, env={"PYTHONPATH": ""})
    assert done.returncode == 2
    missing, used = done.errors
    assert "there is no architecture named 'gained'" in missing
    assert used == "error: trials of this study used zoo-layered 0.3; pip install zoo-layered==0.3"


def test_resuming_with_plugins_turned_off_is_refused(layered):
    done = layered.zoo("--no-plugins", "tune", "layered", "--trials", 3)
    assert done.returncode == 2
    (line,) = done.errors
    assert line.endswith("(Left out: zoo-layered 0.3 by ZOO_PLUGINS)")
