"""The model folder equals the one that MLflow writes, and loads without zoo."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples

from zoo.errors import ModelError
from zoo.tracking import Store, StudyTracker, TrackingError, fetch_model
from zoo.tracking._models import build_model_folder
from zoo.training.info import ModelInfo, add_info, read_info


@pytest.fixture
def ours(tmp_path: Path, model_file: Path) -> Path:
    build_model_folder(tmp_path / "ours", model_file, examples.facts(), "tensorflow")
    return tmp_path / "ours"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read_yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text())


def test_files_equal_mlflows(ours: Path, saved_model: Path) -> None:
    assert files(ours) == files(saved_model / "official")


def test_mlmodel_equals_mlflows(ours: Path, saved_model: Path) -> None:
    def comparable(folder: Path) -> Any:
        model = read_yaml(folder / "MLmodel")
        changing = ("model_uuid", "model_id", "utc_time_created", "model_size_bytes")
        for key in ("metadata", "signature", *changing):
            model.pop(key, None)
        return model

    assert comparable(ours) == comparable(saved_model / "official")
    assert read_yaml(ours / "MLmodel")["model_size_bytes"] > (ours / "data" / "model.keras").stat().st_size


def test_signature_has_no_input_type(ours: Path) -> None:
    """MLflow would refuse every other type of numbers."""
    from mlflow.models import Model

    signature = Model.load(ours).signature
    assert signature.inputs is None
    assert [(str(one.type), one.shape) for one in signature.outputs.inputs] == [("float32", (-1, 10))]


def test_metadata_are_those_of_the_file(tmp_path: Path, model_file: Path) -> None:
    file = shutil.copyfile(model_file, tmp_path / "model.keras")
    info = ModelInfo(("zero", "one"), 8, 8, 1, dataset="digits", study="digits_cnn", trial=7)
    add_info(file, info)
    build_model_folder(tmp_path / "ours", file, examples.facts(), "tensorflow")
    document = read_yaml(tmp_path / "ours" / "MLmodel")["metadata"]["zoo"]
    assert document == read_info(file).as_json()
    assert document["class_names"] == ["zero", "one"]


def test_environment_equals_mlflows(ours: Path, saved_model: Path) -> None:
    official = saved_model / "official"
    for name in ("conda.yaml", "python_env.yaml"):
        assert read_yaml(ours / name) == read_yaml(official / name)
    for name in ("requirements.txt", "data/keras_module.txt"):
        assert (ours / name).read_text() == (official / name).read_text()


def test_requirements_name_packages_for_loading(ours: Path) -> None:
    expected = [f"{name}=={version(name)}" for name in ("mlflow", "keras", "tensorflow", "numpy")]
    assert (ours / "requirements.txt").read_text().splitlines() == expected


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no archive"])
def test_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.keras cannot be loaded: expected a file that Keras saved"):
        build_model_folder(tmp_path / "ours", tmp_path / "model.keras", examples.facts(), "tensorflow")


_LOAD = """
import json, sys
import mlflow, numpy
address, data = sys.argv[1:]
assert callable(mlflow.keras._load_pyfunc)  # a private name that zoo/tracking/loader.py calls
data = numpy.load(data)
loaded = mlflow.keras.load_model(address).predict(data["images"], verbose=0)
pyfunc = mlflow.pyfunc.load_model(address)
types = ("uint8", "int64", "float32", "float64")
results = [loaded, *(pyfunc.predict(data["images"].astype(name)) for name in types)]
error = max(abs(found - data["probabilities"]).max() for found in results)
print(json.dumps([float(error), "zoo" in sys.modules]))
"""


def test_logged_model_loads_without_zoo_and_takes_any_numbers(
    store: Store, tmp_path: Path, saved_model: Path, run_python: Callable[..., str]
) -> None:
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    tracker = StudyTracker(store, examples.facts("loaded"))
    examples.record(tracker, 7, examples.events(), folder)
    (model,) = examples.logged_models(store, tracker.experiment_id)
    data = str(saved_model / "expected.npz")
    output = run_python(_LOAD, f"models:/{model.model_id}", data, MLFLOW_TRACKING_URI=store.uri, NOISY="yes")
    error, is_zoo_imported = json.loads(output.splitlines()[-1])
    assert error < 1e-5
    assert not is_zoo_imported


def test_fetched_model_is_complete(store: Store, tmp_path: Path, saved_model: Path) -> None:
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    tracker = StudyTracker(store, examples.facts("fetched"))
    examples.record(tracker, 7, examples.events(), folder)
    (folder / "model.keras").unlink()
    (tmp_path / "here").mkdir()
    fetched = fetch_model(store, "fetched", "abc123-7", tmp_path / "here")
    assert fetched.is_relative_to(tmp_path / "here")
    assert fetched.read_bytes() == (saved_model / "model.keras").read_bytes()


@pytest.mark.parametrize(("study", "uid"), [("unknown", "abc123-7"), ("pruned-all", "abc123-7")])
def test_missing_model_names_command_that_trains_it(
    local_store: Store, tmp_path: Path, study: str, uid: str
) -> None:
    tracker = StudyTracker(local_store, examples.facts("pruned-all"))
    examples.record(tracker, 7, examples.events("pruned"), examples.make_folder(tmp_path / "007"))
    with pytest.raises(TrackingError, match=rf"`zoo train {study} --trial 7` trains it again\.$"):
        fetch_model(local_store, study, uid, tmp_path)


def test_model_lost_by_mlflow_is_reported(local_store: Store, tmp_path: Path, saved_model: Path) -> None:
    folder = examples.make_folder(tmp_path / "007", saved_model / "model.keras")
    tracker = StudyTracker(local_store, examples.facts("lost"))
    examples.record(tracker, 7, examples.events(), folder)
    shutil.rmtree(tmp_path / "mlruns")
    with pytest.raises(TrackingError, match=r"cannot send models:/m-\w+: .") as raised:
        fetch_model(local_store, "lost", "abc123-7", tmp_path)
    assert len(str(raised.value).splitlines()) == 1
