"""Our model folder is MLflow's own, and anybody can load it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples

from zoo.tracking import Store, StudyTracker, TrackingError, fetch_model
from zoo.tracking.models import ModelFacts, build_model_folder

FACTS = ModelFacts(examples.IMAGE_SHAPE, examples.NUM_CLASSES, "tensorflow")


@pytest.fixture
def ours(tmp_path: Path, model_file: Path) -> Path:
    build_model_folder(tmp_path / "ours", model_file, FACTS)
    return tmp_path / "ours"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read_yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text())


def test_the_same_files_as_mlflow_writes(ours: Path, saved_model: Path) -> None:
    assert files(ours) == files(saved_model / "official")


def test_the_same_mlmodel_as_mlflow_writes(ours: Path, saved_model: Path) -> None:
    def steady(folder: Path) -> Any:
        model = read_yaml(folder / "MLmodel")
        for changing in ("model_uuid", "model_id", "utc_time_created", "model_size_bytes"):
            model.pop(changing, None)
        return model

    assert steady(ours) == steady(saved_model / "official")
    assert read_yaml(ours / "MLmodel")["model_size_bytes"] > (ours / "data" / "model.keras").stat().st_size


def test_the_same_environment_as_mlflow_writes(ours: Path, saved_model: Path) -> None:
    official = saved_model / "official"
    for name in ("conda.yaml", "python_env.yaml"):
        assert read_yaml(ours / name) == read_yaml(official / name)
    for name in ("requirements.txt", "data/keras_module.txt"):
        assert (ours / name).read_text() == (official / name).read_text()


def test_requirements_name_what_loads_it(ours: Path) -> None:
    expected = [f"{name}=={version(name)}" for name in ("mlflow", "keras", "tensorflow", "numpy")]
    assert (ours / "requirements.txt").read_text().splitlines() == expected


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no archive"])
def test_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(TrackingError, match=r"model\.keras is not a model that Keras saved"):
        build_model_folder(tmp_path / "ours", tmp_path / "model.keras", FACTS)


_LOAD = """
import json, sys
import mlflow, numpy
address, data = sys.argv[1:]
data = numpy.load(data)
loaded = mlflow.keras.load_model(address).predict(data["images"], verbose=0)
pyfunc = mlflow.pyfunc.load_model(address).predict(data["images"])
error = max(abs(found - data["probabilities"]).max() for found in (loaded, pyfunc))
print(json.dumps([float(error), "zoo" in sys.modules]))
"""


def test_anybody_can_load_a_logged_model(
    store: Store, tmp_path: Path, saved_model: Path, run_python: Callable[..., str]
) -> None:
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    tracker = StudyTracker(store, examples.facts("loaded-by-anybody"))
    examples.record(tracker, 7, examples.events(), folder)
    (model,) = examples.models_of(store, tracker.experiment_id)
    data = str(saved_model / "expected.npz")
    said = run_python(_LOAD, f"models:/{model.model_id}", data, MLFLOW_TRACKING_URI=store.uri, NOISY="yes")
    error, zoo_is_there = json.loads(said.splitlines()[-1])
    assert error < 1e-5
    assert not zoo_is_there


def test_a_model_is_fetched_whole(store: Store, tmp_path: Path, saved_model: Path) -> None:
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    tracker = StudyTracker(store, examples.facts("fetched"))
    examples.record(tracker, 7, examples.events(), folder)
    (folder / "model.keras").unlink()
    (tmp_path / "here").mkdir()
    fetched = fetch_model(store, "fetched", "abc123-7", tmp_path / "here")
    assert fetched.is_relative_to(tmp_path / "here")
    assert fetched.read_bytes() == (saved_model / "model.keras").read_bytes()


@pytest.mark.parametrize(("study", "uid"), [("never-heard-of", "abc123-7"), ("pruned-all", "abc123-7")])
def test_a_model_that_mlflow_does_not_have(local_store: Store, tmp_path: Path, study: str, uid: str) -> None:
    tracker = StudyTracker(local_store, examples.facts("pruned-all"))
    examples.record(tracker, 7, examples.events("pruned"), examples.make_folder(tmp_path / "007"))
    with pytest.raises(TrackingError, match=rf"zoo train --study {study} --trial 7 trains it again$"):
        fetch_model(local_store, study, uid, tmp_path)


def test_a_model_that_mlflow_lost(local_store: Store, tmp_path: Path, saved_model: Path) -> None:
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    tracker = StudyTracker(local_store, examples.facts("lost"))
    examples.record(tracker, 7, examples.events(), folder)
    shutil.rmtree(tmp_path / "mlruns")
    with pytest.raises(TrackingError, match=r"does not hand out the model m-\w+: .") as raised:
        fetch_model(local_store, "lost", "abc123-7", tmp_path)
    assert len(str(raised.value).splitlines()) == 1
