"""`zoo.tune`: what it refuses and warns of before it starts, and its result."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tuning_examples import STUDY

from zoo.errors import StudyError, ZooError
from zoo.record import StudyDirectory
from zoo.tuning import study_run
from zoo.tuning.study_run import tune


class Opened(Exception):
    """Stops `tune` where the study would be opened."""


@pytest.fixture
def warnings_of(registry, tmp_path, monkeypatch):
    """warnings_of("training.epochs=3", jobs=2) -> the warnings with which the study would be opened."""

    def open_study(stack, definition, jobs, display, warnings):
        raise Opened(list(warnings))

    def call(*overrides, **keywords):
        with pytest.raises(Opened) as opened:
            tune(str(tmp_path / "example.toml"), overrides=overrides, **keywords)
        return opened.value.args[0]

    monkeypatch.setattr(study_run, "open_study", open_study)
    monkeypatch.setattr(study_run.Registry, "load", lambda: registry)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.toml").write_text(STUDY)
    return call


def test_latency_beside_other_trials_is_warned_of(warnings_of):
    several = 'objective=["val_accuracy", "latency_ms"]'
    assert warnings_of(several, jobs=2) == [
        "with --jobs 2, latency_ms is measured while other trials train, so it means little; use --jobs 1"
    ]
    assert warnings_of(several) == warnings_of(jobs=2) == []


@pytest.mark.parametrize("jobs", [0, -1])
def test_fewer_than_one_job_is_refused(warnings_of, jobs):
    with pytest.raises(StudyError, match=f"--jobs: expected an integer >= 1, got {jobs}"):
        tune("example.toml", jobs=jobs)


def test_study_whose_plugin_is_missing_names_it(warnings_of, tmp_path):
    plugins = {"keras-zoo:architectures": "0.1", "zoo-mixer:mixer": "0.2"}
    StudyDirectory(tmp_path, "example").trial(0).create({"plugins": plugins})
    with pytest.raises(StudyError) as refused:
        tune("example.toml", overrides=["architecture.name=mlp_mixer"])
    *_, last = str(refused.value).splitlines()
    assert last == "trials of this study used zoo-mixer 0.2; pip install zoo-mixer==0.2"
    with pytest.raises(StudyError) as refused:  # a study without trials
        tune("example.toml", overrides=["architecture.name=mlp_mixer"], name="other")
    assert "zoo-mixer" not in str(refused.value)


def test_nothing_starts_if_mlflow_does_not_answer(warnings_of, tmp_path, monkeypatch):
    def check():
        raise ZooError("No MLflow server answers")

    opened = SimpleNamespace(mlflow=SimpleNamespace(check=check))
    monkeypatch.setattr(study_run, "open_study", lambda *_: opened)
    monkeypatch.setattr(study_run, "_open_search", lambda *_: pytest.fail("a search was opened"))
    with pytest.raises(ZooError, match="No MLflow server answers"):
        tune("example.toml")


class TestArchitectureOfTheResult:
    CHOICES = 'dataset = "digits"\narchitecture = { name = { choices = ["conv_net", "small_lenet"] } }'

    def test_is_named_if_there_is_a_choice(self, define, directory):
        definition = define(text=self.CHOICES)
        directory.trial(4).create(definition.baseline("d" * 64, 0).as_json())
        study = SimpleNamespace(definition=definition, directory=directory)
        assert study_run._architecture(study, 4) == "conv_net"
        assert study_run._architecture(study, 5) == ""  # its configuration is lost

    def test_is_not_named_if_there_is_none(self, define, directory):
        directory.trial(4).create(define().baseline("d" * 64, 0).as_json())
        study = SimpleNamespace(definition=define(), directory=directory)
        assert study_run._architecture(study, 4) == ""
