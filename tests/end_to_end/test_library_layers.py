"""A plugin around a backbone of a library: its models are scored, evaluated, drawn and loaded everywhere."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from end_to_end_studies import ONE_EPOCH, TWO_TRIALS

pytestmark = pytest.mark.slow

PLUGINS = Path(__file__).parents[1] / "plugins"
STUDY = f"""
dataset = "digits"
[architecture]
name = "shelved"
units = 16
{ONE_EPOCH}
{TWO_TRIALS.replace("trials = 2", "trials = 1")}
"""

LOAD = """
import sys
import mlflow, numpy
import zoo

images = numpy.zeros((2, 8, 8, 1), "float32")
assert not any(name.startswith(("zoo_shelved", "shelf_layers")) for name in sys.modules)
found = [mlflow.pyfunc.load_model(sys.argv[1]).predict(images)]
found += [zoo.load_model(name).predict(images, verbose=0) for name in sys.argv[1:]]
assert all(numpy.allclose(one, found[0]) for one in found)
print(zoo.Classifier("shelved").predict(images)["class"].nunique())
"""


@pytest.fixture(scope="module")
def shelved(new_zoo, pip_install):
    """The study, tuned with the plugin and its library installed."""
    site = pip_install(PLUGINS / "shelf-layers", PLUGINS / "zoo-shelved")
    zoo = new_zoo("shelved", env={"PYTHONPATH": str(site)}, shelved=STUDY)
    done = zoo("tune", "shelved")
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(zoo=zoo, done=done, site=site)


def test_best_model_is_scored(shelved):
    assert " on the test split\n" in shelved.done.stdout
    assert "warning" not in shelved.done.stderr


def test_file_names_plugin_and_library(shelved):
    file = shelved.zoo.folder / "mlruns/zoo/shelved/trials/000/model.keras"
    with zipfile.ZipFile(file) as archive:
        modules = json.loads(archive.read("zoo.json"))["modules"]
    assert modules == {"zoo_shelved": "zoo-shelved==0.4", "shelf_layers.backbones": "shelf-layers==2.1"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "shelved"],
        ["evaluate", "shelved", "--dataset", "digits"],
        ["inspect", "layers", "shelved"],
    ],
    ids=" ".join,
)
def test_commands_load_the_model(shelved, arguments):
    done = shelved.zoo(*arguments)
    assert (done.returncode, done.errors) == (0, [])


def test_python_and_mlflow_load_the_model(shelved):
    model = next(line for line in shelved.done.stdout.splitlines() if line.startswith("model: "))
    names = [model.removeprefix("model: "), "shelved", "mlruns/zoo/shelved/trials/000/model.keras"]
    done = shelved.zoo.python(LOAD, *names)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1"


def test_conformance_kit_loads_the_model(shelved):
    done = shelved.zoo("plugins", "check", "zoo-shelved", "--needs-plugin", "--check", "saving")
    assert done.returncode == 0, done.stdout
    assert "loaded with zoo_shelved imported" in done.stdout


def test_kit_reports_library_that_is_not_required(shelved):
    """zoo could not load the model either: the library belongs to no plugin."""
    metadata = next(shelved.site.glob("zoo_shelved-*.dist-info/METADATA"))
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(text.replace("Requires-Dist: shelf-layers>=2\n", ""), encoding="utf-8")
    try:
        done = shelved.zoo("plugins", "check", "zoo-shelved", "--needs-plugin", "--check", "saving")
    finally:
        metadata.write_text(text, encoding="utf-8")
    assert done.returncode == 1
    assert "neither a zoo plugin nor a library that one requires" in done.stdout
