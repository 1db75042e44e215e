"""The distributions in plugins/, installed with pip and used by the installed command."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from end_to_end_studies import ONE_EPOCH, TWO_TRIALS
from end_to_end_tools import mlflow_client
from shared_tools import run_python

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow_datasets") is None,
        reason="tensorflow-datasets, which zoo-tfds needs, is not installed; the extra `test` has it",
    ),
]

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
DISTRIBUTIONS = sorted(path.parent.name for path in PLUGINS.glob("*/pyproject.toml"))

# Dataset, architecture and augmentation policy all come from plugins.
STUDY = f"""
[dataset]
name = "tfds"
builder = "tiny/digits"
data_dir = "DATA_DIR"
[architecture]
name = "resnet"
blocks = 1
stages = {{ low = 1, high = 2 }}
filters = 8
kernel_size = 3
dropout = 0.0
[augmentation]
name = "elastic"
{ONE_EPOCH.replace("64", "32")}
{TWO_TRIALS}
"""


def project(distribution):
    return tomllib.loads((PLUGINS / distribution / "pyproject.toml").read_text(encoding="utf-8"))["project"]


VERSIONS = {name: project(name)["version"] for name in DISTRIBUTIONS}


def python(*arguments, **options):
    return run_python(*arguments, timeout=None, **options).stdout


@pytest.fixture(scope="module")
def site(pip_install):
    return pip_install(*(PLUGINS / name for name in DISTRIBUTIONS))


@pytest.fixture(scope="module")
def tuned(new_zoo, site, tmp_path_factory):
    """A study of two trials whose dataset, architecture and augmentation policy come from plugins."""
    data = tmp_path_factory.mktemp("tensorflow_datasets")
    python(PLUGINS / "zoo-tfds" / "tests" / "tiny.py", data)
    zoo = new_zoo("plugins", env={"PYTHONPATH": str(site)}, with_plugins=STUDY.replace("DATA_DIR", str(data)))
    done = zoo("tune", "with_plugins")
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(zoo=zoo, done=done, data=data, after=zoo.snapshot("with_plugins"))


def test_three_distributions_are_shipped():
    assert DISTRIBUTIONS == ["zoo-elastic", "zoo-resnet", "zoo-tfds"]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_distribution_uses_only_the_public_interface(distribution):
    """It also has its own metadata, README and licence."""
    folder = PLUGINS / distribution
    assert project(distribution)["license"] in ("Apache-2.0", "MIT")
    assert (folder / "LICENSE").is_file()
    assert any(re.fullmatch(r"keras-zoo>=[\d.]+,<\d+", one) for one in project(distribution)["dependencies"])
    assert f"# {distribution}\n" in (folder / "README.md").read_text(encoding="utf-8")
    for file in folder.glob("src/**/*.py"):
        imported = re.findall(r"^\s*(?:from|import) (zoo\b[\w.]*)", file.read_text(encoding="utf-8"), re.M)
        package = distribution.replace("-", "_")
        assert {name for name in imported if name.partition(".")[0] != package} <= {"zoo", "zoo.testing"}


def test_distributions_pass_their_own_tests(site, environment, tmp_path, warm_command):
    """All run in one process, since starting Keras takes seconds, and outside this repository."""
    folders = [tmp_path / name / "tests" for name in DISTRIBUTIONS]
    for name, folder in zip(DISTRIBUTIONS, folders, strict=True):
        shutil.copytree(PLUGINS / name / "tests", folder, ignore=shutil.ignore_patterns("__pycache__"))
    run = warm_command.pytest(*folders, cwd=tmp_path, env={**environment, "PYTHONPATH": str(site)})
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\d\d passed", run.stdout)


def test_list_shows_distribution_and_version(tuned):
    run = tuned.zoo("list", "--json")
    assert run.stderr == ""
    found = {
        (one["kind"], one["name"]): f"{one['distribution']} {one['version']}"
        for one in json.loads(run.stdout)["registered"]
    }
    for entry, distribution in {
        ("architecture", "resnet"): "zoo-resnet",
        ("architecture", "wide_resnet"): "zoo-resnet",
        ("architecture", "wrn_28_10"): "zoo-resnet",
        ("dataset", "tfds"): "zoo-tfds",
        ("dataset", "kmnist"): "zoo-tfds",
        ("augmentation", "elastic"): "zoo-elastic",
    }.items():
        assert found[entry] == f"{distribution} {VERSIONS[distribution]}"


def test_every_trial_is_complete(tuned):
    assert tuned.after.states == ["COMPLETE"] * 2
    assert tuned.done.stdout.startswith("best: trial ")
    assert " on the test split\n" in tuned.done.stdout


def test_runs_are_tagged_with_plugin_versions(tuned):
    for run in (*tuned.after.parents, *tuned.after.children):
        for name, version in VERSIONS.items():
            assert run.data.tags[f"zoo.plugin.{name}"] == version


def test_manifest_names_every_plugin(tuned):
    (parent,) = tuned.after.parents
    file = mlflow_client(tuned.zoo.folder).download_artifacts(parent.info.run_id, "manifest.json")
    manifest = json.loads(Path(file).read_text())
    assert manifest["plugins"] == VERSIONS
    assert manifest["dataset"]["source"] == "TensorFlow Datasets' tiny/digits/1.10.0"


LOAD = """
import sys
from pathlib import Path

import keras

for path in sorted(Path("mlruns").rglob("*.keras")):
    model = keras.models.load_model(path)
    print(model(keras.ops.zeros((1, 8, 8, 1))).shape)
assert not {name.partition(".")[0] for name in sys.modules} & {"zoo", "zoo_resnet", "zoo_elastic", "zoo_tfds"}
"""


def test_models_load_with_keras_alone(tuned):
    env = {name: value for name, value in tuned.zoo.environment.items() if name != "PYTHONPATH"}
    output = python("-c", LOAD, cwd=tuned.zoo.folder, env=env)
    assert set(output.splitlines()) == {"(1, 10)"}


def test_unprepared_dataset_is_refused_with_the_command(tuned):
    run = tuned.zoo("tune", "with_plugins", "--set", "dataset.builder=kmnist", "--name", "other")
    assert run.returncode == 2
    (line,) = run.errors
    assert line.endswith(
        f"the dataset 'kmnist' is not prepared in {tuned.data}. Run this with a network connection: "
        f"tfds build kmnist --file_format=array_record --data_dir={tuned.data}"
    )


def test_shipped_study_with_a_plugin_is_valid(tuned):
    path = ROOT / "studies" / "with_plugins" / "digits_resnet.toml"
    run = tuned.zoo("check", path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"study {path}: ok (10 trials, tpe)\n")
    without = tuned.zoo("check", path, env={"PYTHONPATH": ""})
    assert without.returncode == 2
    assert "there is no architecture named 'resnet'" in without.stderr
