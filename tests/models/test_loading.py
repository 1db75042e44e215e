"""Loading what a study trained."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path

import pytest

import zoo
from zoo import tracking
from zoo.errors import ModelError

NEEDS = {"pluggy": "pluggy==0.0.1", "zoo_absent.layers": "zoo-absent==1.0"}


@pytest.fixture
def file(tmp_path):
    """A model of a plugin that is here in another version, and of one that is not here at all."""
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("zoo.json", json.dumps({"modules": NEEDS}))
        archive.writestr("config.json", json.dumps({}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.13.2"}))
    return tmp_path / "model.keras"


@pytest.mark.parametrize("model", ["a file", "runs:/abc/model", "a_study"])
def test_a_warning_points_at_whoever_loads(file, monkeypatch, model):
    monkeypatch.setattr(tracking, "connect", lambda **options: None)
    monkeypatch.setattr(tracking, "is_new_store", lambda: False)
    monkeypatch.setattr(tracking, "named_address", lambda store, name: "models:/m-1")
    monkeypatch.setattr(tracking, "fetch_model_file", lambda store, address, folder: file)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(
            ModelError, match=r"zoo_absent\.layers \(zoo-absent 1\.0\), which is not installed"
        ):
            zoo.load_model(file if model == "a file" else model)
    (warning,) = heard
    assert "was saved with pluggy 0.0.1, but " in str(warning.message)
    assert Path(warning.filename) == Path(__file__)
