"""Finding a model by a study, a path, or a name in MLflow, which is replaced here."""

from __future__ import annotations

import gc
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import zoo
from zoo import tracking
from zoo.errors import ModelError, StudyError
from zoo.models import find_model
from zoo.training.info import ModelInfo, add_info
from zoo.tuning.display import NoDisplay

TRIALS = Path("mlruns/zoo/example/trials")


def keras_file(path, info=None):
    """Write the parts of a `.keras` file that are read without Keras."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": []}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.13.2"}))
    if info is not None:
        add_info(path, info)
    return path


@pytest.fixture
def mlflow(monkeypatch, tmp_path):
    """A dict: address -> ModelInfo of the models in MLflow."""
    models = {}

    def fetch(store, address, folder):
        (folder / "data").mkdir()
        return keras_file(folder / "data" / "model.keras", models[address])

    monkeypatch.setattr(tracking, "is_new_store", lambda: False)
    monkeypatch.setattr(tracking, "connect", lambda create: "a store")
    monkeypatch.setattr(tracking, "fetch_model_file", fetch)
    return models


class TestRecord:
    def test_study_is_its_best_trial(self, in_study):
        found = find_model("example", NoDisplay())
        assert found.path.resolve() == (in_study / TRIALS / "001" / "model.keras").resolve()
        assert (found.name, found.run.number) == ("example (trial 1)", 1)
        assert (found.info.study, found.info.trial) == ("example", 1)
        assert found.info.class_names == tuple("0123456789")

    def test_study_file_names_the_study(self, in_study):
        assert find_model("studies/example.toml", NoDisplay()).run.number == 1

    @pytest.mark.parametrize("path", [TRIALS / "001", str(TRIALS / "001"), f"./{TRIALS}/001"])
    def test_trial_directory_is_that_trial(self, in_study, path):
        assert find_model(path).run.number == 1

    def test_standalone_run_has_no_trial_number(self, in_study):
        (folder,) = Path("mlruns/zoo/example/standalone").iterdir()
        assert (find_model(folder).info.study, find_model(folder).info.trial) == ("example", None)

    def test_pruned_trial_is_an_error(self, in_study):
        with pytest.raises(StudyError, match=r"^trial 2 of 'example' was pruned, so it has no model"):
            find_model(TRIALS / "002")

    def test_missing_local_model_is_fetched(self, in_study, monkeypatch):
        def fetch(store, study, uid, folder):
            assert (study, uid) == ("example", "5f0c-0")
            return keras_file(folder / "model.keras", ModelInfo(("a",)))

        monkeypatch.setattr(tracking, "connect", lambda create: "a store")
        monkeypatch.setattr(tracking, "fetch_model", fetch)
        found = find_model(TRIALS / "000")
        path = found.path
        assert path.exists()
        del found
        gc.collect()
        assert not path.exists()


class TestPath:
    INFO = ModelInfo(("cat", "dog"), 8, 8, 1, study="pets", trial=3)

    @pytest.mark.parametrize(
        "place", ["x.keras", "model.keras", "data/model.keras", "artifacts/data/model.keras"]
    )
    def test_file_or_its_folder_is_found(self, in_tmp, place):
        file = in_tmp / "some" / place
        file.parent.mkdir(parents=True)
        keras_file(file, self.INFO)
        path = file if place == "x.keras" else in_tmp / "some"
        assert find_model(path).path == file
        assert find_model(path).info == replace(self.INFO, keras_version="3.13.2")

    def test_copied_trial_keeps_its_study(self, in_study, in_tmp):
        shutil.copytree(in_study / TRIALS / "001", in_tmp / "copy")
        keras_file(in_tmp / "copy" / "model.keras", self.INFO)
        info = find_model("copy").info
        assert (info.study, info.trial) == ("pets", 3)

    @pytest.mark.parametrize("name", ["some/where", "some.keras", "./some"])
    def test_missing_path_is_an_error(self, in_tmp, name):
        with pytest.raises(
            ModelError, match=f"^there is no model {name}. Expected a study, a registered"
        ) as raised:
            find_model(name)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("name", ["x" * 256, f"a/{'é' * 128}.keras", "~no-such-user/x"])
    def test_impossible_path_is_an_error(self, in_tmp, name):
        with pytest.raises(ModelError, match=f"^there is no model {name}"):
            find_model(name)

    def test_folder_without_model_is_an_error(self, in_tmp):
        (in_tmp / "some").mkdir()
        with pytest.raises(ModelError, match=r"^some has no model\. Expected a study"):
            find_model("some")

    def test_study_and_folder_of_one_name_are_ambiguous(self, in_study, in_tmp):
        shutil.copytree(in_study / "mlruns", in_tmp / "mlruns")
        (in_tmp / "example").mkdir()
        keras_file(in_tmp / "example" / "model.keras", self.INFO)
        with pytest.raises(ModelError, match=r"'example' is a study, and a folder .*; write \./example for"):
            find_model("example")
        assert find_model("./example").info.study == "pets"

    @pytest.mark.parametrize("place", ["", "artifacts"])
    def test_run_folder_has_the_model_of_its_run(self, in_tmp, mlflow, place):
        run_id = "1b739f0fd9694b0e92c4d339110180be"
        mlflow[f"runs:/{run_id}"] = self.INFO
        (in_tmp / run_id / "artifacts").mkdir(parents=True)
        assert find_model(in_tmp / run_id / place).info.study == "pets"


class TestMLflow:
    INFO = ModelInfo(("cat", "dog"), digest="d" * 64, study="pets", trial=3)

    @pytest.mark.parametrize("address", [f"models:/m-{'0' * 32}", "runs:/abc/model"])
    def test_address_is_fetched(self, in_tmp, mlflow, address):
        mlflow[address] = self.INFO
        found = find_model(address)
        assert (found.address, found.name, found.run) == (address, address, None)
        assert found.info.class_names == ("cat", "dog")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("pets@champion", ("pets", "champion", "")),
            ("pets/2", ("pets", "", "2")),
            ("models:/pets", ("pets", "", "")),
            ("models:/pets/", ("pets", "", "")),
            ("models:/pets@champion", ("pets", "champion", "")),
        ],
    )
    def test_alias_or_version_is_looked_up(self, in_tmp, mlflow, monkeypatch, text, expected):
        def look_up(store, name, alias="", version=""):
            assert (name, alias, version) == expected
            return "models:/pets/2"

        monkeypatch.setattr(tracking, "registered_address", look_up)
        mlflow["models:/pets/2"] = self.INFO
        assert find_model(text).address == "models:/pets/2"

    def test_existing_path_comes_before_a_version(self, in_tmp, mlflow):
        (in_tmp / "pets" / "2").mkdir(parents=True)
        keras_file(in_tmp / "pets" / "2" / "model.keras", self.INFO)
        assert find_model("pets/2").path == Path("pets/2/model.keras")

    def test_name_is_a_study_or_registered_model(self, in_tmp, mlflow, monkeypatch):
        monkeypatch.setattr(tracking, "named_address", lambda store, name: f"models:/{name}/7")
        mlflow["models:/pets/7"] = self.INFO
        assert find_model("pets").address == "models:/pets/7"

    @pytest.mark.parametrize("name", ["pets", "pets@champion", "pets/2"])
    def test_folder_without_mlflow_is_an_error(self, in_tmp, monkeypatch, name):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with pytest.raises(
            ModelError,
            match=f"^there is no model '{name}': this folder has neither a study '{name}' nor an MLflow",
        ):
            find_model(name)


def test_load_model_takes_what_find_model_finds(in_study, keras_in_process):
    model = zoo.load_model(TRIALS / "001")
    assert model.output_shape == (None, 10)
