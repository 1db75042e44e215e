"""The plugins of a trial in MLflow: tags of its run, requirements of its model."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples

from zoo.tracking import Store, StudyTracker, TrackingError, best_model_address, fetch_model_file
from zoo.tracking._models import build_model_folder

BOTH = {"keras-zoo": "0.1.0", "zoo-layered": "0.3"}


def tags_of(run: Any) -> dict[str, str]:
    prefix = "zoo.plugin."
    return {key.removeprefix(prefix): value for key, value in run.data.tags.items() if key.startswith(prefix)}


def test_trial_is_tagged_with_its_plugins_study_with_all(local_store: Store, tmp_path: Path) -> None:
    tracker = StudyTracker(local_store, examples.facts(plugins=BOTH))
    used: list[dict[str, str]] = [{"keras-zoo": "0.1.0"}, {"zoo-layered": "0.3"}, BOTH, {}]
    entry_points = ("one", "two")  # of each distribution: the tag is the distribution's
    for number, plugins in enumerate(used):
        folder = examples.make_folder(tmp_path / str(number))
        named = {f"{name}:{point}": plugins[name] for name in plugins for point in entry_points}
        config = {**examples.CONFIG, "plugins": named}
        tracker.record(number, config, examples.events("failed", reason="no reason"), folder)
    runs = [examples.run_of(tracker, number) for number in range(4)]
    assert [tags_of(run) for run in runs[:3]] == used[:3]
    assert tags_of(runs[3]) == BOTH  # a record of an earlier version does not name them
    assert tags_of(local_store.client.get_run(tracker.run_id)) == BOTH
    assert not [key for run in runs for key in run.data.params if "plugins" in key]


def layered_file(folder: Path, modules: dict[str, str]) -> Path:
    """Write the parts of a model file with layers of a plugin that tracking reads."""
    file = folder / "model.keras"
    layer = {"module": "zoo_layered.layers", "class_name": "Gain", "config": {}}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.13.2"}))
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        archive.writestr("zoo.json", json.dumps({"modules": modules, "keras_version": "3.13.2"}))
    return file


def test_model_with_plugin_layers_requires_the_plugin(tmp_path: Path) -> None:
    import yaml

    import zoo

    modules = {"zoo_layered.layers": "zoo-layered==0.3", "somewhere": ""}
    file = layered_file(tmp_path, modules)
    build_model_folder(tmp_path / "ours", file, examples.facts(), "tensorflow")
    requirements = (tmp_path / "ours" / "requirements.txt").read_text().splitlines()
    assert requirements[1] == "keras==3.13.2"
    assert requirements[-2:] == ["zoo-layered==0.3", f"keras-zoo=={zoo.__version__}"]
    conda = yaml.safe_load((tmp_path / "ours" / "conda.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == requirements
    model = yaml.safe_load((tmp_path / "ours" / "MLmodel").read_text())
    assert model["metadata"]["zoo"]["modules"] == modules
    assert model["flavors"]["python_function"]["loader_module"] == "zoo.tracking.loader"


def test_best_model_can_be_fetched(local_store: Store, saved_model: Path, tmp_path: Path) -> None:
    tracker = StudyTracker(local_store, examples.facts())
    for number, best in enumerate([0.7, 0.9, 0.8]):
        folder = examples.make_folder(tmp_path / str(number), saved_model / "model.keras")
        examples.record(tracker, number, examples.events(best=best), folder)
    address = best_model_address(local_store, "digits_cnn")
    run = examples.run_of(tracker, 1)
    assert address == f"models:/{run.outputs.model_outputs[0].model_id}"
    (tmp_path / "fetched").mkdir()
    file = fetch_model_file(local_store, address, tmp_path / "fetched")
    assert file.is_relative_to(tmp_path / "fetched")
    assert file.read_bytes() == (saved_model / "model.keras").read_bytes()


def test_study_without_model_is_reported(local_store: Store, tmp_path: Path) -> None:
    tracker = StudyTracker(local_store, examples.facts())
    examples.record(tracker, 0, examples.events("failed"), examples.make_folder(tmp_path / "0"))
    with pytest.raises(TrackingError, match=r"no trial of the study 'digits_cnn' in .* is complete"):
        best_model_address(local_store, "digits_cnn")


def test_second_best_model_does_not_replace_the_best(
    local_store: Store, saved_model: Path, tmp_path: Path
) -> None:
    tracker = StudyTracker(local_store, examples.facts())
    for number, (best, file) in enumerate([(0.7, saved_model / "model.keras"), (0.9, None)]):
        folder = examples.make_folder(tmp_path / str(number), file)
        examples.record(tracker, number, examples.events(best=best), folder)
    with pytest.raises(TrackingError, match=r"the model of trial 1, the best of the study") as refused:
        best_model_address(local_store, "digits_cnn")
    assert "`zoo train digits_cnn --trial 1`" in str(refused.value)
    assert "`zoo tune digits_cnn`" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("address", ["models:/m-0123456789abcdef0123456789abcdef", "runs:/nowhere/model"])
def test_unknown_model_is_reported(local_store: Store, tmp_path: Path, address: str) -> None:
    with pytest.raises(TrackingError, match=f"^MLflow at .* cannot send {address}: ") as refused:
        fetch_model_file(local_store, address, tmp_path)
    assert "\n" not in str(refused.value)
