"""The checks of `zoo doctor`, each with what it finds."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from shared_tools import CONFIG

from zoo.diagnosis import _environment, _stores, _studies
from zoo.errors import StudyError, ZooError
from zoo.events import Finished, Started
from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.tracking import TrackingError
from zoo.training import backend


def texts(findings):
    return [(one.subject, one.text, one.fix) for one in findings if not one.is_ok]


class TestVersions:
    def test_every_required_distribution_is_found(self):
        findings = list(_environment.check_versions())
        assert {"python", "zoo", "keras", "optuna", "mlflow", "tensorflow"} <= {
            one.subject for one in findings
        }
        assert not texts(findings)

    @pytest.mark.parametrize(
        ("requirement", "text", "fix"),
        [
            ("keras>=99", "3.", "pip install 'keras>=99'"),
            ("no-such-distribution>=2", "not installed", "pip install 'no-such-distribution>=2'"),
        ],
    )
    def test_unmet_requirement_has_its_command(self, requirement, text, fix):
        finding = _environment._check_requirement(Requirement(requirement))
        assert finding.text.startswith(text)
        assert (finding.is_ok, finding.fix) == (False, fix)


class TestDevice:
    def check(self, monkeypatch, answer, gpus):
        def call(function, log_path):
            if isinstance(answer, ZooError):
                raise answer
            return answer

        monkeypatch.setattr(_environment, "call_in_worker", call)
        monkeypatch.setattr(backend, "visible_gpus", lambda: gpus)
        return list(_environment.check_device())

    def test_gpu_that_is_used_is_no_problem(self, monkeypatch):
        findings = self.check(monkeypatch, ("tensorflow", "2.21.0", "gpu: NVIDIA H200"), ["0"])
        assert not texts(findings)
        assert findings[1].text.startswith("gpu: NVIDIA H200 (")

    def test_gpu_that_the_backend_does_not_use(self, monkeypatch):
        findings = self.check(monkeypatch, ("tensorflow", "2.21.0", "cpu"), ["0", "1"])
        text = "2 GPUs of NVIDIA, but tensorflow uses the CPU"
        assert texts(findings) == [("device", text, "pip install 'keras-zoo[gpu]'")]

    def test_backend_that_does_not_load(self, monkeypatch):
        findings = self.check(monkeypatch, ZooError("the worker process died"), [])
        assert texts(findings) == [("backend", "the worker process died", "")]


class TestStores:
    def test_little_space_is_a_problem(self, in_tmp, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5 * 10**8))
        problems = texts(_stores.check_space())
        assert ("record: free space", "0.5 GB free in mlruns/zoo; free at least 1 GB", "") in problems
        assert len(problems) == 4

    def test_folder_that_may_not_be_written(self, in_tmp, monkeypatch):
        monkeypatch.setattr(_stores.os, "access", lambda path, mode: False)
        assert texts(_stores.check_space())[0][1] == f"cannot write to {in_tmp}; change its permissions"

    def test_store_that_does_not_answer(self, in_tmp, monkeypatch):
        def refuse(create):
            raise TrackingError("no MLflow server answers at http://127.0.0.1:9")

        monkeypatch.setattr(_stores, "is_new_store", lambda: False)
        monkeypatch.setattr(_stores, "connect", refuse)
        store, finding = _stores.check_mlflow()
        assert (store, finding.is_ok) == (None, False)

    def test_store_that_does_not_exist_yet_is_no_problem(self, in_tmp, monkeypatch):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert _stores.check_mlflow()[1].is_ok


class TestStudies:
    @pytest.fixture
    def directory(self, in_tmp):
        directory = StudyDirectory(in_tmp, "example")
        directory.create()
        directory.assign("5f0c", [Objective("val_accuracy", "maximize")])
        for number in range(2):
            directory.trial(number).create(CONFIG.as_json())
            directory.trial(number).append(Started(8.0))
        directory.trial(0).append(Finished(9.0, "complete", summary={"best_val_accuracy": 0.5}))
        return directory

    def test_unknown_study_is_an_error(self, directory):
        assert _studies.recorded_studies() == ["example"]
        with pytest.raises(StudyError, match=r"no study 'exampel' is recorded .* Did you mean 'example'\?"):
            _studies.recorded_studies(["exampel"])

    def test_lost_database_and_interrupted_trial_can_be_repaired(self, directory):
        findings = list(_studies.check_study("example", None))
        assert ("optuna example", "Optuna's storage does not have the study", "") in texts(findings)
        (unfinished,) = [one for one in findings if "trial 1 has no final state" in one.text]
        assert unfinished.can_repair

    def test_damaged_file_is_named(self, directory):
        directory.trial(0).config_path.write_text("{")
        assert any(
            "config.json is damaged" in text for _, text, _ in texts(_studies.check_study("example", None))
        )

    def test_study_that_is_being_run_is_not_checked(self, directory):
        with directory.locked():
            (finding,) = _studies.check_study("example", None)
        assert (finding.is_ok, finding.text) == (True, "is being run; stop it to check its record")

    def test_interrupted_trial_in_optuna(self, directory, monkeypatch):
        import optuna

        study = optuna.create_study(direction="maximize")
        study.add_trial(optuna.trial.create_trial(value=0.5))
        study.ask()  # leaves trial 1 running
        monkeypatch.setattr(_studies, "optuna_study", lambda directory: study)
        findings = {one.text: one.can_repair for one in _studies.check_study("example", None)}
        assert findings["trials were interrupted: 1"]
